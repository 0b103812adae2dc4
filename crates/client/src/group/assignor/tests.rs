//! The strategies, by examples and by what must hold for any group.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn topic(name: &str) -> Arc<str> {
    Arc::from(name)
}

fn member(id: &str, topics: &[&str], owned: &[(&str, i32)]) -> Member {
    Member {
        id: id.into(),
        topics: topics.iter().map(|name| topic(name)).collect(),
        owned: owned.iter().map(|&(name, p)| TopicPartition::new(name, p)).collect(),
        generation: 1,
        ..Member::default()
    }
}

fn counts(topics: &[(&str, i32)]) -> PartitionCounts {
    topics.iter().map(|&(name, n)| (topic(name), n)).collect()
}

fn got(assignments: &Assignments, id: &str) -> Vec<String> {
    assignments[id].partitions.iter().map(ToString::to_string).collect()
}

#[test]
fn range_gives_neighbours_and_the_first_members_more() {
    let members = [member("b", &["t", "u"], &[]), member("a", &["t", "u"], &[])];
    let assigned = Range.assign(&members, &counts(&[("t", 3), ("u", 2)])).unwrap();
    assert_eq!(got(&assigned, "a"), ["t-0", "t-1", "u-0"]);
    assert_eq!(got(&assigned, "b"), ["t-2", "u-1"]);
}

#[test]
fn range_leaves_out_who_does_not_subscribe_and_serves_static_members_first() {
    let mut second = member("z", &["t"], &[]);
    second.instance_id = Some("i1".into());
    let members = [member("a", &["u"], &[]), member("b", &["t"], &[]), second];
    let assigned = Range.assign(&members, &counts(&[("t", 3)])).unwrap();
    assert_eq!(got(&assigned, "z"), ["t-0", "t-1"]);
    assert_eq!(got(&assigned, "b"), ["t-2"]);
    assert!(got(&assigned, "a").is_empty());
}

#[test]
fn round_robin_goes_round_over_all_topics() {
    let members =
        [member("a", &["t", "u"], &[]), member("b", &["t"], &[]), member("c", &["u"], &[])];
    let assigned = RoundRobin.assign(&members, &counts(&[("t", 3), ("u", 3)])).unwrap();
    assert_eq!(got(&assigned, "a"), ["t-0", "t-2", "u-1"]);
    assert_eq!(got(&assigned, "b"), ["t-1"]);
    assert_eq!(got(&assigned, "c"), ["u-0", "u-2"]);
}

#[test]
fn sticky_moves_only_what_a_new_member_needs() {
    let members = [
        member("a", &["t"], &[("t", 0), ("t", 1), ("t", 2), ("t", 3)]),
        member("b", &["t"], &[("t", 4), ("t", 5), ("t", 6), ("t", 7)]),
        member("c", &["t"], &[]),
    ];
    let mut assigned = CooperativeSticky.assign(&members, &counts(&[("t", 8)])).unwrap();
    assert_eq!(got(&assigned, "a").len() + got(&assigned, "b").len(), 6);
    assert_eq!(got(&assigned, "c").len(), 2);
    withhold_moving(&members, &mut assigned);
    assert!(got(&assigned, "c").is_empty(), "both partitions of c are still held by others");
}

#[test]
fn sticky_spreads_what_a_dead_member_held_and_moves_nothing_else() {
    let members =
        [member("a", &["t"], &[("t", 0), ("t", 1)]), member("b", &["t"], &[("t", 2), ("t", 3)])];
    let assigned = CooperativeSticky.assign(&members, &counts(&[("t", 6)])).unwrap();
    assert_eq!(got(&assigned, "a"), ["t-0", "t-1", "t-4"]);
    assert_eq!(got(&assigned, "b"), ["t-2", "t-3", "t-5"]);
}

#[test]
fn a_claim_of_an_older_generation_does_not_count() {
    let mut zombie = member("a", &["t"], &[("t", 0)]);
    zombie.generation = 0;
    let members = [zombie, member("b", &["t"], &[("t", 0)])];
    assert_eq!(owners(&members), BTreeMap::from([(&TopicPartition::new("t", 0), "b")]));
    let equal = [member("a", &["t"], &[("t", 0)]), member("b", &["t"], &[("t", 0)])];
    assert!(owners(&equal).is_empty());
}

