//! A closed batch: from its last record to its acknowledgement.
//!
//! It is encoded when it is first sent, for then its sequence and the broker's format are known; only the compression
//! can be done before. What was encoded is shared with the socket that writes it, never changed under it: a batch that
//! gets another sequence is patched in a copy if anybody still holds the old bytes.

use bytes::{Bytes, BytesMut};
use roka_protocol::records::{
    BatchBuilder, BatchOptions, Batches, Compression, Decompressor, HEADER_SIZE, ProducerFields,
    RecordError, patch_producer,
};
use tokio::time::Instant;

use super::error::ProduceError;
use super::receipt::{Promise, Written};

/// What a broker understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Record batches v2, from Produce v3 on (Kafka 0.11).
    Batch(ProducerFields),
    /// Message sets v1, for Produce v2 (Kafka 0.10).
    MessageSet,
}

#[derive(Debug)]
enum Content {
    /// Records as they were appended.
    Records(BatchBuilder),
    Encoded {
        bytes: Bytes,
        format: Format,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Batch {
    content: Content,
    options: BatchOptions,
    /// Where its buffer goes when it is done with.
    spare: Option<BatchBuilder>,
    count: i32,
    headers: bool,
    /// Memory taken from the budget.
    bytes: usize,
    opened: Instant,
    promise: Option<Promise>,
    /// Which flushes wait for it.
    pub(crate) generation: u64,
}

impl Batch {
    /// Of the records of `builder`, which were begun at `opened` and took `bytes` from the budget.
    pub(crate) fn new(
        builder: BatchBuilder,
        headers: bool,
        bytes: usize,
        opened: Instant,
        promise: Option<Promise>,
    ) -> Self {
        let options = *builder.options();
        let count = builder.len() as i32;
        let content = Content::Records(builder);
        Self {
            content,
            options,
            spare: None,
            count,
            headers,
            bytes,
            opened,
            promise,
            generation: 0,
        }
    }

    /// Number of records.
    pub(crate) fn count(&self) -> i32 {
        self.count
    }

    /// Memory taken from the budget.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When its first record came.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether a record has headers.
    pub(crate) fn has_headers(&self) -> bool {
        self.headers
    }

    /// How its records are to be compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.options.compression
    }

    /// Size on the wire, as far as it is known.
    pub(crate) fn wire_size(&self) -> usize {
        match &self.content {
            Content::Records(builder) => builder.size(),
            Content::Encoded { bytes, .. } => bytes.len(),
        }
    }

    /// Compresses it now, on the thread of the caller; the sequence is filled in later. An error shows when it is sent.
    /// Gives the buffer that is free now.
    pub(crate) fn compress(&mut self) -> Option<BatchBuilder> {
        let Content::Records(builder) = &mut self.content else { return None };
        let format = Format::Batch(ProducerFields::NONE);
        let bytes = builder.build(ProducerFields::NONE).ok()?;
        match std::mem::replace(&mut self.content, Content::Encoded { bytes, format }) {
            Content::Records(builder) => Some(builder),
            Content::Encoded { .. } => None,
        }
    }

    /// Its bytes in that format.
    pub(crate) fn encode(&mut self, wanted: Format) -> Result<Bytes, RecordError> {
        let bytes = match (&mut self.content, wanted) {
            (Content::Encoded { bytes, format }, _) if *format == wanted => {
                return Ok(bytes.clone());
            }
            (Content::Encoded { bytes, format: Format::Batch(_) }, Format::Batch(fields)) => {
                let mut patched = std::mem::take(bytes)
                    .try_into_mut()
                    .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                let outcome = patch_producer(&mut patched, fields);
                *bytes = patched.freeze();
                outcome?;
                bytes.clone()
            }
            // The leader speaks another format than the one before: rare enough to read it back.
            (Content::Encoded { bytes, .. }, _) => {
                build(&mut reopen(bytes, self.options)?, wanted)?
            }
            (Content::Records(builder), _) => build(builder, wanted)?,
        };
        let encoded = Content::Encoded { bytes: bytes.clone(), format: wanted };
        if let Content::Records(builder) = std::mem::replace(&mut self.content, encoded) {
            self.spare = Some(builder);
        }
        Ok(bytes)
    }

    /// Two batches in its place, each with about half of its bytes. Only for more than one record.
    pub(crate) fn split(&mut self) -> Result<[Self; 2], RecordError> {
        let whole = match &mut self.content {
            Content::Encoded { bytes, .. } => bytes.clone(),
            Content::Records(builder) => build(builder, Format::Batch(ProducerFields::NONE))?,
        };
        let mut halves = [BatchBuilder::new(self.options), BatchBuilder::new(self.options)];
        let half = self.bytes.midpoint(HEADER_SIZE);
        let last = self.count as usize - 1;
        each_record(&whole, |i, timestamp, key, value, headers| {
            let first_full = !halves[1].is_empty() || halves[0].size() >= half || i == last;
            let into = usize::from(i > 0 && first_full);
            halves[into].push(timestamp, key, value, headers).map(drop)
        })?;
        let bytes = halves[0].size().min(self.bytes);
        let mut promise = self.promise.take();
        let rest = promise.as_mut().map(|promise| promise.split_off(halves[0].len() as u32));
        let [first, second] = halves;
        let mut parts = [
            Self::new(first, self.headers, bytes, self.opened, promise),
            Self::new(second, self.headers, self.bytes - bytes, self.opened, rest),
        ];
        for part in &mut parts {
            part.generation = self.generation;
        }
        Ok(parts)
    }

    /// Tells who waits for it. Gives its buffer, if nobody else holds it.
    pub(crate) fn finish(self, outcome: Result<Written, ProduceError>) -> Option<BatchBuilder> {
        if let Some(promise) = self.promise {
            promise.keep(outcome);
        }
        match self.content {
            Content::Records(mut builder) => {
                builder.reset();
                Some(builder)
            }
            Content::Encoded { bytes, .. } => {
                let mut spare = self.spare?;
                spare.recycle(bytes);
                Some(spare)
            }
        }
    }
}

fn build(builder: &mut BatchBuilder, format: Format) -> Result<Bytes, RecordError> {
    match format {
        Format::Batch(fields) => builder.build(fields),
        Format::MessageSet => builder.build_message_set_v1(),
    }
}

/// The records of encoded bytes in a builder again.
fn reopen(bytes: &Bytes, options: BatchOptions) -> Result<BatchBuilder, RecordError> {
    let mut builder = BatchBuilder::new(options);
    each_record(bytes, |_, timestamp, key, value, headers| {
        builder.push(timestamp, key, value, headers).map(drop)
    })?;
    Ok(builder)
}

fn each_record(
    bytes: &Bytes,
    mut each: impl FnMut(
        usize,
        i64,
        Option<&[u8]>,
        Option<&[u8]>,
        roka_protocol::records::Headers<'_>,
    ) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let mut decompressor = Decompressor::default();
    let mut i = 0;
    for batch in Batches::new(bytes.clone()) {
        let batch = batch?;
        for record in batch.records(&mut decompressor)? {
            let record = record?;
            each(i, record.timestamp_ms, record.key, record.value, record.headers)?;
            i += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
