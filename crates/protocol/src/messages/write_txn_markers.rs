//! Kafka's write txn markers.

use crate::message::{message, request};

request! { WriteTxnMarkersRequest(27) to Leader -> WriteTxnMarkersResponse; }

message! {
    pub struct WriteTxnMarkersRequest (versions 0..=2, flexible 1..) {
        pub markers: Vec<WritableTxnMarker>,
    }

    pub struct WritableTxnMarker {
        pub producer_id: i64,
        pub producer_epoch: i16,
        pub transaction_result: bool,
        pub topics: Vec<WritableTxnMarkerTopic>,
        pub coordinator_epoch: i32,
        pub transaction_version: i8 [2.., ignorable],
    }

    pub struct WritableTxnMarkerTopic {
        pub name: String,
        pub partition_indexes: Vec<i32>,
    }

    pub struct WriteTxnMarkersResponse (versions 0..=2, flexible 1..) {
        pub markers: Vec<WritableTxnMarkerResult>,
    }

    pub struct WritableTxnMarkerResult {
        pub producer_id: i64,
        pub topics: Vec<WritableTxnMarkerTopicResult>,
    }

    pub struct WritableTxnMarkerTopicResult {
        pub name: String,
        pub partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    pub struct WritableTxnMarkerPartitionResult {
        pub partition_index: i32,
        pub error_code: i16,
    }
}
