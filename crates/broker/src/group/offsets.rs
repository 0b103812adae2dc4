//! The committed offsets of all groups, in a folder a log of JSON lines.
//!
//! A line is written before a commit is answered, so offsets survive the end of the process. A torn last line, of a process
//! that died while it wrote, is dropped; the log is written anew at every start, and when it has grown to several times
//! what it holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

const FILE: &str = "group-offsets.jsonl";
/// The log is written anew when it has this many lines more than offsets.
const SURPLUS_MAX: usize = 10_000;

/// A committed position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(crate) time_ms: i64,
}

type Positions = BTreeMap<(String, i32), Committed>;

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    group: String,
    topic: String,
    partition: i32,
    /// None deletes.
    committed: Option<Committed>,
}

#[derive(Debug, Default)]
pub(crate) struct Offsets {
    groups: BTreeMap<String, Positions>,
    log: Option<Log>,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    lines: usize,
    bytes: u64,
}

impl Log {
    /// All of the text or none: a torn line may only be the last one.
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(text);
        if written.is_err() {
            self.file.set_len(self.bytes)?;
        } else {
            self.bytes += text.len() as u64;
        }
        written
    }
}

impl Offsets {
    /// What the folder has.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut offsets = Self::default();
        let mut lines = text.split_inclusive(|byte| *byte == b'\n').peekable();
        let mut number = 0;
        while let Some(line) = lines.next() {
            number += 1;
            match serde_json::from_slice(line) {
                Ok(line) => offsets.apply(line),
                Err(_) if lines.peek().is_none() => {
                    tracing::warn!(path = %path.display(), number, "a torn last line is dropped");
                }
                Err(error) => {
                    let why = format!("{}: line {number}: {error}", path.display());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
        offsets.rewrite(&path)?;
        Ok(offsets)
    }

    fn apply(&mut self, line: Line) {
        let positions = self.groups.entry(line.group).or_default();
        match line.committed {
            Some(committed) => positions.insert((line.topic, line.partition), committed),
            None => positions.remove(&(line.topic, line.partition)),
        };
    }

    /// Writes all offsets to a new file that takes the place of the old one.
    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let mut text = Vec::new();
        let mut lines = 0;
        for (group, positions) in &self.groups {
            for ((topic, partition), committed) in positions {
                let line = Line {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                    committed: Some(committed.clone()),
                };
                serde_json::to_writer(&mut text, &line)?;
                text.push(b'\n');
                lines += 1;
            }
        }
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        let bytes = text.len() as u64;
        self.log = Some(Log { path: path.to_owned(), file, lines, bytes });
        Ok(())
    }

    fn write(&mut self, lines: Vec<Line>) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            let mut text = Vec::new();
            for line in &lines {
                serde_json::to_writer(&mut text, line)?;
                text.push(b'\n');
            }
            log.append(&text)?;
            log.lines += lines.len();
        }
        for line in lines {
            self.apply(line);
        }
        let held: usize = self.groups.values().map(BTreeMap::len).sum();
        if let Some(log) = &self.log
            && log.lines > held + SURPLUS_MAX
        {
            let path = log.path.clone();
            self.rewrite(&path)?;
        }
        Ok(())
    }

    /// Groups that have committed.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    pub(crate) fn commit(
        &mut self,
        group: &str,
        positions: Vec<(String, i32, Committed)>,
    ) -> io::Result<()> {
        let line = |(topic, partition, committed)| Line {
            group: group.to_owned(),
            topic,
            partition,
            committed: Some(committed),
        };
        self.write(positions.into_iter().map(line).collect())
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
        let (group, topic) = (group.to_owned(), topic.to_owned());
        self.write(vec![Line { group, topic, partition, committed: None }])
    }

    pub(crate) fn delete_group(&mut self, group: &str) -> io::Result<()> {
        let held: Vec<(String, i32)> =
            self.all(group).map(|(topic, partition, _)| (topic.to_owned(), partition)).collect();
        self.delete_all(group, held)?;
        self.groups.remove(group);
        Ok(())
    }

    /// Topics in which any group has a position.
    pub(crate) fn topics(&self) -> BTreeSet<String> {
        self.groups.values().flat_map(BTreeMap::keys).map(|(topic, _)| topic.clone()).collect()
    }

    /// Forgets all groups' positions in a topic that was deleted.
    pub(crate) fn delete_topic(&mut self, topic: &str) -> io::Result<()> {
        let groups: Vec<String> = self.groups().map(str::to_owned).collect();
        for group in groups {
            let held: Vec<(String, i32)> = self
                .all(&group)
                .filter(|(name, ..)| *name == topic)
                .map(|(topic, partition, _)| (topic.to_owned(), partition))
                .collect();
            self.delete_all(&group, held)?;
        }
        Ok(())
    }

    fn delete_all(&mut self, group: &str, held: Vec<(String, i32)>) -> io::Result<()> {
        let line = |(topic, partition)| Line {
            group: group.to_owned(),
            topic,
            partition,
            committed: None,
        };
        self.write(held.into_iter().map(line).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

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
