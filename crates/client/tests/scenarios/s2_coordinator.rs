//! S2: the coordinator of a group, or the controller, is another than the one that is cached, or cannot be reached. Calls find
//! the right one without the user's help, and ask no more than needed.

use std::time::{Duration, Instant};

use roka_broker::{Cluster, Fault};
use roka_client::admin::{CommittedOffset, NewTopic};
use roka_client::{Admin, ApiKey, Client, Config, ErrorCode, NodeId, TopicPartition};

use crate::support::{Since, attempts, cluster, ms, until};
use crate::table::{Row, Scenario, row};

const COUNTED: &[ApiKey] = &[ApiKey::FindCoordinator, ApiKey::OffsetFetch];

pub(crate) fn rows() -> Vec<Scenario> {
    vec![
        row("S2a", "<= 2 failed dials, 1 FindCoordinator, 1 OffsetFetch answered", s2a),
        row("S2b", "1 refused, 1 FindCoordinator, 1 ok", s2b),
        row("S2c", "k+1 = 9 FindCoordinator, back-off 100 to 1000 ms", s2c),
        row("S2d", "k+1 = 5 OffsetFetch, 0 FindCoordinator", s2d),
        row("S2e", "after request_timeout: 1 FindCoordinator; the next call: 0 requests to the silent node", s2e),
        row("S2f", "100 calls: 1 FindCoordinator, <= 2 failed dials", s2f),
        row("S2g", "dials by back-off 50 to 1000 ms: <= 10 in 5 s", s2g).changed(
            "was <= 8: the reconnect back-off that the row names, 50 doubling to 1000 ms, dials at 0, 50, 150, 350, 750, 1550, \
             2550, 3550 and 4550 ms, which is 9, and 10 with jitter of -20 %",
        ),
        row("S2h", "2 of 6 groups moved: 6 + 2 DescribeGroups, <= 2 FindCoordinator", s2h),
        row("S2i", "2 CreateTopics, 1 Metadata", s2i),
        row("S2j", "1 dial to the new address, old connection closed", s2j),
        row("S2x", "every group call follows a moved coordinator: 1 refused, 1 ok each", s2x),
        row("S2y", "refresh_coordinator: 1 FindCoordinator, nothing refused afterwards", s2y),
    ]
}

/// A client that has the coordinator of group `g` cached.
struct Scene {
    cluster: Cluster,
    client: Client,
    admin: Admin,
    coordinator: i32,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let cluster = cluster(3);
        let client = Client::new(change(Config::new(cluster.bootstrap()))).unwrap();
        let admin = client.admin();
        // Connected to all, as a client at work is.
        client.refresh_metadata().await.unwrap();
        admin.list_groups().await.unwrap();
        let offset = (TopicPartition::new("t", 0), CommittedOffset::new(7));
        for result in admin.alter_group_offsets("g", &[offset]).await {
            result.unwrap();
        }
        let coordinator = cluster.coordinator("g").unwrap();
        let scene = Self { cluster, client, admin, coordinator };
        scene.list().await;
        scene
    }

    /// The call of the user, without retries of theirs.
    async fn list(&self) {
        list(&self.admin).await;
    }

    fn since(&self) -> Since<'_> {
        Since::now(&self.cluster, &self.client, COUNTED)
    }

    fn move_coordinator(&self) -> i32 {
        let new = self.coordinator % 3 + 1;
        self.cluster.move_coordinator("g", new).unwrap();
        new
    }
}

async fn list(admin: &Admin) {
    let listed = admin.list_group_offsets("g").await.unwrap();
    assert_eq!(listed.len(), 1);
    let committed = listed[0].committed.as_ref().unwrap().as_ref();
    assert_eq!(committed.map(|it| it.offset), Some(7));
}

async fn s2a(row: Row) {
    for stop in [Cluster::stop, Cluster::kill] {
        let scene = Scene::new().await;
        stop(&scene.cluster, scene.coordinator).unwrap();
        let since = scene.since();
        scene.list().await;
        assert_eq!(since.sent(ApiKey::FindCoordinator), 1);
        assert!((1..=2).contains(&since.sent(ApiKey::OffsetFetch)), "{}", since.summary());
        assert_eq!(since.got(ApiKey::OffsetFetch), 1);
        assert!(since.failed_dials() <= 2, "{} dials", since.failed_dials());
        row.measured(format!("{} failed dials, {}", since.failed_dials(), since.summary()));
    }
}

async fn s2b(row: Row) {
    let scene = Scene::new().await;
    scene.move_coordinator();
    let since = scene.since();
    scene.list().await;
    assert_eq!(since.got(ApiKey::FindCoordinator), 1);
    assert_eq!((since.got(ApiKey::OffsetFetch), since.errors(ApiKey::OffsetFetch)), (2, 1));
    assert_eq!(since.retries(ApiKey::OffsetFetch), 1);
    row.measured(since.agreed());
}

