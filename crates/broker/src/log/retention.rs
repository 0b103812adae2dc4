//! What of a log goes with time: old segments, superseded records, forgotten producers.

use std::{collections::HashSet, io};

use super::{
    Log,
    compact::{Batches, Cleaned, Compaction, Rules, Source},
};

/// How long a log keeps what it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    pub(crate) now_ms: i64,
    /// Negative: for ever.
    pub(crate) max_age_ms: i64,
    /// Negative: without limit.
    pub(crate) max_bytes: i64,
}

impl Log {
    /// Deletes segments that are too old, or too much; whether any went.
    pub(crate) fn retain(&mut self, keep: Retention) -> io::Result<bool> {
        let before = self.start();
        if keep.max_age_ms >= 0 {
            let oldest = keep.now_ms.saturating_sub(keep.max_age_ms);
            let expired = |max_timestamp: i64| max_timestamp >= 0 && max_timestamp < oldest;
            // As in Kafka, the active segment goes too when all of it is too old.
            if expired(self.active().max_timestamp) {
                self.roll()?;
            }
            let gone = self.segments.iter().take_while(|it| expired(it.max_timestamp)).last();
            if let Some(upto) = gone.map(|it| it.next_offset) {
                self.delete_before(upto)?;
            }
        }
        if keep.max_bytes >= 0 {
            let mut surplus = self.size().saturating_sub(keep.max_bytes as u64);
            let sealed = self.segments.len() - 1;
            let mut upto = None;
            for segment in &self.segments[..sealed] {
                if segment.size() > surplus {
                    break;
                }
                surplus -= segment.size();
                upto = Some(segment.next_offset);
            }
            if let Some(upto) = upto {
                self.delete_before(upto)?;
            }
        }
        Ok(self.start() > before)
    }

    /// How much of the sealed segments compaction has not seen yet, from 0 to 1.
    pub(crate) fn dirty_ratio(&self) -> f64 {
        let sealed = &self.segments[..self.segments.len() - 1];
        let all: u64 = sealed.iter().map(super::Segment::size).sum();
        let dirty = sealed.iter().filter(|it| it.base_offset >= self.cleaned_to);
        let dirty: u64 = dirty.map(super::Segment::size).sum();
        if all == 0 { 0.0 } else { dirty as f64 / all as f64 }
    }

    /// What a compaction is to work on; `None` when there is nothing.
    pub(crate) fn begin_compaction(&mut self, rules: Rules) -> Option<Compaction> {
        let newest = rules.now_ms.saturating_sub(rules.min_compaction_lag_ms);
        let stable = self.last_stable();
        let sealed = self.segments.len() - 1;
        let ripe = |it: &&mut super::Segment| {
            let old_enough = rules.min_compaction_lag_ms == 0 || it.max_timestamp <= newest;
            old_enough && it.next_offset <= stable
        };
        let sources: Vec<Source> = self.segments[..sealed]
            .iter_mut()
            .take_while(ripe)
            .map(|it| Source {
                base_offset: it.base_offset,
                next_offset: it.next_offset,
                batches: it.batches().map_or_else(Batches::File, Batches::Memory),
            })
            .collect();
        if sources.is_empty() {
            return None;
        }
        Some(Compaction {
            sources,
            dir: self.dir.clone(),
            aborted: self.producers.aborted_in(0, i64::MAX).copied().collect(),
            last_batches: self.producers.last_batches().collect::<HashSet<_, _>>(),
            rules,
        })
    }

    /// Puts cleaned segments in the place of those they were made from, the oldest first. Those that are gone by now
    /// are left gone.
    pub(crate) fn finish_compaction(&mut self, cleaned: Vec<Cleaned>) -> io::Result<()> {
        for Cleaned { base_offset, segment, markers } in cleaned {
            self.producers.forget_markers(&markers);
            let at = self.segments.iter().position(|it| it.base_offset == base_offset);
            match (at, segment) {
                (Some(at), Some(mut segment)) => {
                    segment.publish()?;
                    segment.created_ms = self.segments[at].created_ms;
                    self.cleaned_to = self.cleaned_to.max(segment.next_offset);
                    self.segments[at] = segment;
                }
                (Some(at), None) => {
                    let gone = self.segments.remove(at);
                    self.cleaned_to = self.cleaned_to.max(gone.next_offset);
                    gone.delete()?;
                }
                (None, Some(segment)) => segment.delete()?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}
