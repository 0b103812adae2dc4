use std::time::Duration;

use bytes::{BufMut, BytesMut};
use roka_protocol::frame::encode_response;
use roka_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use roka_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{Seen, config, read};

const SECOND: Duration = Duration::from_secs(1);

/// A negotiated connection whose other end is in our hands.
fn connect(config: &Config, buffer: usize) -> (Connection, DuplexStream, JoinHandle<Ended>) {
    let (ours, theirs) = tokio::io::duplex(buffer);
    let recorder = Arc::default();
    let (connection, task) = Connection::new(NodeId(1), config, recorder, Box::new(ours));
    let api = ApiVersion { api_key: 12, min_version: 0, max_version: 4 };
    let response = ApiVersionsResponse { api_keys: vec![api], ..Default::default() };
    connection.negotiated(Versions::from_response(response));
    (connection, theirs, tokio::spawn(task))
}

fn beat(generation_id: i32) -> HeartbeatRequest {
    HeartbeatRequest { generation_id, group_id: "group".into(), ..Default::default() }
}

fn start(connection: &Connection, generation: i32) -> Reply<HeartbeatRequest> {
    connection.start(&beat(generation), None, 30 * SECOND).unwrap()
}

async fn next(stream: &mut DuplexStream) -> Seen {
    let len = stream.read_i32().await.unwrap();
    let mut frame = BytesMut::zeroed(len as usize);
    stream.read_exact(&mut frame).await.unwrap();
    read(frame.freeze())
}

fn response(correlation_id: i32, error_code: i16) -> Bytes {
    let response = HeartbeatResponse { error_code, ..Default::default() };
    encode_response(12, 4, correlation_id, &response).unwrap().into_bytes()
}

#[tokio::test]
async fn requests_leave_in_order_and_answers_come_back_to_them() {
    let (connection, mut broker, _task) = connect(&config("a:1"), 1 << 20);
    let replies: Vec<_> = (0..100).map(|i| start(&connection, i)).collect();
    assert_eq!(connection.in_flight(), 100);
    let mut ids = Vec::new();
    for i in 0..100 {
        let seen = next(&mut broker).await;
        assert_eq!(seen.header.client_id.as_deref(), Some("roka"));
        assert_eq!(seen.decode::<HeartbeatRequest>().generation_id, i);
        ids.push(seen.header.correlation_id);
    }
    for (i, id) in ids.iter().enumerate() {
        broker.write_all(&response(*id, i as i16)).await.unwrap();
    }
    for (i, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.version(), 4);
        assert_eq!(reply.await.unwrap().error_code, i as i16);
    }
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test]
async fn single_bytes_will_do() {
    let (connection, mut broker, _task) = connect(&config("a:1"), 1);
    let replies: Vec<_> = (0..3).map(|i| start(&connection, i)).collect();
    for i in 0..3 {
        let seen = next(&mut broker).await;
        assert_eq!(seen.decode::<HeartbeatRequest>().generation_id, i);
        broker.write_all(&response(seen.header.correlation_id, i as i16)).await.unwrap();
    }
    for (i, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.await.unwrap().error_code, i as i16);
    }
}

#[tokio::test]
async fn a_reply_that_nobody_awaits_disturbs_nobody() {
    let (connection, mut broker, _task) = connect(&config("a:1"), 1 << 20);
    drop(start(&connection, 0));
    let kept = start(&connection, 1);
    for i in 0..2 {
        let seen = next(&mut broker).await;
        broker.write_all(&response(seen.header.correlation_id, i)).await.unwrap();
    }
    assert_eq!(kept.await.unwrap().error_code, 1);
}

/// Whatever the broker sends here ends the connection, and all that wait are told, in order.
async fn ends_with(bytes: impl FnOnce(i32) -> Vec<u8>, hang_up: bool) -> String {
    let (connection, mut broker, task) = connect(&config("a:1"), 1 << 20);
    let replies: Vec<_> = (0..3).map(|i| start(&connection, i)).collect();
    let id = next(&mut broker).await.header.correlation_id;
    broker.write_all(&bytes(id)).await.unwrap();
    let broker = (!hang_up).then_some(broker);
    let mut text = String::new();
    for reply in replies {
        let error = reply.await.unwrap_err();
        let SendError::Disconnected { sent: true, problem, .. } = &error else {
            panic!("{error:?}")
        };
        text = problem.to_string();
    }
    assert!(matches!(task.await.unwrap(), Ended::Lost(_)));
    assert!(!connection.is_open());
    let late = connection.start(&beat(9), None, SECOND).unwrap_err();
    assert!(matches!(late, SendError::Disconnected { sent: false, .. }), "{late:?}");
    drop(broker);
    text
}

