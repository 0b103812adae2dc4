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

    /// Random crashes of a counter of two inputs at every step of its commits: the count is exact each time.
    #[test]
    fn a_counter_is_exact_whenever_it_crashes(
        inputs in prop::array::uniform2(prop::collection::vec(0..4u8, 1..40)),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        crash_model(&inputs, &steps);
    }
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// How many records of each input are processed before the commit.
    records: [usize; 2],
    crash: Crash,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Crash {
    BeforeCommit,
    /// After this many rows were written.
    Writing(usize),
    BeforeOffsets,
    Never,
}

fn step() -> impl Strategy<Value = Step> {
    let crash = prop_oneof![
        Just(Crash::BeforeCommit),
        (0..4usize).prop_map(Crash::Writing),
        Just(Crash::BeforeOffsets),
        Just(Crash::Never),
    ];
    (prop::array::uniform2(0..8usize), crash).prop_map(|(records, crash)| Step { records, crash })
}

fn crash_model(inputs: &[Vec<u8>; 2], steps: &[Step]) {
    let last = Step { records: [usize::MAX; 2], crash: Crash::Never };
    let mut steps = steps.iter().copied().chain(std::iter::repeat(last));
    let mut changelog: Vec<(u8, u64, Vec<u8>)> = Vec::new();
    let mut committed = [0_usize; 2];
    'run: loop {
        // Recovery, as if compaction had removed every row but the newest.
        let mut table: HashMap<u8, u64> = HashMap::new();
        let start = |input: usize| Start { topic: input as u32, offset: committed[input] as i64 };
        let mut guards = Guards::new(vec![start(0), start(1)]);
        for (place, (key, value, mark)) in changelog.iter().enumerate() {
            if changelog[place + 1..].iter().all(|(later, ..)| later != key) {
                table.insert(*key, *value);
                guards.observe(&[*key], place as i64, Some(mark));
            }
        }
        let mut position = committed;
        while (0..2).any(|input| committed[input] < inputs[input].len()) {
            let Step { records, crash } = steps.next().unwrap_or(last);
            let mut dirty: Vec<u8> = Vec::new();
            for (input, keys) in inputs.iter().enumerate() {
                for (offset, key) in
                    keys.iter().enumerate().skip(position[input]).take(records[input])
                {
                    position[input] = offset + 1;
                    if !guards.include(input, offset as i64, &[*key]) {
                        *table.entry(*key).or_default() += 1;
                        dirty.push(*key);
                    }
                }
            }
            dirty.sort_unstable();
            dirty.dedup();
            let rows = match crash {
                Crash::BeforeCommit => continue 'run,
                Crash::Writing(rows) => rows.min(dirty.len()),
                Crash::BeforeOffsets | Crash::Never => dirty.len(),
            };
            for key in &dirty[..rows] {
                let mut mark = Vec::new();
                let span = |input: usize| Span {
                    topic: input as u32,
                    from: committed[input] as i64,
                    to: guards.reach(input, position[input] as i64, &[*key]),
                };
                encode([span(0), span(1)], &mut mark);
                changelog.push((*key, table[key], mark));
            }
            if crash != Crash::Never {
                continue 'run;
            }
            committed = position;
            guards.committed(&position.map(|position| position as i64));
        }
        let mut truth: HashMap<u8, u64> = HashMap::new();
        for key in inputs.iter().flatten() {
            *truth.entry(*key).or_default() += 1;
        }
        assert_eq!(table, truth);
        return;
    }
}
