#![no_main]
//! The bytes inside `JoinGroup` and `SyncGroup`.

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use roka_protocol::{
    Message,
    messages::consumer_protocol::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, decode, encode,
    },
};

fn both_ways<M: Message>(data: &[u8]) {
    let Ok((version, value)) = decode::<M>(Bytes::copy_from_slice(data)) else { return };
    let version = version.min(*M::VERSIONS.end());
    let bytes = encode(version, &value).expect("what was read can be written");
    let again = decode::<M>(bytes).expect("what was written can be read");
    assert_eq!(again, (version, value));
}

fuzz_target!(|data: &[u8]| {
    both_ways::<ConsumerProtocolSubscription>(data);
    both_ways::<ConsumerProtocolAssignment>(data);
});
