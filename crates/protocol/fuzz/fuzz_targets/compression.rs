#![no_main]
//! One batch whose header is in order: the first byte is the codec, the rest is its payload.

use bytes::{BufMut, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use roka_protocol::records::{Batches, Decompressor};

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let [codec, payload @ ..] = data else { return };
    let mut batch = BytesMut::new();
    batch.put_i64(0);
    batch.put_i32((49 + payload.len()) as i32);
    batch.put_i32(0);
    batch.put_u8(2);
    batch.put_u32(0);
    batch.put_i16(i16::from(codec % 5));
    batch.put_i32(0);
    batch.put_i64(0);
    batch.put_i64(0);
    batch.put_i64(-1);
    batch.put_i16(-1);
    batch.put_i32(-1);
    batch.put_i32(1);
    batch.extend_from_slice(payload);
    let mut decompressor = Decompressor::with_limit(LIMIT);
    for batch in Batches::new(Bytes::from(batch)) {
        let Ok(batch) = batch else { break };
        if let Ok(records) = batch.records(&mut decompressor) {
            records.take_while(Result::is_ok).for_each(drop);
        }
    }
    assert!(decompressor.unpacked().len() <= LIMIT);
});
