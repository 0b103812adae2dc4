//! Settings of topics: described with their sources, changed with Kafka's checks, and in force.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        alter_configs::{self, AlterConfigsRequest},
        describe_configs::{
            DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
        },
        incremental_alter_configs::{
            AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
        },
    },
    records::Compression,
};
use support::{RawClient, batch_at, batch_of, keyed_batch, now_ms};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn describe(client: &mut RawClient, kind: i8, name: &str) -> Vec<DescribeConfigsResourceResult> {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        ..Default::default()
    };
    let result = client.call(4, &request).results.remove(0);
    assert_eq!(ErrorCode(result.error_code), ErrorCode::NONE);
    result.configs
}

fn value(client: &mut RawClient, name: &str) -> (String, i8) {
    let all = describe(client, TOPIC, "t");
    let found = all.into_iter().find(|it| it.name == name).unwrap();
    (found.value.unwrap(), found.config_source)
}

fn change(client: &mut RawClient, operation: i8, name: &str, value: Option<&str>) -> ErrorCode {
    let config = AlterableConfig {
        name: name.into(),
        config_operation: operation,
        value: value.map(Into::into),
    };
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: "t".into(),
        configs: vec![config],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    ErrorCode(client.call(1, &request).responses[0].error_code)
}

#[test]
fn sources_say_where_a_value_comes_from() {
    let builder = Cluster::builder().config("log.retention.ms", "1000").config("log.roll.ms", "7");
    let cluster = builder.start_blocking().unwrap();
    cluster.create_topic_with("t", 1, 1, &[("retention.ms", "2000")]).unwrap();
    let mut client = RawClient::of(&cluster);
    assert_eq!(value(&mut client, "retention.ms"), ("2000".into(), 1));
    assert_eq!(value(&mut client, "segment.ms"), ("7".into(), 4));
    assert_eq!(value(&mut client, "max.message.bytes"), ("1048588".into(), 5));
    let node = describe(&mut client, BROKER, "1");
    let found = node.iter().find(|it| it.name == "log.retention.ms").unwrap();
    assert_eq!((found.value.as_deref(), found.config_source), (Some("1000"), 4));
}

#[test]
fn single_settings_are_changed() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = RawClient::of(&cluster);
    let (set, delete, append, subtract) = (0, 1, 2, 3);
    assert_eq!(change(&mut client, set, "retention.ms", Some("5")), ErrorCode::NONE);
    assert_eq!(value(&mut client, "retention.ms"), ("5".into(), 1));
    assert_eq!(change(&mut client, delete, "retention.ms", None), ErrorCode::NONE);
    assert_eq!(value(&mut client, "retention.ms"), ("604800000".into(), 5));
    assert_eq!(change(&mut client, append, "cleanup.policy", Some("compact")), ErrorCode::NONE);
    assert_eq!(value(&mut client, "cleanup.policy").0, "delete,compact");
    assert_eq!(change(&mut client, subtract, "cleanup.policy", Some("delete")), ErrorCode::NONE);
    assert_eq!(value(&mut client, "cleanup.policy").0, "compact");
    let refused = change(&mut client, set, "cleanup.policy", Some("keep"));
    assert_eq!(refused, ErrorCode::INVALID_CONFIG);
    assert_eq!(change(&mut client, set, "nonsense", Some("1")), ErrorCode::INVALID_CONFIG);
    assert_eq!(value(&mut client, "cleanup.policy").0, "compact");
}

#[test]
fn all_settings_are_replaced() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic_with("t", 1, 1, &[("retention.ms", "5")]).unwrap();
    let mut client = RawClient::of(&cluster);
    let config =
        alter_configs::AlterableConfig { name: "segment.ms".into(), value: Some("9".into()) };
    let resource = alter_configs::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: "t".into(),
        configs: vec![config],
    };
    let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
    assert_eq!(client.call(2, &request).responses[0].error_code, 0);
    assert_eq!(value(&mut client, "segment.ms"), ("9".into(), 1));
    assert_eq!(value(&mut client, "retention.ms").1, 5);
}

#[test]
fn settings_count_for_what_is_produced_next() {
    let cluster = Cluster::builder().start_blocking().unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = RawClient::of(&cluster);
    let set = |client: &mut RawClient, name: &str, value: &str| {
        assert_eq!(change(client, 0, name, Some(value)), ErrorCode::NONE);
    };
    let error = |client: &mut RawClient, batch| ErrorCode(client.produce("t", 0, batch).error_code);

    set(&mut client, "max.message.bytes", "100");
    let large = batch_of(&["x".repeat(100).as_str()]);
    assert_eq!(error(&mut client, large), ErrorCode::MESSAGE_TOO_LARGE);
    set(&mut client, "message.timestamp.before.max.ms", "60000");
    let old = batch_at(now_ms() - 120_000, &["a"]);
    assert_eq!(error(&mut client, old.clone()), ErrorCode::INVALID_TIMESTAMP);
    let future = batch_at(now_ms() + 7_200_000, &["a"]);
    assert_eq!(error(&mut client, future), ErrorCode::INVALID_TIMESTAMP);

    set(&mut client, "message.timestamp.type", "LogAppendTime");
    let response = client.produce("t", 0, old);
    assert_eq!(response.error_code, 0);
    assert!(response.log_append_time_ms > now_ms() - 60_000);
    let (offset, timestamp) = client.list_offset("t", 0, -3);
    assert_eq!((offset, timestamp), (0, response.log_append_time_ms));
    assert_eq!(client.values("t", 0, 0).len(), 1, "the checksum fits the new time");

    set(&mut client, "cleanup.policy", "compact");
    assert_eq!(error(&mut client, batch_of(&["no key"])), ErrorCode::INVALID_RECORD);
    let keyed = keyed_batch(Compression::Zstd, &[("k", Some("v"))]);
    assert_eq!(error(&mut client, keyed), ErrorCode::NONE);
}
