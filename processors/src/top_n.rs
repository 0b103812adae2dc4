//! Keeps the entries with the highest scores.

use roka::{Group, GroupGraph, Key, Stream};
use serde::{Deserialize, Serialize};

/// An entry of a ranking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is ranked.
    pub name: String,
    /// By which it is ranked, the highest first.
    pub score: i64,
}

/// Keeps, per key, the `n` entries with the highest scores, highest first, in the table of `group`.
///
/// `entry` reads name and score from a message. A name stands in a ranking once, with its latest
/// score; of equal scores the one that came first stands first. An entry that was pushed out of the
/// ranking is forgotten: it comes back with its next message, not when another one falls.
pub fn top_n<K: Key, M: 'static>(
    input: Stream<K, M>,
    group: Group<K, Vec<Entry>>,
    n: usize,
    entry: impl Fn(&M) -> Entry + Send + Sync + 'static,
) -> GroupGraph<K, Vec<Entry>> {
    let mut graph = group.graph();
    graph.input(input, move |ctx, message| {
        let mut ranking = ctx.value()?.unwrap_or_default();
        let before = ranking.clone();
        place(&mut ranking, entry(&message), n);
        if ranking == before { Ok(()) } else { ctx.put_value(ranking) }
    });
    graph
}

fn place(ranking: &mut Vec<Entry>, entry: Entry, n: usize) {
    ranking.retain(|other| other.name != entry.name);
    let at = ranking.partition_point(|other| other.score >= entry.score);
    ranking.insert(at, entry);
    ranking.truncate(n);
}

#[cfg(test)]
mod tests {
    use roka::{Result, Tester};

    use super::*;

    const SCORES: Stream<String, Entry> = Stream::json("scores");
    const RANKING: Group<String, Vec<Entry>> = Group::json("ranking");

    fn ranking(messages: &[(&str, i64)]) -> Result<Vec<(String, i64)>> {
        let mut tester = Tester::new(top_n(SCORES, RANKING, 2, Clone::clone))?;
        for (name, score) in messages {
            tester.send(&SCORES, "game", &Entry { name: (*name).to_owned(), score: *score })?;
        }
        let entries = tester.value("game")?.unwrap_or_default();
        Ok(entries.into_iter().map(|entry| (entry.name, entry.score)).collect())
    }

    #[test]
    fn the_highest_stand_first() -> Result {
        let best = ranking(&[("ann", 5), ("bob", 9), ("eve", 7), ("joe", 1)])?;
        assert_eq!(best, [("bob".to_owned(), 9), ("eve".to_owned(), 7)]);
        Ok(())
    }

    #[test]
    fn a_name_stands_once_with_its_latest_score() -> Result {
        let best = ranking(&[("ann", 5), ("bob", 9), ("bob", 3)])?;
        assert_eq!(best, [("ann".to_owned(), 5), ("bob".to_owned(), 3)]);
        Ok(())
    }

    #[test]
    fn of_equal_scores_the_first_stands_first() -> Result {
        let best = ranking(&[("ann", 5), ("bob", 5), ("eve", 5)])?;
        assert_eq!(best, [("ann".to_owned(), 5), ("bob".to_owned(), 5)]);
        Ok(())
    }
}
