//! A producer gets its id and epoch, for idempotence and for transactions.
//!
//! Without a transactional id any broker answers; with one its coordinator does, and fences older
//! producers that use it.

use crate::declare::{message, request};

request! { InitProducerIdRequest(22) to TransactionCoordinator -> InitProducerIdResponse; }

message! {
    /// A producer that wants its id.
    pub struct InitProducerIdRequest (versions 0..=6, flexible 2..) {
        pub transactional_id: Option<String> = Some(String::new()),
        pub transaction_timeout_ms: i32,
        pub producer_id: i64 [3..] = -1,
        pub producer_epoch: i16 [3..] = -1,
        pub enable2_pc: bool [6..],
        pub keep_prepared_txn: bool [6..],
    }

    /// The id and the epoch.
    pub struct InitProducerIdResponse (versions 0..=6, flexible 2..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub producer_id: i64 = -1,
        pub producer_epoch: i16,
        pub ongoing_txn_producer_id: i64 [6..] = -1,
        pub ongoing_txn_producer_epoch: i16 [6..] = -1,
    }
}
