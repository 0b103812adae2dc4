//! Records of one partition as a broker sent them, read where they are needed.
//!
//! Rules:
//! - The I/O thread looks at the headers of batches only: where the chunk ends. Checksums, decompression and
//!   records are the reader's work, on the reader's thread.
//! - Records below the wanted offset (a broker sends whole batches), control batches and, when read committed,
//!   records of aborted transactions are passed over.
//! - The position after a chunk is [`Chunk::next`], also when no record of it is visible: compaction leaves gaps,
//!   and the last batch may hold nothing but a transaction's marker.
//! - An error names the offset from which on the partition was not read.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use roka_protocol::{
    messages::fetch::AbortedTransaction,
    records::{Batch, BatchHeader, Batches, ControlRecord, Decompressor, Record, RecordError},
};

use super::{FetchError, Position, aborted::Aborted, flow::Credit};
use crate::TopicPartition;

/// Some records of one partition. Its bytes count against its queue until it is dropped.
#[derive(Debug)]
pub struct Chunk {
    pub(super) partition: TopicPartition,
    pub(super) tag: u64,
    pub(super) offset: i64,
    pub(super) next: Position,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start_offset: i64,
    pub(super) records: Bytes,
    /// Those of the response, if only committed records shall be seen.
    pub(super) aborted: Vec<AbortedTransaction>,
    pub(super) check_crcs: bool,
    /// Held until the chunk is dropped; none in tests of chunks by themselves.
    #[expect(dead_code, reason = "it does its work when it is dropped")]
    pub(super) credit: Option<Credit>,
}

impl Chunk {
    /// The partition.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The partition's topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.partition.topic
    }

    /// What the assignment was tagged with.
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// The first offset that was wanted. The first record may have a higher one.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Where the partition is read on after this chunk: what to commit when it is processed.
    pub fn next(&self) -> Position {
        self.next
    }

    /// The end of what is replicated, when this was fetched. Records below are visible unless a transaction hides
    /// them.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The end of what is decided: the offset of the first open transaction, or the high watermark. The high
    /// watermark from brokers before 0.11.
    pub fn last_stable_offset(&self) -> i64 {
        self.last_stable_offset
    }

    /// The first offset of the log when this was fetched; -1 from brokers before 1.0.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// The batches as they came, with checksums not looked at: for those who pass them on.
    pub fn bytes(&self) -> &Bytes {
        &self.records
    }

    /// Calls `f` with each visible record, in order. `decompressor` is to be used again for the next chunk.
    ///
    /// On an error the records before it were seen.
    pub fn for_each(
        &self,
        decompressor: &mut Decompressor,
        mut f: impl FnMut(Record<'_>),
    ) -> Result<(), FetchError> {
        let flow = self.try_for_each(decompressor, |record| {
            f(record);
            ControlFlow::<()>::Continue(())
        });
        flow.map(|_| ())
    }

    /// As [`for_each`](Self::for_each), until `f` breaks.
    pub fn try_for_each<B>(
        &self,
        decompressor: &mut Decompressor,
        mut f: impl FnMut(Record<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, FetchError> {
        let mut filter = Filter::new(self);
        for batch in Batches::new(self.records.clone()) {
            let batch = batch.map_err(|error| self.corrupt(&filter, error))?;
            if !filter.admits(&batch, decompressor).map_err(|e| self.corrupt(&filter, e))? {
                continue;
            }
            let records = batch.records(decompressor).map_err(|e| self.corrupt(&filter, e))?;
            for record in records {
                let record = record.map_err(|error| self.corrupt(&filter, error))?;
                if record.offset < self.offset {
                    continue;
                }
                if let ControlFlow::Break(value) = f(record) {
                    return Ok(ControlFlow::Break(value));
                }
            }
            filter.pass(&batch);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The error of a batch that cannot be read.
    pub(super) fn corrupt(&self, filter: &Filter, error: RecordError) -> FetchError {
        FetchError::Corrupt { partition: self.partition.clone(), offset: filter.position, error }
    }
}

/// Which batches of a chunk are for the reader.
#[derive(Debug)]
pub(super) struct Filter {
    /// Everything below was passed.
    position: i64,
    aborted: Aborted,
    check_crcs: bool,
}

impl Filter {
    pub(super) fn new(chunk: &Chunk) -> Self {
        Self {
            position: chunk.offset,
            aborted: Aborted::new(chunk.aborted.clone()),
            check_crcs: chunk.check_crcs,
        }
    }

    /// Whether the reader shall see the records of this batch. Batches are to be given in order.
    pub(super) fn admits(
        &mut self,
        batch: &Batch,
        decompressor: &mut Decompressor,
    ) -> Result<bool, RecordError> {
        if self.check_crcs {
            batch.validate_crc()?;
        }
        let wanted = batch.last_offset() >= self.position;
        if self.aborted.is_empty() {
            return Ok(wanted && !batch.is_control());
        }
        let covered = self.aborted.covers(batch);
        if batch.is_control() {
            for record in batch.records(decompressor)? {
                if let ControlRecord::Abort { .. } = ControlRecord::decode(&record?)? {
                    self.aborted.end(batch.producer_id());
                }
            }
            return Ok(false);
        }
        Ok(wanted && !covered)
    }

    /// The batch was read.
    pub(super) fn pass(&mut self, batch: &Batch) {
        self.position = self.position.max(batch.next_offset());
    }
}

/// What the headers of fetched batches say: where to fetch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// After the last whole batch; none if there is no whole batch.
    pub(super) next: Option<Position>,
    /// The bytes of whole batches, and of what breaks the format.
    pub(super) bytes: usize,
    /// Whether something breaks the format: nothing behind it can be read.
    pub(super) broken: bool,
}

impl Span {
    /// Walks over the headers. What breaks the format ends the span *behind* it, so that the reader meets the error:
    /// it is his to report, and nothing is fetched twice meanwhile.
    pub(super) fn of(records: &[u8]) -> Self {
        let mut span = Self { next: None, bytes: 0, broken: false };
        loop {
            match BatchHeader::read(&records[span.bytes..]) {
                Ok(Some(header)) => {
                    let leader_epoch = (header.leader_epoch >= 0).then_some(header.leader_epoch);
                    let offset = header.next_offset();
                    span.next = Some(Position { offset, leader_epoch });
                    span.bytes += header.size;
                }
                Ok(None) => return span,
                Err(_) => {
                    span.bytes = records.len();
                    span.broken = true;
                    return span;
                }
            }
        }
    }
}
