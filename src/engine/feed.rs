//! The inputs of one partition: from fetched chunks to the next record to process.
//!
//! - One queue per partition, bounded in bytes; the chunks of one input wait behind its current block.
//! - A block is decoded only when the one before it is processed, so that at most one block per input is in memory.
//! - The position after a block counts what had no record: compaction, markers, records of aborted transactions.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use roka_client::{
    TopicPartition,
    consumer::{
        Chunk, FetchError, FetchEvent, FetchQueue, Fetcher, Isolation, Position, Reset,
        ResetPolicy, Start,
    },
    records::Decompressor,
};

use super::{
    block::Block,
    merge::{Choice, Head, Merge},
};

/// Bytes of fetched chunks that one input of a partition may have waiting.
const INPUT_BYTES_MAX: usize = 2 << 20;

/// One input of the partition.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) topic: Arc<str>,
    chunks: VecDeque<Chunk>,
    pub(crate) block: Block,
    /// The position once the block is processed.
    next: i64,
    /// The end of the log, as far as the last fetch knows.
    end: i64,
    /// Records processed.
    pub(crate) records: u64,
}

impl Feed {
    fn head(&self) -> Head {
        match self.block.timestamp_ms() {
            Some(timestamp) => Head::Ready(timestamp),
            None if self.next < self.end => Head::Behind,
            None => Head::Idle,
        }
    }

    /// Where the input ended when it was last fetched.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// The position after everything in the block.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }
}

/// Something that is not a record.
#[derive(Debug)]
pub(crate) enum News {
    /// The block of this input was decoded: its position is now known to be the block's end once it is processed.
    Block(usize),
    /// This input goes on elsewhere.
    Reset(usize, Reset),
}

/// All inputs of a partition, assigned to the fetcher until this is dropped.
pub(crate) struct Feeds {
    fetcher: Fetcher,
    partition: i32,
    queue: FetchQueue,
    pub(crate) feeds: Vec<Feed>,
    merge: Merge,
    decompressor: Decompressor,
    isolation: Isolation,
}

/// Where an input begins, and where it ended when that was decided.
#[derive(Debug, Clone)]
pub(crate) struct Begin {
    pub(crate) topic: Arc<str>,
    pub(crate) position: i64,
    pub(crate) end: i64,
}

impl Feeds {
    /// Fetches from now on.
    pub(crate) fn new(
        fetcher: &Fetcher,
        isolation: Isolation,
        partition: i32,
        begins: &[Begin],
    ) -> Self {
        let queue = fetcher.queue(INPUT_BYTES_MAX * begins.len());
        let feeds = begins.iter().enumerate().map(|(input, begin)| {
            let start = Start::At(Position::at(begin.position));
            let name = TopicPartition::new(Arc::clone(&begin.topic), partition);
            fetcher.assign(name, start, ResetPolicy::Earliest, &queue, input as u64);
            Feed {
                topic: Arc::clone(&begin.topic),
                chunks: VecDeque::new(),
                block: Block::default(),
                next: begin.position,
                end: begin.end,
                records: 0,
            }
        });
        let feeds = feeds.collect();
        Self {
            fetcher: fetcher.clone(),
            partition,
            queue,
            feeds,
            merge: Merge::default(),
            decompressor: Decompressor::default(),
            isolation,
        }
    }

    /// Takes what has arrived. `None` when there is nothing more to take now.
    pub(crate) fn poll(&mut self) -> Result<Option<News>, FetchError> {
        while let Some(event) = self.queue.try_recv() {
            if let Some(news) = self.take(event)? {
                return Ok(Some(news));
            }
        }
        for input in 0..self.feeds.len() {
            if self.decode(input)? {
                return Ok(Some(News::Block(input)));
            }
        }
        Ok(None)
    }

    fn take(&mut self, event: FetchEvent) -> Result<Option<News>, FetchError> {
        match event {
            FetchEvent::Data(chunk) => {
                let feed = &mut self.feeds[chunk.tag() as usize];
                // What an open transaction hides is not waiting: nobody knows for how long it stays.
                let end = match self.isolation {
                    Isolation::ReadUncommitted => chunk.high_watermark(),
                    Isolation::ReadCommitted => chunk.last_stable_offset(),
                };
                feed.end = feed.end.max(end);
                feed.chunks.push_back(chunk);
                Ok(None)
            }
            FetchEvent::Reset(reset) => {
                let input = reset.tag as usize;
                let feed = &mut self.feeds[input];
                feed.chunks.clear();
                feed.block.clear();
                feed.next = reset.to;
                feed.end = reset.to;
                Ok(Some(News::Reset(input, reset)))
            }
            FetchEvent::Failed { error, .. } => Err(error),
            _ => Ok(None),
        }
    }

    /// Decodes the next chunk of an input whose block is processed.
    fn decode(&mut self, input: usize) -> Result<bool, FetchError> {
        let feed = &mut self.feeds[input];
        if !feed.block.is_empty() {
            return Ok(false);
        }
        let Some(chunk) = feed.chunks.pop_front() else { return Ok(false) };
        feed.block.clear();
        chunk.for_each(&mut self.decompressor, |record| feed.block.push(&record))?;
        feed.next = chunk.next().offset;
        Ok(true)
    }

    /// Whether [`poll`](Self::poll) has a block to give although no event arrives.
    pub(crate) fn has_waiting(&self) -> bool {
        self.feeds.iter().any(|feed| feed.block.is_empty() && !feed.chunks.is_empty())
    }

    /// Which input gives the next record.
    #[inline]
    pub(crate) fn choose(&mut self) -> Choice {
        if let [feed] = &*self.feeds {
            return if feed.block.is_empty() { Choice::Wait(None) } else { Choice::Take(0) };
        }
        self.merge.choose(self.feeds.iter().map(Feed::head), Instant::now)
    }

    /// Waits for something to arrive, until `until` at the latest; not while something is here to be decoded, since
    /// what is here may be all that the bound of the queue lets in. Cancel safe.
    pub(crate) async fn arrival(
        &mut self,
        until: Option<Instant>,
    ) -> Result<Option<News>, FetchError> {
        if self.has_waiting() {
            return Ok(None);
        }
        let wait = until.map(|until| until.saturating_duration_since(Instant::now()));
        let event = match wait {
            None => self.queue.recv().await,
            Some(wait) => {
                let wait = wait.max(Duration::from_millis(1));
                tokio::time::timeout(wait, self.queue.recv()).await.unwrap_or_default()
            }
        };
        match event {
            Some(event) => self.take(event),
            None => Ok(None),
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        for feed in &self.feeds {
            self.fetcher.unassign(&TopicPartition::new(Arc::clone(&feed.topic), self.partition));
        }
    }
}
