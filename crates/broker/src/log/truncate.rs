//! Records at the end of the log are lost, as when a replica that lacks them becomes leader.

use std::io;

use bytes::Bytes;

use super::{
    Log, Producers, Segment,
    header::{self, Header},
};

impl Log {
    /// Removes all batches that reach to `offset` or beyond it; the log ends there, or where the batch that held it began.
    pub(crate) fn truncate_back(&mut self, offset: i64, now_ms: i64) -> io::Result<()> {
        if offset >= self.end() {
            return Ok(());
        }
        let mut end = offset;
        let dir = self.dir.clone();
        let mut kept = Vec::new();
        for mut segment in std::mem::take(&mut self.segments) {
            let (base_offset, created_ms) = (segment.base_offset, segment.created_ms);
            let batches = all_batches(&mut segment)?;
            // A segment that is rebuilt has the name of the old one.
            segment.delete()?;
            let whole = batches.iter().take_while(|(header, _)| header.last_offset() < offset);
            let whole = whole.count();
            if let Some((dropped, _)) = batches.get(whole) {
                end = end.min(dropped.base_offset);
            }
            if base_offset >= end {
                continue;
            }
            let mut rebuilt = Segment::create(base_offset, dir.as_deref())?;
            rebuilt.created_ms = created_ms;
            for (_, batch) in &batches[..whole] {
                rebuilt.append(batch, |_| {})?;
            }
            kept.push(rebuilt);
        }
        // Also when compaction left a gap before the first batch that is gone, and when nothing is left.
        if kept.last().is_none_or(|it| it.next_offset < end) {
            if kept.last().is_some_and(Segment::is_empty)
                && let Some(empty) = kept.pop()
            {
                empty.delete()?;
            }
            kept.push(Segment::create(end, dir.as_deref())?);
        }
        self.segments = kept;
        self.start = self.start.min(end);
        self.cleaned_to = self.cleaned_to.min(end);
        self.forget_from(end, now_ms)
    }

    /// Epochs and producers as the batches that are left tell them.
    fn forget_from(&mut self, end: i64, now_ms: i64) -> io::Result<()> {
        self.epochs.truncate_back(end);
        self.producers = Producers::default();
        for segment in &mut self.segments {
            for (header, batch) in all_batches(segment)? {
                self.producers.note(&header, &batch, now_ms);
            }
        }
        Ok(())
    }
}

fn all_batches(segment: &mut Segment) -> io::Result<Vec<(Header, Bytes)>> {
    let mut all = Vec::new();
    let mut position = 0;
    while position < segment.size() {
        let block = segment.read(position, 1 << 20)?;
        all.extend(header::batches(&block));
        position += block.len() as u64;
    }
    Ok(all)
}
