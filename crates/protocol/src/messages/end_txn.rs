//! A transaction is committed or aborted.

use crate::declare::{message, request};

request! { EndTxnRequest(26) to TransactionCoordinator -> EndTxnResponse; }

message! {
    /// How the transaction ends.
    pub struct EndTxnRequest (versions 0..=5, flexible 3..) {
        pub transactional_id: String,
        pub producer_id: i64,
        pub producer_epoch: i16,
        pub committed: bool,
    }

    /// Whether it ended; with the producer's next epoch from version 5 on.
    pub struct EndTxnResponse (versions 0..=5, flexible 3..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub producer_id: i64 [5.., ignorable] = -1,
        pub producer_epoch: i16 [5.., ignorable] = -1,
    }
}