fn arbitrary_group() -> impl Strategy<Value = (Vec<Member>, PartitionCounts)> {
    let names = ["t0", "t1", "t2"];
    let counts = prop::collection::vec(0..8i32, 3);
    let member = (
        prop::sample::subsequence(names.to_vec(), 0..=3),
        prop::collection::vec((0..3usize, 0..9i32), 0..10),
        0..3i32,
        prop::option::weighted(0.3, 0..100u8),
    );
    (counts, prop::collection::vec(member, 1..6)).prop_map(move |(counts, members)| {
        let members = members
            .into_iter()
            .enumerate()
            .map(|(i, (topics, owned, generation, instance))| Member {
                id: format!("m{i}"),
                instance_id: instance.map(|n| format!("i{n}-{i}")),
                topics: topics.into_iter().map(topic).collect(),
                owned: owned.into_iter().map(|(t, p)| TopicPartition::new(names[t], p)).collect(),
                generation,
                ..Member::default()
            })
            .collect();
        (members, names.iter().map(|name| topic(name)).zip(counts).collect())
    })
}

fn loads(assignments: &Assignments) -> Vec<usize> {
    assignments.values().map(|assignment| assignment.partitions.len()).collect()
}

proptest! {
    /// Every partition of a subscribed topic goes to exactly one member, which subscribes to it.
    #[test]
    fn all_assignors_hand_out_everything_once((members, topics) in arbitrary_group()) {
        let assignors: [&dyn Assignor; 3] = [&Range, &RoundRobin, &CooperativeSticky];
        for assignor in assignors {
            let assigned = assignor.assign(&members, &topics).unwrap();
            let mut seen = BTreeSet::new();
            for member in &members {
                for partition in &assigned[&member.id].partitions {
                    prop_assert!(member.topics.contains(&partition.topic));
                    prop_assert!(seen.insert(partition.clone()), "{partition} twice");
                }
            }
            let wanted: BTreeSet<_> = topics
                .iter()
                .filter(|(topic, _)| members.iter().any(|member| member.topics.contains(*topic)))
                .flat_map(|(topic, &n)| (0..n).map(|p| TopicPartition::new(topic.clone(), p)))
                .collect();
            prop_assert_eq!(&seen, &wanted, "{}", assignor.name());

            let mut reversed = members.clone();
            reversed.reverse();
            prop_assert_eq!(assignor.assign(&reversed, &topics).unwrap(), assigned);
        }
    }

    /// Sticky: even where all subscribe alike, and a second round with the result held changes nothing.
    #[test]
    fn sticky_is_even_and_settles((mut members, topics) in arbitrary_group(), alike: bool) {
        if alike {
            for member in &mut members {
                member.topics = topics.keys().cloned().collect();
            }
        }
        let assigned = CooperativeSticky.assign(&members, &topics).unwrap();
        if alike {
            let loads = loads(&assigned);
            prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
        }
        for member in &mut members {
            member.owned = assigned[&member.id].partitions.clone();
            member.generation = 5;
        }
        prop_assert_eq!(CooperativeSticky.assign(&members, &topics).unwrap(), assigned);
    }

    /// Cooperative rounds: no partition is ever with two members, and all is handed out in the end.
    #[test]
    fn cooperative_rounds_end_with_everything_handed_out((mut members, topics) in arbitrary_group()) {
        for round in 0..4 {
            let target = CooperativeSticky.assign(&members, &topics).unwrap();
            let mut assigned = target.clone();
            withhold_moving(&members, &mut assigned);
            for (id, assignment) in &assigned {
                for partition in &assignment.partitions {
                    let holder = owners(&members).get(partition).copied();
                    prop_assert!(holder.is_none_or(|holder| holder == id));
                }
            }
            let settled = assigned == target;
            for member in &mut members {
                member.owned = assigned[&member.id].partitions.clone();
                member.generation = 10 + round;
            }
            if settled {
                return Ok(());
            }
        }
        prop_assert!(false, "not settled after four rounds");
    }
}
