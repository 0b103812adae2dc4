//! Calls find who must answer, and find them again: the scenarios S2.

use std::sync::Mutex;

use roka_protocol::messages::create_topics::{
    CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use roka_protocol::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use roka_protocol::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};
use roka_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use roka_protocol::messages::metadata::MetadataResponse;
use roka_protocol::{ErrorCode, Request};
use tokio::time::Instant;

use super::*;
use crate::connection::Lane;
use crate::outcome::Outcome;
use crate::retry::Deadline;
use crate::router::Target;
use crate::testing::config;
use crate::{Error, NodeId};

const ABC: &[&str] = &["a:1", "b:1", "c:1"];

/// What the brokers believe; tests change it while the client works.
#[derive(Debug, Default)]
struct World {
    coordinator: i32,
    controller: i32,
    loading: usize,
    silent: Option<&'static str>,
}

fn deleted(code: ErrorCode) -> DeleteGroupsResponse {
    let group = DeletableGroupResult { error_code: code.0, ..Default::default() };
    DeleteGroupsResponse { results: vec![group], ..Default::default() }
}

fn world(world: &Arc<Mutex<World>>) -> Net {
    let world = world.clone();
    Net::new(move |address, seen| {
        let mut world = world.lock().unwrap();
        let here = ABC.iter().position(|it| *it == address).map_or(0, |it| it as i32 + 1);
        if world.silent == Some(address) && seen.api() != ApiKey::ApiVersions {
            return Act::Silence;
        }
        match seen.api() {
            ApiKey::ApiVersions => seen.all_versions(),
            ApiKey::Metadata => {
                let controller_id = world.controller;
                seen.answer(&MetadataResponse { controller_id, ..brokers(ABC) })
            }
            ApiKey::FindCoordinator => {
                let node_id = world.coordinator;
                let host = ABC[node_id as usize - 1].split(':').next().unwrap().to_owned();
                let found =
                    Coordinator { key: "g".into(), node_id, host, port: 1, ..Default::default() };
                seen.answer(&FindCoordinatorResponse {
                    coordinators: vec![found],
                    ..Default::default()
                })
            }
            ApiKey::DeleteGroups if world.coordinator != here => {
                seen.answer(&deleted(ErrorCode::NOT_COORDINATOR))
            }
            ApiKey::DeleteGroups if world.loading > 0 => {
                world.loading -= 1;
                seen.answer(&deleted(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS))
            }
            ApiKey::DeleteGroups => seen.answer(&deleted(ErrorCode::NONE)),
            ApiKey::CreateTopics => {
                let wrong = world.controller != here;
                let error_code = if wrong { ErrorCode::NOT_CONTROLLER.0 } else { 0 };
                let topic = CreatableTopicResult { error_code, ..Default::default() };
                seen.answer(&CreateTopicsResponse { topics: vec![topic], ..Default::default() })
            }
            ApiKey::ListGroups => seen.answer(&ListGroupsResponse::default()),
            other => panic!("{other} was not expected"),
        }
    })
}

async fn call<R>(core: &Arc<Core>, target: Target, request: R) -> Result<R::Response, Error>
where
    R: Request<Response: Outcome>,
{
    let deadline = Deadline::after(60 * SECOND);
    core.route(target, Lane::General, deadline, |_| request.clone()).await
}

async fn delete(core: &Arc<Core>) -> Result<DeleteGroupsResponse, Error> {
    call(core, Target::group("g"), DeleteGroupsRequest::default()).await
}

/// The coordinator is b, and cached by a first call.
async fn cached(config: Config) -> (Arc<Mutex<World>>, Net, Arc<Core>) {
    let state = Arc::new(Mutex::new(World { coordinator: 2, controller: 1, ..World::default() }));
    let net = world(&state);
    let core = core(config, &net);
    core.refresh_anew().await;
    delete(&core).await.unwrap();
    assert_eq!(net.requests(ApiKey::FindCoordinator), 1);
    (state, net, core)
}

#[tokio::test(start_paused = true)]
async fn s2a_a_dead_coordinator_is_replaced() {
    let (state, net, core) = cached(config("a:1,c:1")).await;
    state.lock().unwrap().coordinator = 3;
    net.refuse("b:1", true);
    core.connections.close();
    let begin = Instant::now();
    delete(&core).await.unwrap();
    assert!(begin.elapsed() < 300 * MILLI, "{:?}", begin.elapsed());
    assert!(net.dials("b:1") <= 2, "{} dials", net.dials("b:1"));
    assert_eq!(net.requests(ApiKey::FindCoordinator), 2);
}

#[tokio::test(start_paused = true)]
async fn s2b_a_coordinator_that_moved_is_followed_at_once() {
    let (state, net, core) = cached(config("a:1")).await;
    state.lock().unwrap().coordinator = 3;
    let begin = Instant::now();
    delete(&core).await.unwrap();
    assert!(begin.elapsed() < 10 * MILLI, "no back-off: {:?}", begin.elapsed());
    assert_eq!(net.requests(ApiKey::DeleteGroups), 3);
    assert_eq!(net.requests(ApiKey::FindCoordinator), 2);
    assert_eq!(core.counters().api(ApiKey::DeleteGroups).retries, 1);
}

