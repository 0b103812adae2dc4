//! From a key to its partition.

/// How a key's bytes decide its partition.
///
/// Every program that writes a topic by key must agree on it, and so must all that join the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Hasher {
    /// FNV-1a, 32 bits, modulo with the sign dropped: what Goka does. The default.
    #[default]
    Fnv1a,
    /// Murmur2, as the Java client and most others do.
    Murmur2,
}

impl Hasher {
    /// The partition of `key` among `partitions`, which must be positive.
    pub fn partition(self, key: &[u8], partitions: i32) -> i32 {
        match self {
            Self::Fnv1a => ((fnv1a(key) as i32) % partitions).abs(),
            Self::Murmur2 => ((murmur2(key) & 0x7fff_ffff) as i32) % partitions,
        }
    }
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Murmur2 with the seed of Kafka's Java client.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goka_places_keys_like_this() {
        // Computed with Goka's partitioner: key, then the partition among 2, 3, 8, 10, 20, 128.
        let vectors: [(&str, [i32; 6]); 6] = [
            ("", [1, 0, 3, 5, 15, 59]),
            ("a", [0, 0, 4, 6, 16, 84]),
            ("key", [0, 1, 4, 8, 8, 108]),
            ("user-1", [0, 0, 4, 6, 16, 12]),
            ("Alice", [1, 2, 7, 3, 3, 7]),
            ("münchen", [1, 0, 3, 3, 3, 83]),
        ];
        for (key, expected) in vectors {
            let partitions =
                [2, 3, 8, 10, 20, 128].map(|n| Hasher::Fnv1a.partition(key.as_bytes(), n));
            assert_eq!(partitions, expected, "{key}");
        }
        // The hash is 0x80000000, whose absolute value does not exist in 32 bits.
        assert_eq!(Hasher::Fnv1a.partition(b"2304669687", 3), 2);
        assert_eq!(Hasher::Fnv1a.partition(b"2304669687", 10), 8);
    }

    #[test]
    fn java_places_keys_like_this() {
        // From Kafka's own tests of `Utils.murmur2`.
        let vectors: [(&str, i32); 5] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }
}
