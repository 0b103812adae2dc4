use std::sync::Arc;

use super::*;

fn topics(counts: &[(&str, i32)]) -> PartitionCounts {
    counts.iter().map(|&(topic, count)| (Arc::from(topic), count)).collect()
}

fn member(id: &str, topics: &[&str]) -> Member {
    Member {
        id: id.into(),
        topics: topics.iter().map(|&topic| Arc::from(topic)).collect(),
        ..Member::default()
    }
}

fn plan(assignments: &Assignments, id: &str) -> Vec<String> {
    let partitions = &assignments[id].partitions;
    partitions
        .iter()
        .map(|partition| format!("{}/{}", partition.topic, partition.partition))
        .collect()
}

#[test]
fn all_topics_of_a_number_go_together() {
    let members = [member("a", &["in", "loop"]), member("b", &["in", "loop"])];
    let assignments =
        Copartition::default().assign(&members, &topics(&[("in", 2), ("loop", 2)])).unwrap();
    assert_eq!(plan(&assignments, "a"), ["in/0", "loop/0"]);
    assert_eq!(plan(&assignments, "b"), ["in/1", "loop/1"]);
}

#[test]
fn goka_members_get_what_goka_would_give_them() {
    // Goka's own test: M1 consumes T1, M2 consumes both; tolerant while members are replaced one by one.
    let members = [member("M1", &["T1", "T2"]), member("M2", &["T2"])];
    let assignments = GokaCopartition.assign(&members, &topics(&[("T1", 3), ("T2", 3)])).unwrap();
    assert_eq!(plan(&assignments, "M1"), ["T1/0", "T2/0", "T1/1", "T2/1"]);
    assert_eq!(plan(&assignments, "M2"), ["T2/2"]);
}

#[test]
fn topics_that_differ_are_named() {
    let topics = topics(&[("in", 2), ("loop", 3)]);
    for assignor in [&Copartition::default() as &dyn Assignor, &GokaCopartition] {
        let error = assignor.assign(&[member("a", &["in", "loop"])], &topics).unwrap_err();
        assert!(error.reason.contains("in has 2, loop has 3"), "{error}");
    }
}

#[test]
fn a_restarted_member_gets_the_partitions_whose_state_it_has() {
    let local = LocalState::default();
    local.set(1, 500);
    local.set(0, 10);
    local.remove(0);
    let restarted = Copartition::new(local);
    let mut members = [member("a", &["in"]), member("b", &["in"])];
    members[0].user_data = restarted.user_data(&[], &[]);
    let assignments = restarted.assign(&members, &topics(&[("in", 2)])).unwrap();
    assert_eq!(plan(&assignments, "a"), ["in/1"]);
}