async fn s2c(row: Row) {
    let scene = Scene::new().await;
    scene.move_coordinator();
    scene.cluster.fail(ApiKey::FindCoordinator, ErrorCode::COORDINATOR_NOT_AVAILABLE, 8);
    let since = scene.since();
    scene.list().await;
    assert_eq!(since.got(ApiKey::FindCoordinator), 9);
    assert_eq!(since.retries(ApiKey::FindCoordinator), 8);
    // 100 + 200 + 400 + 800 + 4 x 1000 ms, 20 % less at the least.
    assert!(since.elapsed() > Duration::from_millis(4400), "{}", since.summary());
    row.measured(since.agreed());
}

async fn s2d(row: Row) {
    let scene = Scene::new().await;
    scene.cluster.fail(ApiKey::OffsetFetch, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, 4);
    let since = scene.since();
    scene.list().await;
    assert_eq!((since.got(ApiKey::FindCoordinator), since.got(ApiKey::OffsetFetch)), (0, 5));
    row.measured(since.agreed());
}

async fn s2e(row: Row) {
    let timeout = Duration::from_secs(1);
    let scene = Scene::with(|config| config.request_timeout(timeout)).await;
    scene.move_coordinator();
    scene.cluster.hang(scene.coordinator).unwrap();
    let since = scene.since();
    scene.list().await;
    assert!(since.elapsed() >= timeout);
    assert_eq!((since.sent(ApiKey::FindCoordinator), since.sent(ApiKey::OffsetFetch)), (1, 2));
    row.measured(since.summary());
    let dials = scene.cluster.connects(scene.coordinator).unwrap();
    let since = scene.since();
    for _ in 0..10 {
        scene.list().await;
    }
    assert_eq!((since.sent(ApiKey::FindCoordinator), since.sent(ApiKey::OffsetFetch)), (0, 10));
    assert_eq!((since.got(ApiKey::OffsetFetch), since.errors(ApiKey::OffsetFetch)), (10, 0));
    // The lookup of metadata may dial it again, calls do not.
    let dials = scene.cluster.connects(scene.coordinator).unwrap() - dials;
    assert!(dials <= 1, "{dials} dials");
    row.measured(format!("10 calls more: {}", since.agreed()));
}