#[tokio::test(start_paused = true)]
async fn s2d_a_loading_coordinator_is_waited_for_without_lookups() {
    let (state, net, core) = cached(config("a:1")).await;
    state.lock().unwrap().loading = 5;
    delete(&core).await.unwrap();
    assert_eq!(net.requests(ApiKey::DeleteGroups), 7);
    assert_eq!(net.requests(ApiKey::FindCoordinator), 1);
}

#[tokio::test(start_paused = true)]
async fn s2e_a_silent_coordinator_is_left_when_another_coordinates() {
    let (state, net, core) = cached(config("a:1").request_timeout(5 * SECOND)).await;
    {
        let mut state = state.lock().unwrap();
        (state.coordinator, state.silent) = (3, Some("b:1"));
    }
    let begin = Instant::now();
    delete(&core).await.unwrap();
    assert!(begin.elapsed() <= 2300 * MILLI, "{:?}", begin.elapsed());
    let at_b = net.requests_at("b:1", ApiKey::DeleteGroups);
    delete(&core).await.unwrap();
    assert_eq!(net.requests_at("b:1", ApiKey::DeleteGroups), at_b, "the next call avoids it");
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(core.counters().request_timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_waited_for_while_no_other_can_answer() {
    let (state, net, core) = cached(config("a:1").request_timeout(20 * SECOND)).await;
    state.lock().unwrap().silent = Some("b:1");
    let call = tokio::spawn({
        let core = core.clone();
        async move { delete(&core).await }
    });
    tokio::time::sleep(19 * SECOND).await;
    assert_eq!(net.requests_at("b:1", ApiKey::DeleteGroups), 2, "not asked twice");
    let lookups = net.requests(ApiKey::FindCoordinator);
    assert!((8..=11).contains(&lookups), "{lookups} lookups in 19 s");
    state.lock().unwrap().coordinator = 3;
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn s2f_a_hundred_calls_after_the_kill_look_up_once() {
    let (state, net, core) = cached(config("a:1,c:1")).await;
    state.lock().unwrap().coordinator = 3;
    net.refuse("b:1", true);
    core.connections.close();
    let before = net.dials("b:1");
    let calls = (0..100).map(|_| {
        let core = core.clone();
        tokio::spawn(async move { delete(&core).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(net.requests(ApiKey::FindCoordinator), 2);
    assert!(net.dials("b:1") <= before + 1);
}

#[tokio::test(start_paused = true)]
async fn s2g_a_dead_coordinator_that_is_still_named_is_not_hammered() {
    let (_state, net, core) = cached(config("a:1,c:1")).await;
    net.refuse("b:1", true);
    core.connections.close();
    let before = net.dials("b:1");
    let waiting = {
        let core = core.clone();
        tokio::spawn(async move { delete(&core).await })
    };
    tokio::time::sleep(5 * SECOND).await;
    assert!(!waiting.is_finished());
    let dials = net.dials("b:1") - before;
    assert!(dials <= 8, "{dials} dials in 5 s");
    net.refuse("b:1", false);
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn s2i_a_controller_that_moved_is_followed() {
    let (state, net, core) = cached(config("a:1")).await;
    call(&core, Target::Controller, CreateTopicsRequest::default()).await.unwrap();
    state.lock().unwrap().controller = 3;
    let begin = Instant::now();
    call(&core, Target::Controller, CreateTopicsRequest::default()).await.unwrap();
    assert_eq!(net.requests(ApiKey::CreateTopics), 3);
    assert!(begin.elapsed() < 200 * MILLI, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn where_any_broker_will_do_a_silent_one_is_left_for_the_next() {
    for silent in ["a:1", "b:1"] {
        let (state, net, core) = cached(config("a:1")).await;
        core.connections.close();
        state.lock().unwrap().silent = Some(silent);
        net.refuse("c:1", true);
        let begin = Instant::now();
        call(&core, Target::Any, ListGroupsRequest::default()).await.unwrap();
        assert!(begin.elapsed() < 3 * SECOND, "{silent}: {:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn any_broker_means_any_that_lives() {
    let (_state, net, core) = cached(config("a:1")).await;
    core.connections.close();
    for dead in ["a:1", "b:1"] {
        net.refuse(dead, true);
    }
    let begin = Instant::now();
    call(&core, Target::Any, ListGroupsRequest::default()).await.unwrap();
    assert!(begin.elapsed() < 10 * MILLI, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_and_says_what_it_met() {
    let (state, net, core) = cached(config("a:1")).await;
    state.lock().unwrap().loading = usize::MAX;
    let begin = Instant::now();
    let error = delete(&core).await.unwrap_err();
    assert_eq!(begin.elapsed().as_secs(), 60);
    let text = error.to_string();
    assert!(text.contains("group g") && text.contains("COORDINATOR_LOAD_IN_PROGRESS"), "{text}");
    assert_eq!(error.code(), Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    let asked = net.requests(ApiKey::DeleteGroups);
    assert!((50..=80).contains(&asked), "{asked} requests in a minute");
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_an_error_at_the_deadline() {
    let net = net(&["a:1"], |_, _| Act::Silence);
    net.refuse("a:1", true);
    let core = core(config("a:1"), &net);
    let error = call(&core, Target::Any, ListGroupsRequest::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("a:1") && text.contains("refused"), "{text}");
    let error = call(&core, Target::Node(NodeId(5)), ListGroupsRequest::default()).await;
    assert!(error.unwrap_err().to_string().contains("broker 5"));
}
