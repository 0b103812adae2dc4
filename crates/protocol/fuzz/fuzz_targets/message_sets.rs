#![no_main]
//! One message of magic 0 or 1 whose head is in order, so that the fuzzer gets past it.

use bytes::{BufMut, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use roka_protocol::records::{Batches, Decompressor};

fuzz_target!(|data: &[u8]| {
    let [magic, attributes, rest @ ..] = data else { return };
    let mut message = BytesMut::new();
    message.put_i64(7);
    let head = if magic & 1 == 0 { 6 } else { 14 };
    message.put_i32((head + rest.len()) as i32);
    message.put_u32(0);
    message.put_u8(magic & 1);
    message.put_u8(*attributes);
    if magic & 1 == 1 {
        message.put_i64(1_000);
    }
    message.extend_from_slice(rest);
    let mut decompressor = Decompressor::with_limit(1 << 20);
    for batch in Batches::new(Bytes::from(message)) {
        let Ok(batch) = batch else { break };
        if let Ok(records) = batch.records(&mut decompressor) {
            records.take_while(Result::is_ok).for_each(drop);
        }
    }
});
