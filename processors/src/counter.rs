//! Counts messages per key.

use roka::{Group, GroupGraph, Key, Stream};

/// Counts the messages of `input` per key, in the table of `group`.
pub fn counter<K: Key, M: 'static>(
    input: Stream<K, M>,
    group: Group<K, u64>,
) -> GroupGraph<K, u64> {
    let mut graph = group.graph();
    graph.input(input, |ctx, _message| ctx.update(|count| *count += 1));
    graph
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;

    const INPUT: Stream<String, String> = Stream::text("words");
    const GROUP: Group<String, u64> = Group::json("counter");

    #[test]
    fn each_key_has_its_own_count() -> Result {
        let mut tester = Tester::new(counter(INPUT, GROUP))?;
        for key in ["ann", "bob", "ann"] {
            tester.send(&INPUT, key, &"hello".to_owned())?;
        }
        assert_eq!(tester.value("ann")?, Some(2));
        assert_eq!(tester.value("bob")?, Some(1));
        assert_eq!(tester.value("eve")?, None);
        Ok(())
    }
}