async fn s2f(row: Row) {
    let scene = Scene::new().await;
    scene.cluster.kill(scene.coordinator).unwrap();
    let since = scene.since();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let admin = scene.admin.clone();
            tokio::spawn(async move { list(&admin).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(since.sent(ApiKey::FindCoordinator), 1);
    assert_eq!(since.got(ApiKey::OffsetFetch), 100);
    assert!(since.failed_dials() <= 2, "{} dials", since.failed_dials());
    row.measured(format!("{} failed dials, {}", since.failed_dials(), since.summary()));
}

async fn s2g(row: Row) {
    let scene = Scene::new().await;
    scene.cluster.name_coordinator("g", Some(scene.coordinator)).unwrap();
    scene.cluster.kill(scene.coordinator).unwrap();
    let since = scene.since();
    let admin = scene.admin.clone();
    let call = tokio::spawn(async move { list(&admin).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (dials, allowed) = (since.failed_dials(), attempts(50, since.elapsed()));
    assert!((2..=allowed).contains(&dials), "{dials} dials, {allowed} allowed");
    let asked = since.sent(ApiKey::FindCoordinator);
    assert!(asked <= 2 * allowed, "{asked} FindCoordinator");
    row.measured(format!("{dials} dials, {asked} FindCoordinator in {}", ms(since.elapsed())));
    scene.cluster.name_coordinator("g", None).unwrap();
    let begin = Instant::now();
    call.await.unwrap();
    row.measured(format!("ok {} after the truth", ms(begin.elapsed())));
}

async fn s2h(row: Row) {
    let scene = Scene::new().await;
    let groups = ["g0", "g1", "g2", "g3", "g4", "g5"];
    for (group, node) in groups.iter().zip([1, 1, 1, 2, 2, 2]) {
        scene.cluster.move_coordinator(group, node).unwrap();
    }
    let describe = async || {
        for described in scene.admin.describe_groups(&groups).await {
            described.unwrap();
        }
    };
    describe().await;
    scene.cluster.move_coordinator("g1", 3).unwrap();
    scene.cluster.move_coordinator("g4", 3).unwrap();
    let counted = [ApiKey::FindCoordinator, ApiKey::DescribeGroups];
    let since = Since::now(&scene.cluster, &scene.client, &counted);
    describe().await;
    assert_eq!((since.got(ApiKey::DescribeGroups), since.errors(ApiKey::DescribeGroups)), (8, 2));
    assert!((1..=2).contains(&since.got(ApiKey::FindCoordinator)), "{}", since.summary());
    row.measured(since.agreed());
}

async fn s2i(row: Row) {
    let scene = Scene::new().await;
    let counted = [ApiKey::CreateTopics, ApiKey::Metadata];
    // The controller moves, and the former one refuses, as brokers did before they passed such requests on.
    scene.client.refresh_metadata().await.unwrap();
    scene.cluster.move_controller(2).unwrap();
    let refuse = Fault::fail(ErrorCode::NOT_CONTROLLER).on(ApiKey::CreateTopics);
    scene.cluster.inject(refuse.at(1).times(100));
    let since = Since::now(&scene.cluster, &scene.client, &counted);
    let created = scene.admin.create_topics(&[NewTopic::new("new", 1, 3)]).await;
    assert!(created[0].is_ok(), "{created:?}");
    assert_eq!((since.got(ApiKey::CreateTopics), since.got(ApiKey::Metadata)), (2, 1));
    row.measured(since.agreed());
    // Brokers that pass it on are never asked twice.
    scene.cluster.clear_faults();
    scene.cluster.move_controller(3).unwrap();
    let since = Since::now(&scene.cluster, &scene.client, &counted);
    scene.admin.create_topics(&[NewTopic::new("newer", 1, 3)]).await.remove(0).unwrap();
    assert_eq!((since.got(ApiKey::CreateTopics), since.got(ApiKey::Metadata)), (1, 0));
    row.measured(format!("passed on: {}", since.agreed()));
}

async fn s2j(row: Row) {
    let scene = Scene::new().await;
    let (node, dials) = (scene.coordinator, |node| scene.cluster.connects(node).unwrap());
    let before = dials(node);
    scene.cluster.readdress(node).unwrap();
    scene.client.refresh_metadata().await.unwrap();
    let since = scene.since();
    until("the old connection is closed", || scene.cluster.connections(node).unwrap() == 0).await;
    scene.list().await;
    assert_eq!(dials(node) - before, 1);
    assert_eq!((since.got(ApiKey::FindCoordinator), since.got(ApiKey::OffsetFetch)), (0, 1));
    row.measured(format!("told by metadata: 1 dial, {}", since.agreed()));
    // The node died, and is back under its id elsewhere before anybody was told.
    scene.cluster.kill(node).unwrap();
    scene.cluster.readdress(node).unwrap();
    scene.cluster.start(node).unwrap();
    let (since, before) = (scene.since(), dials(node));
    scene.list().await;
    assert_eq!(dials(node) - before, 1);
    assert_eq!(since.got(ApiKey::OffsetFetch), 1);
    assert!(since.failed_dials() <= 1, "{}", since.failed_dials());
    row.measured(format!(
        "told by nobody: {} failed dials, 1 dial, {}",
        since.failed_dials(),
        since.summary()
    ));
}

async fn s2x(row: Row) {
    let scene = Scene::new().await;
    let at = TopicPartition::new("t", 0);
    let apis = [
        ApiKey::OffsetFetch,
        ApiKey::OffsetCommit,
        ApiKey::DescribeGroups,
        ApiKey::OffsetDelete,
        ApiKey::DeleteGroups,
    ];
    for (round, api) in (scene.coordinator..).zip(apis) {
        scene.cluster.move_coordinator("g", round % 3 + 1).unwrap();
        let since = Since::now(&scene.cluster, &scene.client, &[api, ApiKey::FindCoordinator]);
        let (admin, offset) = (&scene.admin, CommittedOffset::new(7));
        match api {
            ApiKey::OffsetFetch => scene.list().await,
            ApiKey::OffsetCommit => {
                admin.alter_group_offsets("g", &[(at.clone(), offset)]).await.remove(0).unwrap();
            }
            ApiKey::DescribeGroups => drop(admin.describe_group("g").await.unwrap()),
            ApiKey::OffsetDelete => {
                admin.delete_group_offsets("g", std::slice::from_ref(&at)).await.remove(0).unwrap();
            }
            _ => admin.delete_group("g").await.unwrap(),
        }
        assert_eq!((since.got(api), since.errors(api)), (2, 1), "{api}");
        assert_eq!(since.got(ApiKey::FindCoordinator), 1, "{api}");
        row.measured(since.agreed());
    }
}

async fn s2y(row: Row) {
    let scene = Scene::new().await;
    let new = scene.move_coordinator();
    let since = scene.since();
    assert_eq!(scene.admin.refresh_coordinator("g").await.unwrap(), NodeId(new));
    assert_eq!(since.got(ApiKey::FindCoordinator), 1);
    scene.list().await;
    assert_eq!((since.got(ApiKey::OffsetFetch), since.errors(ApiKey::OffsetFetch)), (1, 0));
    row.measured(since.agreed());
}
