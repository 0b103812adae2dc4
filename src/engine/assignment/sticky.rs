//! Which member of a group gets which partition numbers: balanced, sticky, and moved in two rounds.
//!
//! The unit is a partition *number*: all inputs, the loop, the table and the joins of one number stay together.
//! Rules, in this order:
//!
//! 1. Every number goes to exactly one member, and no member has two more than another.
//! 2. A member keeps what it owns.
//! 3. What has to move goes to the member whose local state is furthest along, so that little is recovered.
//!
//! That a number which a living member still owns is taken away in one round and given in the next (KIP-429) is the
//! group's business: this says where everything should end up.
//!
//! Everything is a function of the claims, so that every leader computes the same.

use std::collections::{BTreeMap, BTreeSet};

/// What one member brings to a rebalance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claim {
    /// Rank among the members, so that equal claims are always treated alike.
    pub(crate) id: usize,
    /// Partition numbers that the member works on at this moment.
    pub(crate) owned: BTreeSet<i32>,
    /// How far the member's local state of a partition number is along: its changelog offset.
    pub(crate) local: BTreeMap<i32, i64>,
}

/// The numbers `0..partitions` for each claim, by the place of the claim: where everything should end up.
pub(crate) fn target(claims: &[Claim], partitions: i32) -> Vec<BTreeSet<i32>> {
    let mut plan = Plan::new(claims, partitions);
    plan.keep();
    plan.follow_state();
    plan.fill();
    plan.given
}

struct Plan<'a> {
    claims: &'a [Claim],
    /// Places of the claims in the order of their ids.
    order: Vec<usize>,
    given: Vec<BTreeSet<i32>>,
    left: BTreeSet<i32>,
    /// Every member gets this many …
    base: usize,
    /// … and this many members get one more.
    extra: usize,
}

impl<'a> Plan<'a> {
    fn new(claims: &'a [Claim], partitions: i32) -> Self {
        let mut order: Vec<usize> = (0..claims.len()).collect();
        order.sort_by(|&a, &b| claims[a].id.cmp(&claims[b].id));
        let count = usize::try_from(partitions).unwrap_or(0);
        let members = claims.len().max(1);
        Self {
            claims,
            order,
            given: vec![BTreeSet::new(); claims.len()],
            left: (0..partitions).collect(),
            base: count / members,
            extra: count % members,
        }
    }

    /// Members keep what they own, as far as their share goes.
    fn keep(&mut self) {
        let mut owners: BTreeMap<i32, usize> = BTreeMap::new();
        for claim in self.claims {
            for &number in &claim.owned {
                *owners.entry(number).or_default() += 1;
            }
        }
        // Those with most keep the larger shares: then nothing moves that need not.
        let mut order = self.order.clone();
        order.sort_by_key(|&member| std::cmp::Reverse(self.claims[member].owned.len()));
        for member in order {
            let mut kept: Vec<i32> = self.claims[member]
                .owned
                .iter()
                .copied()
                .filter(|number| self.left.contains(number) && owners[number] == 1)
                .collect();
            // What others have state of is given away first, then the highest numbers.
            kept.sort_by_key(|&number| (self.best_state_elsewhere(member, number), number));
            for number in kept {
                if !self.has_room(member) {
                    break;
                }
                self.give(member, number);
            }
        }
    }

    fn best_state_elsewhere(&self, member: usize, number: i32) -> i64 {
        let others = self.claims.iter().enumerate().filter(|(other, _)| *other != member);
        others.filter_map(|(_, claim)| claim.local.get(&number)).copied().max().unwrap_or(-1)
    }

    /// What nobody keeps goes where its state is furthest along, if there is room.
    fn follow_state(&mut self) {
        let mut wishes: Vec<(std::cmp::Reverse<i64>, i32, usize)> = Vec::new();
        for (rank, &member) in self.order.iter().enumerate() {
            for (&number, &offset) in &self.claims[member].local {
                if self.left.contains(&number) && offset > 0 {
                    wishes.push((std::cmp::Reverse(offset), number, rank));
                }
            }
        }
        wishes.sort_unstable();
        for (_, number, rank) in wishes {
            let member = self.order[rank];
            if self.left.contains(&number) && self.has_room(member) {
                self.give(member, number);
            }
        }
    }

    fn fill(&mut self) {
        for number in self.left.clone() {
            let least = self.order.iter().copied().filter(|&member| self.has_room(member));
            if let Some(member) = least.min_by_key(|&member| self.given[member].len()) {
                self.give(member, number);
            }
        }
    }

    fn has_room(&self, member: usize) -> bool {
        let load = self.given[member].len();
        load < self.base || (load == self.base && self.larger_shares() < self.extra)
    }

    fn larger_shares(&self) -> usize {
        self.given.iter().filter(|numbers| numbers.len() > self.base).count()
    }

