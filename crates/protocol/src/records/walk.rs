//! A walk over the records of a batch that can pause: between two records nothing is borrowed.
//!
//! [`RecordIter`] is the way for a loop; a [`RecordWalk`] is for who looks at one record here and the next one later,
//! as a merge of several partitions does.

use super::{Batch, Compression, Decompressor, HEADER_SIZE, Record, RecordError, RecordIter};

/// Where a walk stands. Belongs to one batch and, when that is compressed, to the decompressor that
/// [`Batch::open`] was given, which must not open another batch meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordWalk {
    at: usize,
    left: i32,
}

impl Batch {
    /// Begins a walk: decompresses the records into `decompressor` if need be. Does not check the checksum.
    pub fn open(&self, decompressor: &mut Decompressor) -> Result<RecordWalk, RecordError> {
        // Checks count and format.
        self.records(decompressor)?;
        Ok(RecordWalk { at: 0, left: self.header().count })
    }

    /// The next record of the walk, none at its end. After an error the walk has ended.
    #[inline]
    pub fn next_record<'a>(
        &'a self,
        decompressor: &'a Decompressor,
        walk: &mut RecordWalk,
    ) -> Option<Result<Record<'a>, RecordError>> {
        let records = match self.compression() {
            Compression::None => self.bytes().get(HEADER_SIZE..)?,
            _ => decompressor.unpacked(),
        };
        let mut rest = RecordIter::resume(self.header(), records.get(walk.at..)?, walk.left);
        let record = rest.next();
        walk.left = rest.left();
        walk.at = records.len() - rest.rest().len();
        record
    }
}

#[cfg(test)]
mod tests {
    use crate::records::{BatchBuilder, BatchOptions, Batches, ProducerFields};

    use super::*;

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
            }
            assert_eq!(n, 100);
            assert!(batch.next_record(&decompressor, &mut walk).is_none());
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
