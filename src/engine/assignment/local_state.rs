//! What a member tells the leader about its local state: bytes in the user data of its subscription.
//!
//! Version (1 byte), then pairs of partition (4 bytes) and changelog offset (8 bytes), big-endian. Other versions and
//! odd lengths read as "no local state": that costs a recovery, never a rebalance.

use std::collections::BTreeMap;

const VERSION: u8 = 1;
const PAIR: usize = 12;

/// Changelog offset by partition number.
pub(crate) fn encode(local: &BTreeMap<i32, i64>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + local.len() * PAIR);
    bytes.push(VERSION);
    for (partition, offset) in local {
        bytes.extend_from_slice(&partition.to_be_bytes());
        bytes.extend_from_slice(&offset.to_be_bytes());
    }
    bytes
}

/// The opposite of [`encode`]; empty for what it does not understand.
pub(crate) fn decode(bytes: &[u8]) -> BTreeMap<i32, i64> {
    let Some((&VERSION, pairs)) = bytes.split_first() else { return BTreeMap::new() };
    let (pairs, rest) = pairs.as_chunks::<PAIR>();
    if !rest.is_empty() {
        return BTreeMap::new();
    }
    pairs
        .iter()
        .map(|[a, b, c, d, offset @ ..]| {
            (i32::from_be_bytes([*a, *b, *c, *d]), i64::from_be_bytes(*offset))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn there_and_back(local in prop::collection::btree_map(any::<i32>(), any::<i64>(), 0..20)) {
            prop_assert_eq!(decode(&encode(&local)), local);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }
    }
}
