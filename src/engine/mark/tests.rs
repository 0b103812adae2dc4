use proptest::prelude::*;

use super::*;

const T: u32 = 7;

fn mark(from: i64, to: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode([Span { topic: T, from, to }], &mut bytes);
    bytes
}

fn guards(committed: i64) -> Guards {
    Guards::new(vec![Start { topic: T, offset: committed }])
}

#[test]
fn a_row_of_an_unfinished_commit_keeps_its_inputs_from_counting_twice() {
    let mut guards = guards(100);
    guards.observe(b"k", 5, Some(&mark(100, 150)));
    assert!(guards.include(0, 100, b"k"));
    assert!(guards.include(0, 149, b"k"));
    assert!(!guards.include(0, 150, b"k"));
    assert!(!guards.include(0, 100, b"other"));
    assert_eq!(guards.floor(), Some(5));
    assert_eq!(guards.reach(0, 120, b"k"), 150);
    assert_eq!(guards.reach(0, 170, b"k"), 170);
    guards.committed(&[140]);
    assert!(!guards.is_empty());
    guards.committed(&[150]);
    assert!(guards.is_empty());
    assert_eq!(guards.floor(), None);
}

#[test]
fn a_finished_commit_guards_nothing() {
    let mut guards = guards(150);
    guards.observe(b"k", 5, Some(&mark(100, 150)));
    assert!(guards.is_empty());
}

#[test]
fn offsets_set_back_on_purpose_are_processed_again() {
    let mut guards = guards(0);
    guards.observe(b"k", 5, Some(&mark(100, 150)));
    assert!(!guards.include(0, 120, b"k"));
}

#[test]
fn a_later_row_without_a_mark_lifts_the_guard() {
    let mut guards = guards(100);
    guards.observe(b"k", 5, Some(&mark(100, 150)));
    guards.observe(b"k", 6, None);
    assert!(!guards.include(0, 120, b"k"));
}

#[test]
fn each_input_has_its_own_reach() {
    let mut guards =
        Guards::new(vec![Start { topic: 1, offset: 10 }, Start { topic: 2, offset: 20 }]);
    let mut bytes = Vec::new();
    encode([Span { topic: 2, from: 20, to: 25 }, Span { topic: 1, from: 5, to: 10 }], &mut bytes);
    guards.observe(b"k", 0, Some(&bytes));
    assert!(!guards.include(0, 9, b"k"));
    assert!(guards.include(1, 24, b"k"));
    guards.forget_input(1);
    assert!(guards.is_empty());
}

#[test]
fn the_hash_of_a_topic_is_fnv_1a() {
    assert_eq!(topic_hash("a"), 0xe40c_292c);
}

proptest! {
    #[test]
    fn any_header_is_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        guards(0).observe(b"k", 0, Some(&bytes));
    }

    /// Random crashes of a counter at every step of its commits: the count is exact each time.
    #[test]
    fn a_counter_is_exact_whenever_it_crashes(
        keys in prop::collection::vec(0..4u8, 1..60),
        steps in prop::collection::vec((1..10usize, 0..4u8, 0..5usize), 1..40),
    ) {
        crash_model(&keys, &steps);
    }
}

/// Input `keys[offset]`; each step processes some records and crashes at some point of the commit, or not at all (3).
fn crash_model(keys: &[u8], steps: &[(usize, u8, usize)]) {
    let mut changelog: Vec<(u8, u64, Vec<u8>)> = Vec::new();
    let mut committed = 0;
    let mut steps = steps.iter().copied().chain(std::iter::repeat((usize::MAX, 3, 0)));
    'run: loop {
        // Recovery, as if compaction had removed every row but the newest.
        let mut table: HashMap<u8, u64> = HashMap::new();
        let mut guards = guards(committed as i64);
        for (place, (key, value, mark)) in changelog.iter().enumerate() {
            if changelog[place + 1..].iter().all(|(later, ..)| later != key) {
                table.insert(*key, *value);
                guards.observe(&[*key], place as i64, Some(mark));
            }
        }
        let mut position = committed;
        while committed < keys.len() {
            let (records, crash, acked) = steps.next().unwrap_or((usize::MAX, 3, 0));
            let mut dirty: Vec<u8> = Vec::new();
            for (offset, key) in keys.iter().enumerate().skip(position).take(records) {
                position = offset + 1;
                if !guards.include(0, offset as i64, &[*key]) {
                    *table.entry(*key).or_default() += 1;
                    dirty.push(*key);
                }
            }
            dirty.sort_unstable();
            dirty.dedup();
            if crash == 0 {
                continue 'run;
            }
            // Crash 1: only some of the rows were written. Crash 2: all, but the offsets were not committed.
            let rows = if crash == 1 { acked.min(dirty.len()) } else { dirty.len() };
            for key in &dirty[..rows] {
                let to = guards.reach(0, position as i64, &[*key]);
                changelog.push((*key, table[key], mark(committed as i64, to)));
            }
            if crash < 3 {
                continue 'run;
            }
            committed = position;
            guards.committed(&[position as i64]);
        }
        let mut truth: HashMap<u8, u64> = HashMap::new();
        for key in keys {
            *truth.entry(*key).or_default() += 1;
        }
        assert_eq!(table, truth);
        return;
    }
}
