//! The end of transactions is written into the partitions; brokers send it to each other.

use crate::declare::{message, request};

request! { WriteTxnMarkersRequest(27) to Leader -> WriteTxnMarkersResponse; }

message! {
    /// Markers to be written.
    pub struct WriteTxnMarkersRequest (versions 0..=2, flexible 1..) {
        pub markers: Vec<WritableTxnMarker>,
    }

    /// One transaction's marker.
    pub struct WritableTxnMarker {
        pub producer_id: i64,
        pub producer_epoch: i16,
        pub transaction_result: bool,
        pub topics: Vec<WritableTxnMarkerTopic>,
        pub coordinator_epoch: i32,
        pub transaction_version: i8 [2.., ignorable],
    }

    /// Partitions of one topic.
    pub struct WritableTxnMarkerTopic {
        pub name: String,
        pub partition_indexes: Vec<i32>,
    }

    /// What became of the markers.
    pub struct WriteTxnMarkersResponse (versions 0..=2, flexible 1..) {
        pub markers: Vec<WritableTxnMarkerResult>,
    }

    /// What became of one producer's markers.
    pub struct WritableTxnMarkerResult {
        pub producer_id: i64,
        pub topics: Vec<WritableTxnMarkerTopicResult>,
    }

    /// What became of the markers in one topic.
    pub struct WritableTxnMarkerTopicResult {
        pub name: String,
        pub partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    /// What became of the marker in one partition.
    pub struct WritableTxnMarkerPartitionResult {
        pub partition_index: i32,
        pub error_code: i16,
    }
}
