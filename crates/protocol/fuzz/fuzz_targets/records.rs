#![no_main]
//! Record batches and message sets one after the other, as a Fetch response carries them.

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use roka_protocol::records::{Batch, Batches, ControlRecord, Decompressor};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    let mut decompressor = Decompressor::with_limit(1 << 20);
    let _ = Batch::from_produce(&bytes);
    for batch in Batches::new(bytes) {
        let Ok(batch) = batch else { break };
        let _ = batch.validate_crc();
        assert!(batch.next_offset() >= batch.base_offset(), "a reader would go back");
        let Ok(records) = batch.records(&mut decompressor) else { continue };
        for record in records {
            let Ok(record) = record else { break };
            let _ = ControlRecord::decode(&record);
            let _ = record.headers.last_value(b"key");
        }
    }
});
