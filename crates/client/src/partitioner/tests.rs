use super::*;

/// Found with Sarama's partitioner and Goka's own hash.
#[test]
fn fnv1a_is_gokas() {
    let golden: [(&str, u32, [i32; 6]); 14] = [
        ("", 0x811c_9dc5, [1, 0, 3, 5, 15, 59]),
        ("a", 0xe40c_292c, [0, 0, 4, 6, 16, 84]),
        ("key", 0x6815_c86c, [0, 1, 4, 8, 8, 108]),
        ("key1", 0x374a_6a67, [1, 2, 7, 3, 3, 103]),
        ("key2", 0x384a_6bfa, [0, 1, 2, 2, 2, 122]),
        ("0", 0x350c_a8af, [1, 0, 7, 3, 3, 47]),
        ("02", 0x1fed_6f27, [1, 1, 7, 3, 3, 39]),
        ("user-0", 0xf653_7b07, [1, 1, 1, 7, 17, 121]),
        ("user-1", 0xf553_7974, [0, 0, 4, 6, 16, 12]),
        ("Alice", 0x2cdd_8587, [1, 2, 7, 3, 3, 7]),
        ("Bob", 0xebcb_a174, [0, 0, 4, 6, 16, 12]),
        ("some-key", 0x5193_6373, [1, 1, 3, 7, 7, 115]),
        ("münchen", 0x545a_4c53, [1, 0, 3, 3, 3, 83]),
        ("test-key-1", 0x06c6_0f7d, [1, 2, 5, 9, 9, 125]),
    ];
    for (key, hash, partitions) in golden {
        assert_eq!(fnv1a_hash(key.as_bytes()), hash, "{key}");
        for (n, partition) in [2, 3, 8, 10, 20, 128].into_iter().zip(partitions) {
            assert_eq!(fnv1a(key.as_bytes(), n), partition, "{key} of {n}");
        }
    }
    // The hash 0x80000000, for which Goka's own lookup overflows; its producer does not.
    assert_eq!(fnv1a_hash(b"2304669687"), 0x8000_0000);
    assert_eq!(fnv1a(b"2304669687", 3), 2);
    assert_eq!(fnv1a(b"2304669687", 10), 8);
}

/// From `UtilsTest.testMurmur2` of Apache Kafka.
#[test]
fn murmur2_is_javas() {
    let golden: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    for (key, hash) in golden {
        assert_eq!(murmur2_hash(key.as_bytes()) as i32, hash, "{key}");
        assert_eq!(murmur2(key.as_bytes(), 7), (hash & 0x7fff_ffff) % 7, "{key}");
    }
}

#[test]
fn counts_below_one_do_not_divide_by_zero() {
    for n in [0, -1, i32::MIN] {
        assert_eq!((fnv1a(b"key", n), murmur2(b"key", n)), (0, 0));
    }
}

#[test]
fn sticky_stays_for_a_batch_and_leaves_at_its_end() {
    let mut sticky = Sticky::new(100);
    assert_eq!(sticky.current(3), None);
    assert_eq!(sticky.advance(3, 1, |_| Some(0)), 1);
    assert_eq!(sticky.current(3), Some(1));
    assert!(!sticky.note(99, true), "a batch closed early does not move it");
    assert!(!sticky.note(50, false), "it does not leave a batch half full");
    assert!(sticky.note(1, true), "it leaves when a batch closes");
    assert!(sticky.note(50, false), "or after twice the bytes at the latest");
    assert_eq!(sticky.current(1), None, "the topic was created again with fewer partitions");
}

#[test]
fn sticky_prefers_short_queues_and_leaders() {
    let mut sticky = Sticky::new(1);
    let load = |p| [Some(3), None, Some(0), Some(2)][p as usize];
    let mut drawn = [0; 4];
    for random in 0..700 {
        drawn[sticky.advance(4, random, load) as usize] += 1;
    }
    // Weights 1, 0, 4, 2.
    assert_eq!(drawn, [100, 0, 400, 200]);
    for random in 0..4 {
        assert_eq!(sticky.advance(4, random, |_| None), random as i32, "no leader anywhere");
    }
    assert_eq!(sticky.advance(0, 7, |_| Some(0)), 0);
}
