//! The committed offsets of all groups, in a folder a journal.
//!
//! Positions of a transaction are pending until its end (KIP-98): they are in the journal, but not in force. One that was
//! committed without transaction since then is newer and stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::journal::{self, Journal};

const FILE: &str = "group-offsets.jsonl";

/// A committed position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(crate) time_ms: i64,
}

type Place = (String, i32);
type Positions = BTreeMap<Place, Committed>;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Position(Position),
    Ended(Ended),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Position {
    group: String,
    topic: String,
    partition: i32,
    /// None deletes.
    committed: Option<Committed>,
    /// The producer in whose transaction it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    producer_id: Option<i64>,
}

/// The end of a producer's transaction. What it committed is in the lines before.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ended {
    group: String,
    ended: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Offsets {
    groups: BTreeMap<String, Positions>,
    /// By group and producer: positions of transactions; none where a newer one was committed.
    pending: BTreeMap<String, BTreeMap<i64, BTreeMap<Place, Option<Committed>>>>,
    journal: Option<Journal>,
}

impl Offsets {
    /// What the folder has.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut offsets = Self::default();
        journal::read(&path)?.into_iter().for_each(|line| offsets.apply(line));
        offsets.rewrite(&path)?;
        Ok(offsets)
    }

    fn apply(&mut self, line: Line) {
        let Position { group, topic, partition, committed, producer_id } = match line {
            Line::Position(position) => position,
            Line::Ended(Ended { group, ended }) => {
                if let Some(producers) = self.pending.get_mut(&group) {
                    producers.remove(&ended);
                }
                return;
            }
        };
        let place = (topic, partition);
        if let Some(producer_id) = producer_id {
            let producers = self.pending.entry(group).or_default();
            producers.entry(producer_id).or_default().insert(place, committed);
            return;
        }
        // Also when it is deleted: what is pending does not bring it back.
        for positions in self.pending.get_mut(&group).into_iter().flat_map(BTreeMap::values_mut) {
            if let Some(position) = positions.get_mut(&place) {
                *position = None;
            }
        }
        let positions = self.groups.entry(group).or_default();
        match committed {
            Some(committed) => positions.insert(place, committed),
            None => positions.remove(&place),
        };
    }

    /// Writes all offsets to a new file that takes the place of the old one.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let line = |group: &String, place: &Place, committed, producer_id| {
            let (topic, partition) = place.clone();
            Line::Position(Position {
                group: group.clone(),
                topic,
                partition,
                committed,
                producer_id,
            })
        };
        let mut lines = Vec::new();
        for (group, positions) in &self.groups {
            for (place, committed) in positions {
                lines.push(line(group, place, Some(committed.clone()), None));
            }
        }
        for (group, producers) in &self.pending {
            for (&id, positions) in producers {
                for (place, committed) in positions {
                    lines.push(line(group, place, committed.clone(), Some(id)));
                }
            }
        }
        self.journal = Some(Journal::create(path, lines)?);
        Ok(())
    }

    fn write(&mut self, lines: Vec<Line>) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(&lines)?;
        }
        for line in lines {
            self.apply(line);
        }
        let held: usize = self.groups.values().map(BTreeMap::len).sum();
        let pending = self.pending.values().flat_map(BTreeMap::values).map(BTreeMap::len);
        let held = held + pending.sum::<usize>();
        if let Some(path) = self.journal.as_ref().and_then(|it| it.overgrown(held)) {
            self.rewrite(&path)?;
        }
        Ok(())
    }

    /// Groups that have committed, or may in a transaction.
    pub(crate) fn groups(&self) -> BTreeSet<&str> {
        self.groups.keys().chain(self.pending.keys()).map(String::as_str).collect()
    }

    pub(crate) fn commit(
        &mut self,
        group: &str,
        positions: Vec<(String, i32, Committed)>,
    ) -> io::Result<()> {
        self.commit_or_keep(group, positions, None)
    }

    /// Keeps positions for the end of the producer's transaction.
    pub(crate) fn keep(
        &mut self,
        group: &str,
        positions: Vec<(String, i32, Committed)>,
        producer_id: i64,
    ) -> io::Result<()> {
        self.commit_or_keep(group, positions, Some(producer_id))
    }

    fn commit_or_keep(
        &mut self,
        group: &str,
        positions: Vec<(String, i32, Committed)>,
        producer_id: Option<i64>,
    ) -> io::Result<()> {
        let line = |(topic, partition, committed)| {
            let (group, committed) = (group.to_owned(), Some(committed));
            Line::Position(Position { group, topic, partition, committed, producer_id })
        };
        self.write(positions.into_iter().map(line).collect())
    }

    /// The producer's transaction has ended: what it kept is in force or forgotten.
    pub(crate) fn end_transaction(
        &mut self,
        group: &str,
        producer_id: i64,
        committed: bool,
    ) -> io::Result<()> {
        let Some(kept) = self.pending.get(group).and_then(|it| it.get(&producer_id)) else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for ((topic, partition), position) in kept.iter().filter(|_| committed) {
            if let Some(position) = position {
                lines.push(Line::Position(Position {
                    group: group.to_owned(),
                    topic: topic.clone(),
                    partition: *partition,
                    committed: Some(position.clone()),
                    producer_id: None,
                }));
            }
        }
        lines.push(Line::Ended(Ended { group: group.to_owned(), ended: producer_id }));
        self.write(lines)
    }

    /// Whether a transaction that has not ended may change the position.
    pub(crate) fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        let place = (topic.to_owned(), partition);
        let producers = self.pending.get(group).into_iter().flat_map(BTreeMap::values);
        producers.into_iter().any(|positions| positions.contains_key(&place))
    }

    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        // The key is owned; a look-up by parts would need another structure for little.
        self.groups.get(group)?.get(&(topic.to_owned(), partition))
    }

    /// All positions of a group, by topic and partition.
    pub(crate) fn all(&self, group: &str) -> impl Iterator<Item = (&str, i32, &Committed)> {
        let positions = self.groups.get(group).into_iter().flatten();
        positions.map(|((topic, partition), committed)| (topic.as_str(), *partition, committed))
    }

    pub(crate) fn delete(&mut self, group: &str, topic: &str, partition: i32) -> io::Result<()> {
        self.delete_all(group, [(topic.to_owned(), partition)])
    }

    pub(crate) fn delete_group(&mut self, group: &str) -> io::Result<()> {
        let held = self.places(group);
        self.delete_all(group, held)?;
        self.groups.remove(group);
        Ok(())
    }

    /// Where a group has a position, or may have one when a transaction ends.
    fn places(&self, group: &str) -> BTreeSet<Place> {
        let committed = self.groups.get(group).into_iter().flat_map(BTreeMap::keys);
        let producers = self.pending.get(group).into_iter().flat_map(BTreeMap::values);
        committed.chain(producers.flat_map(BTreeMap::keys)).cloned().collect()
    }

    /// Topics in which any group has a position.
    pub(crate) fn topics(&self) -> BTreeSet<String> {
        let places = self.groups().into_iter().flat_map(|group| self.places(group));
        places.map(|(topic, _)| topic).collect()
    }

    /// Forgets all groups' positions in a topic that was deleted.
    pub(crate) fn delete_topic(&mut self, topic: &str) -> io::Result<()> {
        let groups: Vec<String> = self.groups().into_iter().map(str::to_owned).collect();
        for group in groups {
            let held = self.places(&group).into_iter().filter(|(name, _)| name == topic);
            self.delete_all(&group, held)?;
        }
        Ok(())
    }

    fn delete_all(&mut self, group: &str, held: impl IntoIterator<Item = Place>) -> io::Result<()> {
        let line = |(topic, partition)| {
            let (group, committed, producer_id) = (group.to_owned(), None, None);
            Line::Position(Position { group, topic, partition, committed, producer_id })
        };
        self.write(held.into_iter().map(line).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        fs::{self, OpenOptions},
        io::Write,
    };

    use super::*;
    use crate::journal::SURPLUS_MAX;

    fn at(offset: i64) -> Committed {
        Committed { offset, leader_epoch: 3, metadata: "m".to_owned(), time_ms: 7 }
    }

    #[test]
    fn offsets_survive_and_a_torn_line_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let mut offsets = Offsets::open(dir.path()).unwrap();
        let positions = vec![("t".to_owned(), 0, at(5)), ("t".to_owned(), 1, at(6))];
        offsets.commit("g", positions).unwrap();
        offsets.commit("g", vec![("t".to_owned(), 0, at(9))]).unwrap();
        offsets.delete("g", "t", 1).unwrap();
        drop(offsets);
        let mut file = OpenOptions::new().append(true).open(dir.path().join(FILE)).unwrap();
        file.write_all(b"{\"group\":\"g\",\"top").unwrap();
        let offsets = Offsets::open(dir.path()).unwrap();
        assert_eq!(offsets.all("g").collect::<Vec<_>>(), [("t", 0, &at(9))]);
    }

    #[test]
    fn a_log_of_many_commits_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let mut offsets = Offsets::open(dir.path()).unwrap();
        for offset in 0..25_000 {
            offsets.commit("g", vec![("t".to_owned(), 0, at(offset))]).unwrap();
        }
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(text.lines().count() <= SURPLUS_MAX + 1, "{} lines", text.lines().count());
        let offsets = Offsets::open(dir.path()).unwrap();
        assert_eq!(offsets.get("g", "t", 0), Some(&at(24_999)));
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(text.lines().count(), 1, "anew at the start");
    }

    #[test]
    fn a_spoiled_line_in_the_middle_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{}\n{}\n").unwrap();
        let error = Offsets::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
