//! Partitions are enlisted in a transaction before the first write.
//!
//! Versions up to 3 are for clients and hold one transaction; later ones are for brokers and hold
//! several (KIP-890).

use crate::declare::{message, request};

request! { AddPartitionsToTxnRequest(24) to TransactionCoordinator -> AddPartitionsToTxnResponse; }

message! {
    /// Partitions to be enlisted.
    pub struct AddPartitionsToTxnRequest (versions 0..=5, flexible 3..) {
        pub transactions: Vec<AddPartitionsToTxnTransaction> [4..],
        pub v3_and_below_transactional_id: String [0..=3],
        pub v3_and_below_producer_id: i64 [0..=3],
        pub v3_and_below_producer_epoch: i16 [0..=3],
        pub v3_and_below_topics: Vec<AddPartitionsToTxnTopic> [0..=3],
    }

    /// One transaction, from version 4 on.
    pub struct AddPartitionsToTxnTransaction {
        pub transactional_id: String,
        pub producer_id: i64,
        pub producer_epoch: i16,
        pub verify_only: bool,
        pub topics: Vec<AddPartitionsToTxnTopic>,
    }

    /// Partitions of one topic.
    pub struct AddPartitionsToTxnTopic {
        pub name: String,
        pub partitions: Vec<i32>,
    }

    /// What became of the partitions.
    pub struct AddPartitionsToTxnResponse (versions 0..=5, flexible 3..) {
        pub throttle_time_ms: i32,
        pub error_code: i16 [4.., ignorable],
        pub results_by_transaction: Vec<AddPartitionsToTxnResult> [4..],
        pub results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> [0..=3],
    }

    /// What became of one transaction, from version 4 on.
    pub struct AddPartitionsToTxnResult {
        pub transactional_id: String,
        pub topic_results: Vec<AddPartitionsToTxnTopicResult>,
    }

    /// What became of one topic.
    pub struct AddPartitionsToTxnTopicResult {
        pub name: String,
        pub results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    /// What became of one partition.
    pub struct AddPartitionsToTxnPartitionResult {
        pub partition_index: i32,
        pub partition_error_code: i16,
    }
}
