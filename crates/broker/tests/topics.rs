//! Topics are made, grown, described and deleted with Kafka's checks and error codes.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode, Uuid,
    messages::{
        create_partitions::{
            CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
        },
        create_topics::{
            CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
        },
        delete_topics::{DeleteTopicState, DeleteTopicsRequest},
        describe_topic_partitions::{DescribeTopicPartitionsRequest, TopicRequest},
        metadata::{MetadataRequest, MetadataRequestTopic},
    },
};
use support::{RawClient, batch_of, fetch_request, produce_request};

fn topic(name: &str, partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: factor,
        ..Default::default()
    }
}

fn create(client: &mut RawClient, topic: CreatableTopic) -> ErrorCode {
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    ErrorCode(client.call(7, &request).topics[0].error_code)
}

#[test]
fn what_kafka_refuses_is_refused() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    let mut client = RawClient::of(&cluster);
    assert_eq!(create(&mut client, topic("t", 1, 1)), ErrorCode::NONE);
    let setting = |name: &str, value: &str| CreatableTopic {
        configs: vec![CreatableTopicConfig { name: name.into(), value: Some(value.into()) }],
        ..topic("u", 1, 1)
    };
    let assigned = |ids: &[i32]| CreatableTopic {
        assignments: vec![CreatableReplicaAssignment {
            partition_index: 0,
            broker_ids: ids.to_vec(),
        }],
        ..topic("u", -1, -1)
    };
    let cases = [
        (topic("t", 1, 1), ErrorCode::TOPIC_ALREADY_EXISTS),
        (topic("", 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("a/b", 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic(&"x".repeat(250), 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("u", 0, 1), ErrorCode::INVALID_PARTITIONS),
        (topic("u", 1, 3), ErrorCode::INVALID_REPLICATION_FACTOR),
        (topic("u", 1, 0), ErrorCode::INVALID_REPLICATION_FACTOR),
        (setting("retention.msx", "1"), ErrorCode::INVALID_CONFIG),
        (setting("retention.ms", "soon"), ErrorCode::INVALID_CONFIG),
        (setting("cleanup.policy", "keep"), ErrorCode::INVALID_CONFIG),
        (assigned(&[9]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (assigned(&[1, 1]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (assigned(&[2, 1]), ErrorCode::NONE),
    ];
    for (topic, expected) in cases {
        let text = format!("{topic:?}");
        assert_eq!(create(&mut client, topic), expected, "{text}");
    }
    assert_eq!(cluster.leader("u", 0).unwrap(), Some(2));
    let twice = CreateTopicsRequest {
        topics: vec![topic("twice", 1, 1), topic("twice", 1, 1)],
        ..Default::default()
    };
    let errors = client.call(7, &twice).topics;
    assert!(errors.iter().all(|it| ErrorCode(it.error_code) == ErrorCode::INVALID_REQUEST));
}

#[test]
fn validation_alone_makes_nothing() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    let mut client = RawClient::of(&cluster);
    let request = CreateTopicsRequest {
        topics: vec![topic("t", -1, -1)],
        validate_only: true,
        ..Default::default()
    };
    let result = client.call(7, &request).topics.remove(0);
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (0, 1, 1));
    assert!(cluster.leader("t", 0).is_err());
}

#[test]
fn topics_are_never_made_by_asking() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    let mut client = RawClient::of(&cluster);
    let named = |name: Option<&str>, topic_id| {
        let topic = MetadataRequestTopic { name: name.map(Into::into), topic_id };
        MetadataRequest {
            topics: Some(vec![topic]),
            allow_auto_topic_creation: true,
            ..Default::default()
        }
    };
    for version in 4..=13 {
        let answer = client.call(version, &named(Some("none"), Uuid::ZERO)).topics.remove(0);
        assert_eq!(ErrorCode(answer.error_code), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let answer = client.call(12, &named(None, Uuid([7; 16]))).topics.remove(0);
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::UNKNOWN_TOPIC_ID);
    let produced = client.produce("none", 0, batch_of(&["a"]));
    assert_eq!(ErrorCode(produced.error_code), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_topic_that_is_made_again_is_another() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    let mut client = RawClient::of(&cluster);
    let id = |client: &mut RawClient| {
        let request = MetadataRequest { topics: None, ..Default::default() };
        client.call(12, &request).topics[0].topic_id
    };
    cluster.create_topic("t", 1, 1).unwrap();
    let first = id(&mut client);
    client.produce_values("t", 0, &["a"]);
    let state = DeleteTopicState { name: None, topic_id: first };
    let request = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
    let deleted = client.call(6, &request).responses.remove(0);
    assert_eq!((deleted.error_code, deleted.name.as_deref()), (0, Some("t")));
    let again = client.call(6, &request).responses.remove(0);
    assert_eq!(ErrorCode(again.error_code), ErrorCode::UNKNOWN_TOPIC_ID);
    cluster.create_topic("t", 1, 1).unwrap();
    assert_ne!(id(&mut client), first);
    assert_eq!(client.list_offset("t", 0, -1).0, 0, "nothing of the former is left");
    // Who still holds the former id is told.
    let mut fetch = fetch_request("", 0, 0, 0);
    fetch.topics[0].topic_id = first;
    let data = client.call(13, &fetch).responses.remove(0).partitions.remove(0);
    assert_eq!(ErrorCode(data.error_code), ErrorCode::UNKNOWN_TOPIC_ID);
    let mut produce = produce_request("", 0, batch_of(&["a"]), -1);
    produce.topic_data[0].topic_id = first;
    let data = client.call(13, &produce).responses.remove(0).partition_responses.remove(0);
    assert_eq!(ErrorCode(data.error_code), ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn topics_grow_and_do_not_shrink() {
    let cluster = Cluster::builder().nodes(2).start_blocking().unwrap();
    cluster.create_topic("t", 2, 2).unwrap();
    let mut client = RawClient::of(&cluster);
    let mut grow = |name: &str, count, nodes: Option<&[i32]>| {
        let assignments =
            nodes.map(|it| vec![CreatePartitionsAssignment { broker_ids: it.to_vec() }]);
        let topic = CreatePartitionsTopic { name: name.into(), count, assignments };
        let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
        ErrorCode(client.call(3, &request).results[0].error_code)
    };
    assert_eq!(grow("t", 2, None), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(grow("none", 2, None), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(grow("t", 3, Some(&[1])), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(grow("t", 4, None), ErrorCode::NONE);
    assert_eq!(grow("t", 5, Some(&[2, 1])), ErrorCode::NONE);
    assert_eq!(cluster.leader("t", 4).unwrap(), Some(2));
    let mut client = RawClient::of_leader(&cluster, "t", 3);
    assert_eq!(client.produce_values("t", 3, &["a"]), 0);
}

#[test]
fn descriptions_come_in_pages() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    for name in ["a", "b", "c"] {
        cluster.create_topic(name, 3, 1).unwrap();
    }
    let mut client = RawClient::of(&cluster);
    let mut request = DescribeTopicPartitionsRequest {
        response_partition_limit: 4,
        topics: ["a", "b", "c", "none"].map(|it| TopicRequest { name: it.into() }).to_vec(),
        ..Default::default()
    };
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let page = client.call(0, &request);
        pages += 1;
        for topic in page.topics {
            let name = topic.name.unwrap();
            if name == "none" {
                assert_eq!(ErrorCode(topic.error_code), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            }
            let partitions = topic.partitions.into_iter();
            seen.extend(partitions.map(|it| (name.clone(), it.partition_index)));
        }
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    let all = ["a", "b", "c"].into_iter().flat_map(|it| (0..3).map(move |at| (it.to_owned(), at)));
    assert!(seen.into_iter().eq(all) && pages == 3);
}
