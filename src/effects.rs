//! What a callback asked for.
//!
//! Emitted messages are encoded back to back in one buffer that is reused from record to record.
//! They take effect together once the callback has returned `Ok`; after an `Err` they are forgotten.

use std::ops::Range;

use crate::{HeaderValue, Result};

/// The messages that one callback emitted, in order.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    bytes: Vec<u8>,
    emits: Vec<EmitAt>,
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
}

/// An emitted message, as places in the buffer.
#[derive(Debug)]
struct EmitAt {
    output: usize,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
    timestamp_ms: Option<i64>,
}

/// An emitted message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emit<'a> {
    effects: &'a Effects,
    at: &'a EmitAt,
}

impl<'a> Emit<'a> {
    /// The output's place among the graph's output edges.
    pub(crate) fn output(&self) -> usize {
        self.at.output
    }

    /// `None` is a null key, which any partition takes.
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        self.at.key.clone().map(|range| &self.effects.bytes[range])
    }

    /// `None` is a null payload, a tombstone in a table.
    pub(crate) fn value(&self) -> Option<&'a [u8]> {
        self.at.value.clone().map(|range| &self.effects.bytes[range])
    }

    /// `None`: the producer's clock at sending, as Goka does.
    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        self.at.timestamp_ms
    }

    pub(crate) fn headers(
        &self,
    ) -> impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone + use<'a> {
        let effects = self.effects;
        effects.headers[self.at.headers.clone()].iter().map(move |(name, value)| {
            (&effects.bytes[name.clone()], value.clone().map(|value| &effects.bytes[value]))
        })
    }
}

impl Effects {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.emits.clear();
        self.headers.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.emits.len()
    }

    pub(crate) fn get(&self, place: usize) -> Option<Emit<'_>> {
        self.emits.get(place).map(|at| Emit { effects: self, at })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Emit<'_>> {
        self.emits.iter().map(|at| Emit { effects: self, at })
    }

    /// Starts a message. Its parts are appended by the methods of [`Draft`].
    pub(crate) fn draft(&mut self, output: usize) -> Draft<'_> {
        let headers = self.headers.len()..self.headers.len();
        let at = EmitAt { output, key: None, value: None, headers, timestamp_ms: None };
        Draft { effects: self, at }
    }
}

/// A message that is being put together; nothing is emitted until [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Draft<'e> {
    effects: &'e mut Effects,
    at: EmitAt,
}

impl Draft<'_> {
    pub(crate) fn key(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.effects.bytes.len();
        encode(&mut self.effects.bytes);
        self.at.key = Some(start..self.effects.bytes.len());
    }

    pub(crate) fn value(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> Result) -> Result {
        let start = self.effects.bytes.len();
        encode(&mut self.effects.bytes)?;
        self.at.value = Some(start..self.effects.bytes.len());
        Ok(())
    }

    pub(crate) fn header(&mut self, name: &[u8], value: &(impl HeaderValue + ?Sized)) {
        let name = self.append(name);
        let value = value.bytes().map(|value| self.append(value));
        self.effects.headers.push((name, value));
        self.at.headers.end += 1;
    }

    pub(crate) fn timestamp_ms(&mut self, timestamp_ms: Option<i64>) {
        self.at.timestamp_ms = timestamp_ms;
    }

    pub(crate) fn finish(self) {
        self.effects.emits.push(self.at);
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.effects.bytes.len();
        self.effects.bytes.extend_from_slice(bytes);
        start..self.effects.bytes.len()
    }
}

/// What a callback did to its row of the group table; applied once it has returned `Ok`.
#[derive(Debug, Default)]
pub(crate) enum Staged<V> {
    #[default]
    Unchanged,
    Set(V),
    Deleted,
}
