//! Where a partition's new leader is, said beside the error that it moved (KIP-951).

use std::sync::atomic::Ordering;

use crate::node::Node;

/// Whether the cluster gives hints.
pub(super) fn are_given(node: &Node) -> bool {
    node.shared.leader_hints.load(Ordering::Relaxed)
}

/// Id, host, port and rack of each of these nodes, once.
pub(super) fn endpoints<'a>(
    node: &'a Node,
    leaders: &'a [i32],
) -> impl Iterator<Item = (i32, String, i32, Option<String>)> + 'a {
    let named = node.shared.nodes.iter().filter(|it| leaders.contains(&it.id));
    named.map(|it| {
        let address = it.address();
        (it.id, address.ip().to_string(), i32::from(address.port()), it.rack.clone())
    })
}
