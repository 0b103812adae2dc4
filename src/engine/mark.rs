//! What a changelog record stands for: the offsets of the inputs that its value includes.
//!
//! A commit first writes rows to the changelog and then commits input offsets. A crash between the two leaves rows that
//! already include inputs that will be read again: counting those inputs again would be wrong. Leaving such rows out when
//! recovering would be wrong too, as soon as compaction has removed the older row of the key. So each row carries, in
//! the header [`HEADER`], for each input the offset that was committed before (`from`) and the offset up to which
//! its value includes the input (`to`), and recovery turns the rows of an unfinished commit into [`Guards`]:
//!
//! - A row with `from <= committed < to` belongs to a commit that did not end. It is kept, and the
//!   records of its key below `to` are passed over when they are read again: the row includes them.
//! - Everything that those records emitted is already acknowledged: a commit writes rows only after its emits are.
//! - `from > committed` means that somebody set the group's offsets back on purpose: the records are processed again.
//! - `to <= committed` is the normal case: the row is older than the committed offsets.
//!
//! The header's value is a version byte and, per input, FNV-1a-32 of the topic's name, `from` and `to`, big-endian.
//! Goka and the Java tools ignore it. Topics of brokers before 0.11 have no headers: there an input may count twice.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Name of the header that carries the mark.
pub(crate) const HEADER: &[u8] = b"roka-in";

const VERSION: u8 = 1;
const ENTRY: usize = 20;

/// The name of an input, as marks have it.
pub(crate) fn topic_hash(topic: &str) -> u32 {
    topic.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// One input of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// [`topic_hash`] of the input.
    pub(crate) topic: u32,
    /// The offset that was committed when the row was written.
    pub(crate) from: i64,
    /// The row includes every record of its key below this offset.
    pub(crate) to: i64,
}

/// Appends the header's value to `into`.
pub(crate) fn encode(spans: impl IntoIterator<Item = Span>, into: &mut Vec<u8>) {
    into.push(VERSION);
    for Span { topic, from, to } in spans {
        into.extend_from_slice(&topic.to_be_bytes());
        into.extend_from_slice(&from.to_be_bytes());
        into.extend_from_slice(&to.to_be_bytes());
    }
}

/// The spans of a header's value; none for a version or length that this one does not know.
pub(crate) fn decode(bytes: &[u8]) -> impl Iterator<Item = Span> + '_ {
    let entries = match bytes.split_first() {
        Some((&VERSION, entries)) if entries.len() % ENTRY == 0 => entries,
        _ => &[],
    };
    entries.as_chunks::<ENTRY>().0.iter().map(|[a, b, c, d, offsets @ ..]| {
        let (offsets, _) = offsets.as_chunks::<8>();
        Span {
            topic: u32::from_be_bytes([*a, *b, *c, *d]),
            from: i64::from_be_bytes(offsets[0]),
            to: i64::from_be_bytes(offsets[1]),
        }
    })
}

/// An input as recovery finds it: [`topic_hash`] and the offset at which reading begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// [`topic_hash`] of the input.
    pub(crate) topic: u32,
    /// The committed offset, or where reading begins without one.
    pub(crate) offset: i64,
}

/// The rows of unfinished commits, and which records they already include.
///
/// Empty in normal operation; the checks of the hot path are then one branch.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    starts: Vec<Start>,
    rows: HashMap<Box<[u8]>, Guard, RandomState>,
    /// Per input the highest offset that any guard covers.
    highest: Vec<i64>,
    /// The first changelog record that has to be read again as long as there are guards.
    floor: Option<i64>,
}

/// Per input, the offset below which records are included. 0 where the input is not guarded.
type Guard = Box<[i64]>;

impl Guards {
    /// For inputs in the order of the graph.
    pub(crate) fn new(starts: Vec<Start>) -> Self {
        let highest = vec![0; starts.len()];
        Self { starts, highest, ..Self::default() }
    }

    /// Takes note of a changelog record that recovery has read; `mark` is the value of its header.
    pub(crate) fn observe(&mut self, key: &[u8], offset: i64, mark: Option<&[u8]>) {
        let guard = mark.and_then(|mark| self.unfinished(mark));
        match guard {
            Some(guard) => {
                for (highest, to) in self.highest.iter_mut().zip(&guard) {
                    *highest = (*highest).max(*to);
                }
                self.floor.get_or_insert(offset);
                self.rows.insert(key.into(), guard);
            }
            None if self.rows.is_empty() => {}
            None => drop(self.rows.remove(key)),
        }
    }

    fn unfinished(&self, mark: &[u8]) -> Option<Guard> {
        let mut guard: Option<Guard> = None;
        for span in decode(mark) {
            let Some(input) = self.starts.iter().position(|start| start.topic == span.topic) else {
                continue;
            };
            if span.from <= self.starts[input].offset && self.starts[input].offset < span.to {
                guard.get_or_insert_with(|| vec![0; self.starts.len()].into())[input] = span.to;
            }
        }
        guard
    }

    /// Whether there is nothing to pass over.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the row of `key` already includes the record at `offset` of `input`.
    #[inline]
    pub(crate) fn include(&self, input: usize, offset: i64, key: &[u8]) -> bool {
        !self.rows.is_empty() && self.rows.get(key).is_some_and(|guard| offset < guard[input])
    }

    /// Up to which offset of `input` a row of `key` written now includes records, with the input read up to `position`.
    pub(crate) fn reach(&self, input: usize, position: i64, key: &[u8]) -> i64 {
        self.rows.get(key).map_or(position, |guard| guard[input].max(position))
    }

    /// Whether a row of `key` needs a mark of its own.
    pub(crate) fn concern(&self, key: &[u8]) -> bool {
        !self.rows.is_empty() && self.rows.contains_key(key)
    }

    /// An input begins elsewhere than was committed: what was written about it says nothing any more.
    pub(crate) fn forget_input(&mut self, input: usize) {
        self.highest[input] = 0;
        for guard in self.rows.values_mut() {
            guard[input] = 0;
        }
        self.rows.retain(|_, guard| guard.iter().any(|&to| to > 0));
    }

    /// The inputs are committed up to `positions`: guards below them have done their work.
    pub(crate) fn committed(&mut self, positions: &[i64]) {
        if self.highest.iter().zip(positions).all(|(highest, position)| highest <= position) {
            self.rows.clear();
            self.floor = None;
        }
    }

    /// The local store must not claim to be further than this changelog offset.
    pub(crate) fn floor(&self) -> Option<i64> {
        self.floor
    }
}

#[cfg(test)]
mod tests;