#[tokio::test]
async fn broken_streams_end_the_connection() {
    let wrong_id = ends_with(|id| response(id + 1, 0).to_vec(), false).await;
    assert!(wrong_id.contains("expected"), "{wrong_id}");
    let negative = ends_with(|_| (-5i32).to_be_bytes().to_vec(), false).await;
    assert!(negative.contains("-5"), "{negative}");
    let huge = ends_with(|_| i32::MAX.to_be_bytes().to_vec(), false).await;
    assert!(huge.contains("2147483647"), "{huge}");
    let tiny = ends_with(|_| vec![0, 0, 0, 1, 7], false).await;
    assert!(tiny.contains("ResponseHeader"), "{tiny}");
    let cut = ends_with(|id| response(id, 0)[..6].to_vec(), true).await;
    assert!(cut.contains("within a response"), "{cut}");
    let end = ends_with(|_| Vec::new(), true).await;
    assert!(end.contains("end of stream"), "{end}");
}

#[tokio::test]
async fn an_unreadable_answer_fails_its_request_alone() {
    let (connection, mut broker, _task) = connect(&config("a:1"), 1 << 20);
    let replies: Vec<_> = (0..2).map(|i| start(&connection, i)).collect();
    let first = next(&mut broker).await.header.correlation_id;
    let second = next(&mut broker).await.header.correlation_id;
    let mut bytes = BytesMut::new();
    bytes.put_i32(5);
    bytes.put_i32(first);
    bytes.put_u8(0);
    broker.write_all(&bytes).await.unwrap();
    broker.write_all(&response(second, 3)).await.unwrap();
    let [bad, good] = replies.try_into().unwrap();
    let error = bad.await.unwrap_err();
    assert!(matches!(error, SendError::Malformed { .. }), "{error:?}");
    assert_eq!(good.await.unwrap().error_code, 3);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_the_connection_at_the_deadline() {
    let (connection, _broker, task) = connect(&config("a:1"), 1 << 20);
    let begin = Instant::now();
    let patient = connection.start(&beat(1), None, 60 * SECOND).unwrap();
    let hasty = connection.start(&beat(2), None, 2 * SECOND).unwrap();
    let error = hasty.await.unwrap_err();
    assert!(matches!(error, SendError::Timeout { after, .. } if after == 2 * SECOND), "{error:?}");
    assert!(begin.elapsed() < 3 * SECOND, "{:?}", begin.elapsed());
    assert!(patient.await.is_err());
    assert!(matches!(task.await.unwrap(), Ended::Silent(ApiKey::Heartbeat)));
}

#[tokio::test(start_paused = true)]
async fn an_answered_request_has_no_deadline_any_more() {
    let (connection, mut broker, task) = connect(&config("a:1"), 1 << 20);
    for _ in 0..10 {
        let reply = connection.start(&beat(1), None, 2 * SECOND).unwrap();
        let seen = next(&mut broker).await;
        tokio::time::sleep(SECOND).await;
        broker.write_all(&response(seen.header.correlation_id, 0)).await.unwrap();
        reply.await.unwrap();
    }
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closes_by_itself() {
    let (connection, mut broker, task) = connect(&config("a:1"), 1 << 20);
    let begin = Instant::now();
    tokio::time::sleep(400 * SECOND).await;
    let reply = start(&connection, 1);
    let seen = next(&mut broker).await;
    broker.write_all(&response(seen.header.correlation_id, 0)).await.unwrap();
    reply.await.unwrap();
    assert!(matches!(task.await.unwrap(), Ended::Idle));
    let lived = begin.elapsed();
    assert!(lived >= 940 * SECOND && lived < 1000 * SECOND, "{lived:?}");
    assert!(!connection.is_open());
}

#[tokio::test]
async fn what_did_not_leave_is_told() {
    // The first request fills the way to the broker, so that the second cannot leave.
    let (connection, broker, _task) = connect(&config("a:1"), 16);
    let (first, second) = (start(&connection, 1), start(&connection, 2));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    drop(broker);
    let sent = |error: SendError| match error {
        SendError::Disconnected { sent, .. } => sent,
        other => panic!("{other:?}"),
    };
    assert!(sent(first.await.unwrap_err()));
    assert!(!sent(second.await.unwrap_err()));
}

#[tokio::test]
async fn requests_in_flight_are_bounded() {
    let config = config("a:1").requests_in_flight_max(2);
    let (connection, _broker, _task) = connect(&config, 1 << 20);
    let _replies = [start(&connection, 1), start(&connection, 2)];
    let error = connection.start(&beat(3), None, SECOND).unwrap_err();
    assert!(matches!(error, SendError::Busy { .. }), "{error:?}");
}

#[tokio::test]
async fn a_retired_connection_answers_what_is_in_flight() {
    let (connection, mut broker, task) = connect(&config("a:1"), 1 << 20);
    let reply = start(&connection, 1);
    connection.retire();
    assert!(!connection.is_open());
    assert!(connection.start(&beat(2), None, SECOND).is_err());
    let seen = next(&mut broker).await;
    broker.write_all(&response(seen.header.correlation_id, 7)).await.unwrap();
    assert_eq!(reply.await.unwrap().error_code, 7);
    assert!(matches!(task.await.unwrap(), Ended::Retired));
}

#[tokio::test]
async fn a_dropped_task_fails_what_waits() {
    let (connection, _broker, task) = connect(&config("a:1"), 1 << 20);
    let reply = start(&connection, 1);
    task.abort();
    assert!(reply.await.is_err());
    assert!(!connection.is_open());
}

#[tokio::test]
async fn a_version_that_is_not_shared_names_both_ranges() {
    let (connection, _broker, _task) = connect(&config("a:1"), 1 << 20);
    let produce = connection
        .version_of::<roka_protocol::messages::sync_group::SyncGroupRequest>(None)
        .unwrap_err();
    assert!(produce.to_string().contains("SyncGroup"), "{produce}");
    assert_eq!(connection.version_of::<HeartbeatRequest>(Some(2)).unwrap(), 2);
}

#[tokio::test]
async fn what_is_started_while_it_authenticates_goes_out_after_it_in_order() {
    let (connection, mut broker, _task) = connect(&config("a:1"), 1 << 20);
    let first = start(&connection, 1);
    connection.hold();
    let held: Vec<_> = (2..5).map(|generation| start(&connection, generation)).collect();
    let raw = connection.start_raw(36, Bytes::from_static(b"token"), 30 * SECOND).unwrap();
    // Although nobody shall start any more, what was started is carried out.
    connection.retire();
    assert_eq!(connection.in_flight(), 5);
    assert_eq!(next(&mut broker).await.decode::<HeartbeatRequest>().generation_id, 1);
    let mut token = [0; 9];
    broker.read_exact(&mut token).await.unwrap();
    assert_eq!(&token, b"\0\0\0\x05token");
    broker.write_all(&response(0, 0)).await.unwrap();
    broker.write_all(b"\0\0\0\x03yes").await.unwrap();
    assert_eq!(first.await.unwrap().error_code, 0);
    assert_eq!(raw.await.unwrap(), "yes");
    connection.release();
    for (generation, reply) in (2..5).zip(held) {
        let seen = next(&mut broker).await;
        assert_eq!(seen.decode::<HeartbeatRequest>().generation_id, generation);
        broker.write_all(&response(seen.header.correlation_id, 0)).await.unwrap();
        reply.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_held_back_was_never_sent() {
    let (connection, _broker, task) = connect(&config("a:1"), 1 << 20);
    connection.hold();
    let held = start(&connection, 1);
    connection.end(Ended::Lost("the session cannot be renewed".into()));
    let error = held.await.unwrap_err();
    assert!(matches!(error, SendError::Disconnected { sent: false, .. }), "{error:?}");
    assert!(matches!(task.await.unwrap(), Ended::Lost(_)));
    assert!(connection.start(&beat(2), None, SECOND).is_err());
}

#[tokio::test]
async fn tls_where_kafka_was_expected_is_known() {
    let (connection, mut broker, task) = connect(&config("a:1"), 1 << 20);
    let reply = start(&connection, 1);
    // A TLS alert.
    broker.write_all(&[0x15, 3, 3, 0, 2, 2, 80]).await.unwrap();
    assert!(reply.await.is_err());
    assert_eq!(connection.distrust(), Some(SecurityError::PlaintextToTls));
    assert!(matches!(task.await.unwrap(), Ended::Distrusted(_)));
}
