//! A walk over the records of a batch that can pause: between two records nothing is borrowed.
//!
//! [`RecordIter`](super::RecordIter) is the way for a loop; a [`RecordWalk`] is for who looks at
//! one record here and the next one later, as a merge of several partitions does.

use super::iter::Walk;
use super::{Batch, Decompressor, Record, RecordError};

/// Where a walk stands. Belongs to one batch and, when that is compressed, to the decompressor that
/// [`Batch::open`] was given, which must not open another batch meanwhile. A batch that was
/// [inflated](Batch::inflate) needs no decompressor of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordWalk {
    walk: Walk,
    at: usize,
}

impl Batch {
    /// Begins a walk: decompresses the records into `decompressor` if need be. Does not check the
    /// checksum.
    pub fn open(&self, decompressor: &mut Decompressor) -> Result<RecordWalk, RecordError> {
        let data = self.unpack(decompressor)?;
        Ok(RecordWalk { walk: Walk::new(self.header(), data)?, at: 0 })
    }

    /// Whether [`next_record`](Self::next_record) has something to give, be it an error.
    #[inline]
    pub fn has_next(&self, decompressor: &Decompressor, walk: &RecordWalk) -> bool {
        let data = self.inflated_records().unwrap_or_else(|| decompressor.unpacked());
        data.get(walk.at..).is_some_and(|rest| !walk.walk.is_over(rest))
    }

    /// The next record of the walk, none at its end. After an error the walk has ended.
    #[inline]
    pub fn next_record<'a>(
        &'a self,
        decompressor: &'a Decompressor,
        walk: &mut RecordWalk,
    ) -> Option<Result<Record<'a>, RecordError>> {
        let data = self.inflated_records().unwrap_or_else(|| decompressor.unpacked());
        let (record, rest) = walk.walk.next(data.get(walk.at..)?)?;
        walk.at = data.len() - rest.len();
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{
        BatchBuilder, BatchOptions, Batches, Compression, HEADER_SIZE, ProducerFields,
    };

    fn batch(compression: Compression) -> Batch {
        let mut builder = BatchBuilder::new(BatchOptions::with_compression(compression));
        for i in 0..100i64 {
            let value = vec![i as u8; i as usize];
            let headers: [(&[u8], Option<&[u8]>); 1] = [(b"h", Some(b"v"))];
            builder.push(1000 + i, Some(b"key"), Some(&value), headers).unwrap();
        }
        Batches::new(builder.build(ProducerFields::NONE).unwrap()).next().unwrap().unwrap()
    }

    #[test]
    fn a_walk_gives_what_the_iteration_gives() {
        for compression in [Compression::None, Compression::Lz4] {
            let batch = batch(compression);
            let mut other = Decompressor::new();
            let wanted: Vec<_> = batch.records(&mut other).unwrap().map(Result::unwrap).collect();
            let mut decompressor = Decompressor::new();
            let mut walk = batch.open(&mut decompressor).unwrap();
            let mut n = 0;
            while let Some(record) = batch.next_record(&decompressor, &mut walk) {
                assert_eq!(record.unwrap(), wanted[n]);
                n += 1;
                assert_eq!(batch.has_next(&decompressor, &walk), n < 100);
            }
            assert_eq!(n, 100);
            assert!(batch.next_record(&decompressor, &mut walk).is_none());

            let other = Decompressor::new();
            let batch = batch.clone().inflate(&mut Decompressor::new()).unwrap();
            let mut walk = batch.open(&mut decompressor).unwrap();
            let first = batch.next_record(&other, &mut walk);
            assert_eq!(first.unwrap().unwrap(), wanted[0]);
        }
    }

    #[test]
    fn a_walk_ends_after_an_error() {
        let whole = batch(Compression::None);
        let mut bytes = whole.bytes().to_vec();
        // The length of the first record.
        bytes[HEADER_SIZE] = 0xff;
        let batch = Batch::read(&bytes.into()).unwrap().unwrap();
        let mut decompressor = Decompressor::new();
        let mut walk = batch.open(&mut decompressor).unwrap();
        assert!(batch.next_record(&decompressor, &mut walk).unwrap().is_err());
        assert!(batch.next_record(&decompressor, &mut walk).is_none());
    }
}
