//! Which of a partition's inputs gives the next record.
//!
//! - Records are taken by timestamp, the earlier first; at equal timestamps by the order of the inputs in the graph.
//!   Within one input the order is that of its offsets, whatever the timestamps say.
//! - An input that has nothing at hand but something waiting in Kafka holds the others up, or its records would come too
//!   late. One whose lag is 0, as far as the last fetch knows, holds up nobody.
//! - Nobody waits for longer than [`WAIT_MAX`]: an input whose leader is away must not stop the others.

use std::time::{Duration, Instant};

/// How long inputs wait for one that has records in Kafka, but none at hand.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(2);

/// What one input has to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// A record with this timestamp, ms since 1970.
    Ready(i64),
    /// Nothing at hand, and more is waiting in Kafka.
    Behind,
    /// Nothing at hand, and nothing is waiting.
    Idle,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Process the record of this input.
    Take(usize),
    /// Wait for records until then, and choose again.
    Wait(Option<Instant>),
}

/// The choice among inputs; remembers since when it has been waiting.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Merge {
    waiting_since: Option<Instant>,
}

impl Merge {
    /// Chooses among the inputs as they are `now`.
    pub(crate) fn choose(
        &mut self,
        heads: impl IntoIterator<Item = Head>,
        now: impl FnOnce() -> Instant,
    ) -> Choice {
        let mut first: Option<(i64, usize)> = None;
        let mut behind = false;
        for (input, head) in heads.into_iter().enumerate() {
            match head {
                Head::Ready(timestamp)
                    if first.is_none_or(|(earliest, _)| timestamp < earliest) =>
                {
                    first = Some((timestamp, input));
                }
                Head::Ready(_) | Head::Idle => {}
                Head::Behind => behind = true,
            }
        }
        match first {
            Some((_, input)) if !behind => {
                self.waiting_since = None;
                Choice::Take(input)
            }
            Some((_, input)) => {
                let now = now();
                let until = *self.waiting_since.get_or_insert(now) + WAIT_MAX;
                if now >= until { Choice::Take(input) } else { Choice::Wait(Some(until)) }
            }
            None => {
                self.waiting_since = None;
                Choice::Wait(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choose(heads: &[Head]) -> Choice {
        Merge::default().choose(heads.iter().copied(), Instant::now)
    }

    #[test]
    fn the_earliest_goes_first() {
        assert_eq!(choose(&[Head::Ready(5), Head::Ready(3), Head::Ready(3)]), Choice::Take(1));
        assert_eq!(choose(&[Head::Ready(5), Head::Idle]), Choice::Take(0));
        assert_eq!(choose(&[Head::Idle, Head::Idle]), Choice::Wait(None));
        assert_eq!(choose(&[Head::Behind, Head::Idle]), Choice::Wait(None));
    }

    #[test]
    fn an_input_that_is_behind_holds_the_others_up_for_a_while() {
        let start = Instant::now();
        let mut merge = Merge::default();
        let heads = [Head::Ready(5), Head::Behind];
        assert_eq!(merge.choose(heads, || start), Choice::Wait(Some(start + WAIT_MAX)));
        let later = start + WAIT_MAX / 2;
        assert_eq!(merge.choose(heads, || later), Choice::Wait(Some(start + WAIT_MAX)));
        let late = start + WAIT_MAX;
        assert_eq!(merge.choose(heads, || late), Choice::Take(0));
        // It goes on without waiting again, until the input is back.
        assert_eq!(merge.choose(heads, || late), Choice::Take(0));
        assert_eq!(merge.choose([Head::Ready(5), Head::Ready(1)], || late), Choice::Take(1));
        assert_eq!(merge.choose(heads, || late), Choice::Wait(Some(late + WAIT_MAX)));
    }

    proptest! {
        /// With everything at hand, the merge of sorted inputs is sorted.
        #[test]
        fn sorted_inputs_give_a_sorted_whole(inputs in prop::collection::vec(prop::collection::vec(0..100i64, 0..20), 1..5)) {
            let mut inputs = inputs;
            for input in &mut inputs {
                input.sort_unstable_by(|a, b| b.cmp(a));
            }
            let total: usize = inputs.iter().map(Vec::len).sum();
            let mut taken = Vec::new();
            let mut merge = Merge::default();
            loop {
                let heads = inputs.iter().map(|input| input.last().map_or(Head::Idle, |&head| Head::Ready(head)));
                match merge.choose(heads, Instant::now) {
                    Choice::Take(input) => taken.extend(inputs[input].pop()),
                    Choice::Wait(_) => break,
                }
            }
            prop_assert_eq!(taken.len(), total);
            prop_assert!(taken.is_sorted());
        }
    }
}
