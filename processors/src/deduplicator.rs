//! Passes a message on only the first time its id is seen.

use std::collections::VecDeque;

use roka::{Group, GroupGraph, Key, Stream};
use serde::{Deserialize, Serialize};

/// The ids last seen under a key, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    ids: VecDeque<String>,
}

impl Seen {
    /// Remembers `id`, forgetting the oldest beyond `remembered`; says whether it is new.
    fn insert(&mut self, id: String, remembered: usize) -> bool {
        if self.ids.contains(&id) {
            return false;
        }
        self.ids.push_back(id);
        while self.ids.len() > remembered.max(1) {
            self.ids.pop_front();
        }
        true
    }
}

/// Passes the messages of `input` on to `output`, each id once per key.
///
/// `id` names a message. The last `remembered` ids (at least 1) of each key are kept; a repetition
/// that comes after more new ids than that is passed on again.
pub fn deduplicator<K: Key, M: 'static>(
    input: Stream<K, M>,
    output: Stream<K, M>,
    group: Group<K, Seen>,
    remembered: usize,
    id: impl Fn(&M) -> String + Send + Sync + 'static,
) -> GroupGraph<K, Seen> {
    let mut graph = group.graph();
    let output = graph.output(output);
    graph.input(input, move |ctx, message| {
        if ctx.update(|seen| seen.insert(id(&message), remembered))? {
            ctx.emit(output, ctx.key(), &message)?;
        }
        Ok(())
    });
    graph
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;

    const INPUT: Stream<String, String> = Stream::text("orders");
    const OUTPUT: Stream<String, String> = Stream::text("orders-once");
    const GROUP: Group<String, Seen> = Group::json("deduplicator");

    fn passed_on(remembered: usize, messages: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
        let graph = deduplicator(INPUT, OUTPUT, GROUP, remembered, Clone::clone);
        let mut tester = Tester::new(graph)?;
        for (key, message) in messages {
            tester.send(&INPUT, key, &(*message).to_owned())?;
        }
        tester.take(&OUTPUT)
    }

    #[test]
    fn a_repetition_under_the_same_key_is_dropped() -> Result {
        let passed = passed_on(10, &[("ann", "a"), ("ann", "a"), ("bob", "a"), ("ann", "b")])?;
        let expected = [("ann", "a"), ("bob", "a"), ("ann", "b")];
        assert_eq!(passed, expected.map(|(key, id)| (key.to_owned(), id.to_owned())));
        Ok(())
    }

    #[test]
    fn what_is_forgotten_is_passed_on_again() -> Result {
        let ids = ["a", "b", "c", "b", "a"].map(|id| ("ann", id));
        let passed = passed_on(2, &ids)?;
        let passed: Vec<_> = passed.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(passed, ["a", "b", "c", "a"]);
        Ok(())
    }
}
