//! Kafka's init producer id.

use crate::message::{message, request};

request! { InitProducerIdRequest(22) to TransactionCoordinator -> InitProducerIdResponse; }

message! {
    pub struct InitProducerIdRequest (versions 0..=6, flexible 2..) {
        pub transactional_id: Option<String> = Some(String::new()),
        pub transaction_timeout_ms: i32,
        pub producer_id: i64 [3..] = -1,
        pub producer_epoch: i16 [3..] = -1,
        pub enable2_pc: bool [6..],
        pub keep_prepared_txn: bool [6..],
    }

    pub struct InitProducerIdResponse (versions 0..=6, flexible 2..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub producer_id: i64 = -1,
        pub producer_epoch: i16,
        pub ongoing_txn_producer_id: i64 [6..] = -1,
        pub ongoing_txn_producer_epoch: i16 [6..] = -1,
    }
}