    fn give(&mut self, member: usize, number: i32) {
        self.given[member].insert(number);
        self.left.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the group makes of a target: without the numbers that another member has yet to release.
    fn round(claims: &[Claim], target: &[BTreeSet<i32>]) -> Vec<BTreeSet<i32>> {
        let mut owners: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (member, claim) in claims.iter().enumerate() {
            for &number in &claim.owned {
                owners.entry(number).or_default().push(member);
            }
        }
        let free = |member: usize, number: &i32| {
            owners.get(number).is_none_or(|owners| owners == &[member])
        };
        target
            .iter()
            .enumerate()
            .map(|(member, numbers)| {
                numbers.iter().copied().filter(|number| free(member, number)).collect()
            })
            .collect()
    }

    fn claim(id: usize, owned: &[i32], local: &[(i32, i64)]) -> Claim {
        Claim { id, owned: owned.iter().copied().collect(), local: local.iter().copied().collect() }
    }

    /// Rebalances until nobody has anything to release.
    fn settle(mut claims: Vec<Claim>, partitions: i32) -> (Vec<BTreeSet<i32>>, usize) {
        for rounds in 1.. {
            let target = target(&claims, partitions);
            let now = round(&claims, &target);
            let released = claims.iter().zip(&now).any(|(claim, now)| !claim.owned.is_subset(now));
            for (claim, now) in claims.iter_mut().zip(&now) {
                claim.owned.clone_from(now);
            }
            if !released {
                return (now, rounds);
            }
            assert!(rounds < 4, "does not settle: {claims:?}");
        }
        unreachable!("the loop returns")
    }

    #[test]
    fn one_member_gets_all() {
        let (given, rounds) = settle(vec![claim(0, &[], &[])], 3);
        assert_eq!(given, [BTreeSet::from([0, 1, 2])]);
        assert_eq!(rounds, 1);
    }

    #[test]
    fn a_number_is_taken_in_one_round_and_given_in_the_next() {
        let claims = [claim(0, &[0, 1, 2], &[]), claim(1, &[], &[])];
        let target = target(&claims, 3);
        assert_eq!(target, [BTreeSet::from([0, 1]), BTreeSet::from([2])]);
        assert_eq!(round(&claims, &target), [BTreeSet::from([0, 1]), BTreeSet::new()]);
    }

    #[test]
    fn a_returning_member_gets_the_partitions_whose_state_it_has() {
        let claims = [claim(0, &[0, 1, 2, 3], &[]), claim(1, &[], &[(0, 90), (1, 80)])];
        assert_eq!(target(&claims, 4), [BTreeSet::from([2, 3]), BTreeSet::from([0, 1])]);
    }

    #[test]
    fn a_number_that_two_members_claim_is_given_to_neither_in_this_round() {
        let claims = [claim(0, &[0, 1], &[]), claim(1, &[1], &[])];
        let target = target(&claims, 2);
        let now = round(&claims, &target);
        assert!(now.iter().all(|numbers| !numbers.contains(&1)));
        let (settled, _) = settle(claims.to_vec(), 2);
        assert_eq!(settled.iter().map(BTreeSet::len).sum::<usize>(), 2);
    }

    prop_compose! {
        fn claims()(
            partitions in 0..40i32,
            members in 1..9usize,
        )(
            owners in prop::collection::vec(0..members + 2, partitions as usize),
            local in prop::collection::vec(prop::collection::btree_map(0..partitions.max(1), 1..1000i64, 0..8), members),
            partitions in Just(partitions),
        ) -> (Vec<Claim>, i32) {
            let claims = local.into_iter().enumerate().map(|(member, local)| {
                let owned = (0..partitions).filter(|&number| owners[number as usize] == member).collect();
                Claim { id: member, owned, local }
            });
            (claims.collect(), partitions)
        }
    }

    proptest! {
        #[test]
        fn every_number_once_and_balanced_and_stable((claims, partitions) in claims()) {
            let (given, rounds) = settle(claims.clone(), partitions);
            let all: Vec<i32> = given.iter().flatten().copied().collect();
            let set: BTreeSet<i32> = all.iter().copied().collect();
            prop_assert_eq!(all.len(), set.len());
            prop_assert_eq!(set, (0..partitions).collect::<BTreeSet<_>>());
            let most = given.iter().map(BTreeSet::len).max().unwrap_or(0);
            let least = given.iter().map(BTreeSet::len).min().unwrap_or(0);
            prop_assert!(most - least <= 1);
            prop_assert!(rounds <= 2, "{} rounds", rounds);

            let settled: Vec<Claim> = claims.iter().zip(&given)
                .map(|(claim, given)| Claim { owned: given.clone(), ..claim.clone() })
                .collect();
            prop_assert_eq!(target(&settled, partitions), given);
        }

        #[test]
        fn nothing_moves_that_balance_does_not_ask_for((claims, partitions) in claims()) {
            let target = target(&claims, partitions);
            let share = usize::try_from(partitions).unwrap_or(0) / claims.len();
            for (claim, given) in claims.iter().zip(&target) {
                let kept = claim.owned.intersection(given).count();
                prop_assert!(kept >= claim.owned.len().min(share), "{claim:?} keeps only {kept}");
            }
        }

        #[test]
        fn no_number_has_two_owners_in_any_round((claims, partitions) in claims()) {
            let target = target(&claims, partitions);
            let now = round(&claims, &target);
            for (member, numbers) in now.iter().enumerate() {
                for (other, claim) in claims.iter().enumerate() {
                    prop_assert!(member == other || claim.owned.is_disjoint(numbers));
                }
            }
        }

        #[test]
        fn the_order_of_the_claims_does_not_matter((claims, partitions) in claims()) {
            let mut turned: Vec<Claim> = claims.clone();
            turned.reverse();
            let mut there = target(&turned, partitions);
            there.reverse();
            prop_assert_eq!(target(&claims, partitions), there);
        }
    }
}
