//! A cluster with a data folder goes on where the former one ended, in order or by SIGKILL.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use roka_broker::Cluster;
use roka_protocol::{
    ErrorCode,
    messages::{
        delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic},
        init_producer_id::InitProducerIdRequest,
        metadata::{MetadataRequest, MetadataRequestTopic},
    },
};
use support::{RawClient, batch_of, sequenced_batch};

fn start(dir: &Path) -> Cluster {
    Cluster::builder().nodes(2).data_dir(dir).start_blocking().unwrap()
}

fn topic_id(client: &mut RawClient) -> roka_protocol::Uuid {
    let asked = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
    client.call(12, &request).topics[0].topic_id
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(dir.join("logs")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            files.push(file.unwrap().path());
        }
    }
    files.sort();
    files
}

#[test]
fn topics_records_and_settings_are_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path());
    let settings = [("segment.bytes", "300"), ("retention.ms", "-1")];
    cluster.create_topic_with("t", 1, 2, &settings).unwrap();
    let mut client = RawClient::of_leader(&cluster, "t", 0);
    let id = topic_id(&mut client);
    let values: Vec<String> = (0..40).map(|it| format!("value {it}")).collect();
    for value in &values {
        client.produce_values("t", 0, &[value]);
    }
    let deleted = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".into(),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset: 7 }],
        }],
        timeout_ms: 1000,
    };
    assert_eq!(client.call(2, &deleted).topics[0].partitions[0].error_code, 0);
    cluster.shutdown();

    let cluster = start(dir.path());
    let mut client = RawClient::of_leader(&cluster, "t", 0);
    assert_eq!(topic_id(&mut client), id);
    let read: Vec<String> = client.values("t", 0, 7).into_iter().map(|(_, it)| it).collect();
    assert_eq!(read, values[7..]);
    assert_eq!(client.list_offset("t", 0, -2).0, 7);
    assert_eq!(client.produce_values("t", 0, &["next"]), 40);
    assert!(segment_files(dir.path()).len() > 5, "the setting for segments still counts");
}

#[test]
fn sequences_of_producers_survive() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path());
    cluster.create_topic("t", 1, 1).unwrap();
    let mut client = RawClient::of_leader(&cluster, "t", 0);
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let id = client.call(4, &request).producer_id;
    client.produce("t", 0, sequenced_batch(id, 0, 0, &["a", "b"]));
    drop(cluster);

    let cluster = start(dir.path());
    let mut client = RawClient::of_leader(&cluster, "t", 0);
    let again = client.produce("t", 0, sequenced_batch(id, 0, 0, &["a", "b"]));
    assert_eq!((again.error_code, again.base_offset), (0, 0), "it is known as a duplicate");
    let gap = client.produce("t", 0, sequenced_batch(id, 0, 5, &["f"]));
    assert_eq!(ErrorCode(gap.error_code), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let next = client.produce("t", 0, sequenced_batch(id, 0, 2, &["c"]));
    assert_eq!((next.error_code, next.base_offset), (0, 2));
    assert!(client.call(4, &request).producer_id > id, "ids are not given out twice");
}

#[test]
fn a_torn_tail_is_cut_off() {
    for damage in ["half a batch", "a flipped bit"] {
        let dir = tempfile::tempdir().unwrap();
        let cluster = start(dir.path());
        cluster.create_topic("t", 1, 1).unwrap();
        let mut client = RawClient::of_leader(&cluster, "t", 0);
        client.produce_values("t", 0, &["a", "b"]);
        client.produce_values("t", 0, &["c"]);
        drop(cluster);
        let file = segment_files(dir.path()).remove(0);
        let mut bytes = std::fs::read(&file).unwrap();
        let kept = if damage == "half a batch" {
            let torn = batch_of(&["torn"]);
            let mut end = OpenOptions::new().append(true).open(&file).unwrap();
            end.write_all(&torn[..torn.len() / 2]).unwrap();
            3
        } else {
            let last = bytes.len() - 2;
            bytes[last] ^= 1;
            std::fs::write(&file, bytes).unwrap();
            2
        };
        let cluster = start(dir.path());
        let mut client = RawClient::of_leader(&cluster, "t", 0);
        assert_eq!(client.values("t", 0, 0).len(), kept, "{damage}");
        assert_eq!(client.produce_values("t", 0, &["d"]), kept as i64, "{damage}");
        assert_eq!(client.values("t", 0, 0).len(), kept + 1, "{damage}");
    }
}

#[test]
fn a_compacted_log_is_there_again_with_its_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path());
    cluster.create_topic_with("t", 1, 1, &[("cleanup.policy", "compact")]).unwrap();
    let mut client = RawClient::of_leader(&cluster, "t", 0);
    for value in ["1", "2", "3"] {
        let batch = support::keyed_batch(
            roka_protocol::records::Compression::Lz4,
            &[("a", Some(value)), (value, Some(value))],
        );
        assert_eq!(client.produce("t", 0, batch).error_code, 0);
        cluster.compact("t").unwrap();
    }
    let before = client.values("t", 0, 0);
    assert_eq!(before.iter().map(|it| it.0).collect::<Vec<_>>(), [1, 3, 4, 5]);
    drop(cluster);
    let cluster = start(dir.path());
    let mut client = RawClient::of_leader(&cluster, "t", 0);
    assert_eq!(client.values("t", 0, 0), before);
    assert_eq!(client.list_offset("t", 0, -1).0, 6);
}

#[test]
fn a_folder_serves_one_cluster_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _cluster = start(dir.path());
    let second = Cluster::builder().data_dir(dir.path()).start_blocking();
    let text = second.expect_err("the folder is in use").to_string();
    assert!(text.contains("in use"), "{text}");
}

struct Served(Child, String);

impl Served {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_roka-broker"))
            .args(["--base-port", "0", "--data-dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().to_owned())
    }

    fn client(&self) -> RawClient {
        RawClient::connect(self.1.parse().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let served = Served::start(dir.path());
        let mut client = served.client();
        if round == 0 {
            let topic = roka_protocol::messages::create_topics::CreatableTopic {
                name: "t".into(),
                num_partitions: 1,
                replication_factor: 1,
                ..Default::default()
            };
            let request = roka_protocol::messages::create_topics::CreateTopicsRequest {
                topics: vec![topic],
                ..Default::default()
            };
            assert_eq!(client.call(5, &request).topics[0].error_code, 0);
        }
        let read: Vec<String> = client.values("t", 0, 0).into_iter().map(|(_, it)| it).collect();
        assert_eq!(read, acknowledged, "round {round}");
        for at in 0..200 {
            let value = format!("{round}.{at}");
            client.produce_values("t", 0, &[&value]);
            acknowledged.push(value);
        }
    }
}
