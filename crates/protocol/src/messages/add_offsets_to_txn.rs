//! The offsets of a group are enlisted in a transaction.

use crate::declare::{message, request};

request! { AddOffsetsToTxnRequest(25) to TransactionCoordinator -> AddOffsetsToTxnResponse; }

message! {
    /// The group to be enlisted.
    pub struct AddOffsetsToTxnRequest (versions 0..=4, flexible 3..) {
        pub transactional_id: String,
        pub producer_id: i64,
        pub producer_epoch: i16,
        pub group_id: String,
    }

    /// Whether it was.
    pub struct AddOffsetsToTxnResponse (versions 0..=4, flexible 3..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
    }
}
