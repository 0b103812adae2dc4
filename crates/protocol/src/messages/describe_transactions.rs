//! The state of transactions.

use crate::declare::{message, request};

request! { DescribeTransactionsRequest(65) to TransactionCoordinator -> DescribeTransactionsResponse; }

message! {
    /// Transactional ids to be described.
    pub struct DescribeTransactionsRequest (versions 0..=0, flexible 0..) {
        pub transactional_ids: Vec<String>,
    }

    /// The transactions.
    pub struct DescribeTransactionsResponse (versions 0..=0, flexible 0..) {
        pub throttle_time_ms: i32,
        pub transaction_states: Vec<TransactionState>,
    }

    /// One transaction.
    pub struct TransactionState {
        pub error_code: i16,
        pub transactional_id: String,
        pub transaction_state: String,
        pub transaction_timeout_ms: i32,
        pub transaction_start_time_ms: i64,
        pub producer_id: i64,
        pub producer_epoch: i16,
        pub topics: Vec<TopicData>,
    }

    /// Partitions of one topic in the transaction.
    pub struct TopicData {
        pub topic: String,
        pub partitions: Vec<i32>,
    }
}
