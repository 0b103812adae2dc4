//! Reads a chunk record by record, with pauses: for who merges several partitions.

use roka_protocol::records::{Batch, Batches, Decompressor, Record, RecordWalk};

use super::{Chunk, FetchError, Position, chunk::Filter};

/// A place in a [`Chunk`]. Between two records nothing is borrowed, and nothing is allocated per record.
///
/// ```no_run
/// # use roka_client::consumer::{Chunk, Cursor, FetchError};
/// fn sum(chunk: Chunk) -> Result<usize, FetchError> {
///     let mut cursor = Cursor::new(chunk);
///     let mut bytes = 0;
///     while let Some(record) = cursor.next()? {
///         bytes += record.value.map_or(0, <[u8]>::len);
///     }
///     Ok(bytes)
/// }
/// ```
#[derive(Debug)]
pub struct Cursor {
    chunk: Chunk,
    filter: Filter,
    batches: Batches,
    open: Option<(Batch, RecordWalk)>,
    decompressor: Decompressor,
}

impl Cursor {
    /// At the first record of the chunk.
    pub fn new(chunk: Chunk) -> Self {
        Self::with_decompressor(chunk, Decompressor::new())
    }

    fn with_decompressor(chunk: Chunk, decompressor: Decompressor) -> Self {
        let filter = Filter::new(&chunk);
        let batches = Batches::new(chunk.records.clone());
        Self { chunk, filter, batches, open: None, decompressor }
    }

    /// Goes on with the partition's next chunk; what is left of this one is passed over. Uses the buffers again.
    #[must_use]
    pub fn with_chunk(self, chunk: Chunk) -> Self {
        Self::with_decompressor(chunk, self.decompressor)
    }

    /// The chunk it reads.
    pub fn chunk(&self) -> &Chunk {
        &self.chunk
    }

    /// Where the partition is read on after the chunk: [`Chunk::next`].
    pub fn end(&self) -> Position {
        self.chunk.next
    }

    /// The next visible record; none at the end of the chunk. After an error, the end.
    #[expect(clippy::should_implement_trait, reason = "the record borrows from the cursor")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, FetchError> {
        if !self.seek_record()? {
            return Ok(None);
        }
        let Some((batch, walk)) = &mut self.open else { return Ok(None) };
        match batch.next_record(&self.decompressor, walk) {
            Some(Ok(record)) => Ok(Some(record)),
            Some(Err(error)) => Err(self.chunk.corrupt(&self.filter, error)),
            None => Ok(None),
        }
    }

    /// The next visible record without moving past it.
    pub fn peek(&mut self) -> Result<Option<Record<'_>>, FetchError> {
        if !self.seek_record()? {
            return Ok(None);
        }
        let Some((batch, walk)) = &self.open else { return Ok(None) };
        match batch.next_record(&self.decompressor, &mut walk.clone()) {
            Some(Ok(record)) => Ok(Some(record)),
            Some(Err(error)) => Err(self.chunk.corrupt(&self.filter, error)),
            None => Ok(None),
        }
    }

    /// Opens batches until one has a record to give.
    fn seek_record(&mut self) -> Result<bool, FetchError> {
        loop {
            if let Some((batch, walk)) = &self.open {
                if batch.has_next(&self.decompressor, walk) {
                    return Ok(true);
                }
                self.filter.pass(batch);
                self.open = None;
            }
            let Some(batch) = self.batches.next() else { return Ok(false) };
            let opened = batch.and_then(|batch| {
                if !self.filter.admits(&batch, &mut self.decompressor)? {
                    return Ok(None);
                }
                let walk = batch.open(&mut self.decompressor)?;
                Ok(Some((batch, walk)))
            });
            match opened {
                Ok(None) => {}
                Ok(Some((batch, walk))) => {
                    let walk = self.skip(&batch, walk);
                    self.open = Some((batch, walk));
                }
                Err(error) => {
                    self.batches = Batches::new(bytes::Bytes::new());
                    return Err(self.chunk.corrupt(&self.filter, error));
                }
            }
        }
    }

    /// Passes over the records below the wanted offset.
    fn skip(&self, batch: &Batch, mut walk: RecordWalk) -> RecordWalk {
        loop {
            let mut probe = walk;
            match batch.next_record(&self.decompressor, &mut probe) {
                Some(Ok(record)) if record.offset < self.chunk.offset => walk = probe,
                _ => return walk,
            }
        }
    }
}
