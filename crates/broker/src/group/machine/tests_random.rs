//! Whatever members do, in any order: everybody is answered once, and the group ends up well.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::{
    Effect, Limits, State,
    rehearsal::{REBALANCE, Rehearsal, SESSION, fixed, joining, rejoining},
};
use crate::group::member::{Joining, Ticket};

#[derive(Debug, Clone)]
enum Step {
    Join { required: bool },
    JoinFixed { who: usize, known: bool },
    Rejoin { who: usize },
    Sync { who: usize },
    Heartbeat { who: usize },
    Leave { who: usize },
    Pass { seconds: u64 },
    Unload,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4usize;
    prop_oneof![
        3 => any::<bool>().prop_map(|required| Step::Join { required }),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, known)| Step::JoinFixed { who, known }),
        5 => who.clone().prop_map(|who| Step::Rejoin { who }),
        5 => who.clone().prop_map(|who| Step::Sync { who }),
        3 => who.clone().prop_map(|who| Step::Heartbeat { who }),
        1 => who.prop_map(|who| Step::Leave { who }),
        3 => (0..20u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Unload),
    ]
}

/// The members in the order of their ids; `None` when there are not so many.
fn member(it: &Rehearsal, who: usize) -> Option<String> {
    it.group.members.keys().nth(who).cloned()
}

fn run(it: &mut Rehearsal, step: &Step, fresh: usize) -> Option<Ticket> {
    let fresh = format!("m{fresh:03}");
    match step {
        Step::Join { required } => {
            Some(it.join(Joining { knows_required_id: *required, ..joining(&fresh) }))
        }
        Step::JoinFixed { who, known } => {
            let joining = fixed(&format!("i{who}"), &fresh);
            Some(it.join(Joining { knows_skipping: *known, ..joining }))
        }
        Step::Rejoin { who } => {
            let id = member(it, *who)?;
            let instance_id = it.group.members[&id].instance_id.clone();
            Some(it.join(Joining { instance_id, ..rejoining(&id) }))
        }
        Step::Sync { who } => {
            let id = member(it, *who)?;
            let ids: Vec<String> = it.group.members.keys().cloned().collect();
            let shares: Vec<_> = ids.iter().map(|id| (&**id, &**id)).collect();
            Some(it.sync(&id, &shares))
        }
        Step::Heartbeat { who } => {
            let id = member(it, *who)?;
            it.heartbeat(&id);
            None
        }
        Step::Leave { who } => {
            let id = member(it, *who)?;
            it.leave(&id, None);
            None
        }
        Step::Pass { seconds } => {
            it.pass(Duration::from_secs(*seconds));
            None
        }
        Step::Unload => {
            it.group.unload();
            it.settled.extend(it.group.take_effects());
            None
        }
    }
}

fn check(it: &Rehearsal) {
    let group = &it.group;
    if group.members.is_empty() {
        assert_eq!(group.state, State::Empty);
        return;
    }
    assert_ne!(group.state, State::Empty);
    if matches!(group.state, State::Stable | State::CompletingRebalance) {
        let leader = group.leader.as_ref().expect("a generation has a leader");
        assert!(group.members.contains_key(leader));
        assert!(group.members.values().all(|member| member.joining.is_none()));
    }
    if group.state == State::Stable {
        assert!(group.members.values().all(|member| member.syncing.is_none()));
    }
    for (id, member) in &group.members {
        assert_eq!(id, &member.id);
    }
    for (instance, id) in &group.instances {
        assert_eq!(group.members[id].instance_id.as_ref(), Some(instance));
    }
}

proptest! {
    #[test]
    fn everybody_is_answered_once_and_time_empties_the_group(
        steps in prop::collection::vec(step(), 1..80),
        delay in prop_oneof![Just(0u64), Just(3)],
    ) {
        let initial_delay = Duration::from_secs(delay);
        let mut it = Rehearsal::new(Limits { initial_delay, ..Limits::default() });
        let mut asked = BTreeSet::new();
        let mut generation = 0;
        for (fresh, step) in steps.iter().enumerate() {
            asked.extend(run(&mut it, step, fresh));
            check(&it);
            prop_assert!(it.group.generation >= generation, "generations only grow");
            generation = it.group.generation;
        }
        // Nobody does anything any more: those who wait are answered in the end, and all sessions end.
        it.pass(4 * REBALANCE + 4 * SESSION);
        check(&it);
        prop_assert_eq!(it.group.state, State::Empty);
        prop_assert_eq!(it.group.next_deadline(), None);
        let answered: Vec<Ticket> = it
            .settled
            .iter()
            .map(|effect| match effect { Effect::Join(of, _) | Effect::Sync(of, _) => *of })
            .collect();
        prop_assert_eq!(answered.len(), asked.len(), "each is answered once");
        prop_assert_eq!(answered.into_iter().collect::<BTreeSet<_>>(), asked);
    }
}
