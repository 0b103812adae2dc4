//! Which partition a record goes to.
//!
//! A record with a key goes where its key's hash says, so that a key's records stay in order and a table's rows stay
//! where their readers look. The hash is part of a topic's contract: all its writers must use the same one.
//! [`fnv1a`] is what Goka writes, [`murmur2`] is what Kafka's Java client writes. Both are pure functions, held by
//! golden vectors. A record without a key goes to the [`Sticky`] partition of the moment (KIP-480, KIP-794).

use std::fmt;

/// How records with a key are placed on partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Partitioning {
    /// FNV-1a as Goka writes it: see [`fnv1a`]. The default.
    #[default]
    Fnv1a,
    /// Murmur2 as Kafka's Java client writes it: see [`murmur2`].
    Murmur2,
}

impl Partitioning {
    /// The partition of `key` among `partitions` (counts below 1 are taken as 1).
    #[inline]
    pub fn partition(self, key: &[u8], partitions: i32) -> i32 {
        match self {
            Self::Fnv1a => fnv1a(key, partitions),
            Self::Murmur2 => murmur2(key, partitions),
        }
    }
}

impl fmt::Display for Partitioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fnv1a => "fnv1a",
            Self::Murmur2 => "murmur2",
        })
    }
}

/// The partition of `key` as Goka and Sarama's hash partitioner compute it: `|h as i32 % n|` of the 32-bit FNV-1a hash.
///
/// `partitions` below 1 is taken as 1.
#[inline]
pub fn fnv1a(key: &[u8], partitions: i32) -> i32 {
    // The remainder first, then its absolute value: |i32::MIN| does not exist, |i32::MIN % n| does.
    (fnv1a_hash(key) as i32 % partitions.max(1)).abs()
}

/// The 32-bit FNV-1a hash of `key`.
#[inline]
pub fn fnv1a_hash(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |h, &byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The partition of `key` as Kafka's Java client computes it: `(h & 0x7fff_ffff) % n` of the Murmur2 hash.
///
/// `partitions` below 1 is taken as 1.
#[inline]
pub fn murmur2(key: &[u8], partitions: i32) -> i32 {
    (murmur2_hash(key) & 0x7fff_ffff) as i32 % partitions.max(1)
}

/// The 32-bit Murmur2 hash of `key` with the seed of Kafka's Java client.
#[inline]
pub fn murmur2_hash(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;

    let mut h = SEED ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, &byte| (tail << 8) | u32::from(byte));
        h = (h ^ tail).wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition that takes records without a key for now (KIP-794).
///
/// It stays until about one batch of bytes has gone there, so that batches are full and requests few, then moves on.
/// It moves when a batch has just been closed, or at the latest after twice that many bytes, so that it leaves no
/// broken-off batch behind. The next one is drawn at random; partitions with a longer queue are drawn less often, and
/// those without a leader not at all while any other has one.
#[derive(Debug, Clone)]
pub struct Sticky {
    partition: i32,
    bytes: usize,
    bytes_max: usize,
}

impl Sticky {
    /// Starts without a partition; moves on after about `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { partition: -1, bytes: 0, bytes_max: bytes_max.max(1) }
    }

    /// The partition of the moment, if it is still below `partitions`. `None`: call [`Sticky::advance`].
    #[inline]
    pub fn current(&self, partitions: i32) -> Option<i32> {
        (0..partitions).contains(&self.partition).then_some(self.partition)
    }

    /// Notes that `bytes` went to the partition; `batch_closed` says that a batch of it was just closed. True: move on.
    #[inline]
    pub fn note(&mut self, bytes: usize, batch_closed: bool) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes >= self.bytes_max && (batch_closed || self.bytes / 2 >= self.bytes_max)
    }

    /// Draws the next partition.
    ///
    /// `load(p)` is the number of batches that wait for partition `p`, `None` if it has no leader. `random` is a
    /// uniformly distributed number. Gives 0 when `partitions` is below 1.
    pub fn advance(
        &mut self,
        partitions: i32,
        random: u64,
        load: impl Fn(i32) -> Option<u32>,
    ) -> i32 {
        self.bytes = 0;
        let longest = (0..partitions).filter_map(&load).max();
        let weight = |p: i32| match (longest, load(p)) {
            (Some(longest), Some(waiting)) => {
                u64::from(longest) + 1 - u64::from(waiting.min(longest))
            }
            // No partition has a leader: all are equally good.
            (None, _) => 1,
            (Some(_), None) => 0,
        };
        let total: u64 = (0..partitions).map(weight).sum();
        let mut at = random % total.max(1);
        self.partition = 0;
        for p in 0..partitions {
            let w = weight(p);
            if at < w {
                self.partition = p;
                break;
            }
            at -= w;
        }
        self.partition
    }
}

#[cfg(test)]
mod tests;
