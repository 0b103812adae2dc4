//! Where a partition's new leader is, said beside the error that it moved (KIP-951).

use std::sync::atomic::Ordering;

use crate::{node::Node, state::Leadership};

/// Whether the cluster gives hints.
pub(super) fn are_given(node: &Node) -> bool {
    node.shared.leader_hints.load(Ordering::Relaxed)
}

/// The leader and its epoch as a response names them.
pub(super) fn leader(
    node: &Node,
    topic: &str,
    partition: i32,
    leadership: &Leadership,
) -> (i32, i32) {
    let lie = node.shared.lies.hint(topic, partition);
    lie.unwrap_or((leadership.leader.unwrap_or(-1), leadership.epoch))
}

/// Id, host, port and rack of each of these nodes, once.
pub(super) fn endpoints<'a>(
    node: &'a Node,
    leaders: &'a [i32],
) -> impl Iterator<Item = (i32, String, i32, Option<String>)> + 'a {
    // As a rule there is nothing to name.
    let nodes = if leaders.is_empty() { Vec::new() } else { node.shared.nodes() };
    let named = nodes.into_iter().filter(|it| leaders.contains(&it.id));
    named.map(|it| {
        let address = it.address();
        (it.id, address.ip().to_string(), i32::from(address.port()), it.rack.clone())
    })
}
