//! `DescribeProducers`: who has written to partitions lately (KIP-664).

use roka_protocol::{
    ErrorCode,
    messages::describe_producers::{
        DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
        TopicRequest, TopicResponse,
    },
};

use super::{Handler, RequestContext};
use crate::node::Node;

impl Handler for DescribeProducersRequest {
    async fn handle(self, node: &Node, _: &RequestContext) -> DescribeProducersResponse {
        answer(&self, |topic, index| active(node, topic, index))
    }

    fn refuse(&self, error: ErrorCode) -> DescribeProducersResponse {
        answer(self, |_, _| Err(error))
    }
}

fn answer(
    request: &DescribeProducersRequest,
    of: impl Fn(&str, i32) -> Result<Vec<ProducerState>, ErrorCode>,
) -> DescribeProducersResponse {
    let partition = |topic: &str, index: i32| {
        let (error, active_producers) = match of(topic, index) {
            Ok(producers) => (ErrorCode::NONE, producers),
            Err(error) => (error, Vec::new()),
        };
        PartitionResponse {
            partition_index: index,
            error_code: error.0,
            error_message: None,
            active_producers,
        }
    };
    let topic = |it: &TopicRequest| TopicResponse {
        name: it.name.clone(),
        partitions: it.partition_indexes.iter().map(|&at| partition(&it.name, at)).collect(),
    };
    DescribeProducersResponse {
        topics: request.topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn active(node: &Node, topic: &str, index: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let found = node.shared.topics.by_name(topic).and_then(|it| it.partition(index));
    let partition = found.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let state = partition.lock();
    state.check_leader(node.id(), -1)?;
    let producers = state.log.producers.iter().map(|(producer_id, it)| ProducerState {
        producer_id,
        producer_epoch: i32::from(it.epoch),
        last_sequence: it.last_sequence(),
        last_timestamp: it.last_timestamp(),
        coordinator_epoch: it.coordinator_epoch,
        current_txn_start_offset: it.open_since.unwrap_or(-1),
    });
    let mut producers: Vec<ProducerState> = producers.collect();
    producers.sort_by_key(|it| it.producer_id);
    Ok(producers)
}
