//! `WriteTxnMarkers`: the end of a transaction is written into partitions. The coordinator needs no request for it; this
//! one is for tools that end transactions by hand (KIP-664).

use roka_protocol::{
    ErrorCode,
    messages::write_txn_markers::{
        WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
        WritableTxnMarkerTopic, WritableTxnMarkerTopicResult, WriteTxnMarkersRequest,
        WriteTxnMarkersResponse,
    },
};

use super::{Handler, RequestContext};
use crate::{
    node::Node,
    transaction::{
        machine::{Identity, Outcome},
        markers::Marker,
    },
};

impl Handler for WriteTxnMarkersRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> WriteTxnMarkersResponse {
        answer(&self, |marker, topic, index| {
            write(node, marker, topic, index).err().unwrap_or(ErrorCode::NONE)
        })
    }

    fn refuse(&self, error: ErrorCode) -> WriteTxnMarkersResponse {
        answer(self, |_, _, _| error)
    }
}

fn write(node: &Node, asked: &WritableTxnMarker, topic: &str, index: i32) -> Result<(), ErrorCode> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = node.shared.topics.by_name(topic).ok_or(unknown)?;
    let partition = topic.partition(index).ok_or(unknown)?;
    let mut state = partition.lock();
    state.check_leader(node.id(), -1)?;
    let (producer_id, epoch) = (asked.producer_id, asked.producer_epoch);
    let coordinator_epoch = asked.coordinator_epoch;
    state.log.producers.check_marker(producer_id, epoch, coordinator_epoch)?;
    let outcome = Outcome::of(asked.transaction_result);
    let producer = Identity { id: producer_id, epoch };
    let marker = Marker { producer, outcome, coordinator_epoch };
    marker.append(&topic, &mut state).map_err(|error| {
        tracing::error!(topic = &*topic.name, index, %error, "a marker cannot be written");
        ErrorCode::KAFKA_STORAGE_ERROR
    })
}

fn answer(
    request: &WriteTxnMarkersRequest,
    error: impl Fn(&WritableTxnMarker, &str, i32) -> ErrorCode,
) -> WriteTxnMarkersResponse {
    let topic = |marker: &WritableTxnMarker, topic: &WritableTxnMarkerTopic| {
        let partition = |&partition_index: &i32| WritableTxnMarkerPartitionResult {
            partition_index,
            error_code: error(marker, &topic.name, partition_index).0,
        };
        WritableTxnMarkerTopicResult {
            name: topic.name.clone(),
            partitions: topic.partition_indexes.iter().map(partition).collect(),
        }
    };
    let marker = |marker: &WritableTxnMarker| WritableTxnMarkerResult {
        producer_id: marker.producer_id,
        topics: marker.topics.iter().map(|it| topic(marker, it)).collect(),
    };
    WriteTxnMarkersResponse { markers: request.markers.iter().map(marker).collect() }
}
