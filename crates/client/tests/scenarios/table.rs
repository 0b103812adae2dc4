//! A harness for scenarios: each row runs on a thread and runtime of its own, says what it measured, and at the end all
//! are printed as one table. `cargo test … --test scenarios -- S1 S2c` runs the rows whose ids begin so; of the options of
//! the usual harness `--list`, `--exact`, `--skip` and `--test-threads` count, the others are taken and ignored.
//!
//! A row asserts its bound itself; what it gives to [`Row::measured`] is for the reader. Another binary takes this file by
//! `#[path]`.

use std::fmt::Display;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A row that takes longer fails: nothing here waits for more than a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// One row of the tables.
pub(crate) struct Scenario {
    id: &'static str,
    bound: &'static str,
    changed: Option<&'static str>,
    run: Box<dyn FnOnce(Row) + Send>,
}

/// A row: its id, its bound in words, and the test. The test fails by panicking.
pub(crate) fn row<F: Future<Output = ()>>(
    id: &'static str,
    bound: &'static str,
    test: impl FnOnce(Row) -> F + Send + 'static,
) -> Scenario {
    let run = Box::new(move |row| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ended = tokio::time::timeout(PATIENCE, test(row)).await;
            assert!(ended.is_ok(), "{id} did not end within {PATIENCE:?}");
        });
    });
    Scenario { id, bound, changed: None, run }
}

impl Scenario {
    /// The bound is not the one first set, for this reason.
    #[allow(dead_code, reason = "not every binary changes a bound")]
    pub(crate) fn changed(mut self, reason: &'static str) -> Self {
        self.changed = Some(reason);
        self
    }
}

/// Where a row says what it measured.
#[derive(Clone, Default)]
pub(crate) struct Row(Arc<Mutex<Vec<String>>>);

impl Row {
    /// Something for the column of what was measured.
    pub(crate) fn measured(&self, what: impl Display) {
        self.0.lock().unwrap().push(what.to_string());
    }
}

struct Done {
    id: &'static str,
    bound: String,
    measured: String,
    passed: bool,
}

/// Runs the rows that the command line asks for, prints the table; the exit code of the test binary.
pub(crate) fn run(scenarios: Vec<Scenario>) -> ExitCode {
    let arguments = Arguments::read();
    let mut chosen: Vec<_> = scenarios.into_iter().filter(|it| arguments.takes(it.id)).collect();
    if arguments.list {
        for it in &chosen {
            println!("{}: test", it.id);
        }
        return ExitCode::SUCCESS;
    }
    chosen.reverse();
    let waiting = Mutex::new(chosen);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                loop {
                    let Some(next) = waiting.lock().unwrap().pop() else { return };
                    let outcome = carry_out(next);
                    done.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|it| it.id);
    print(&done);
    if done.iter().all(|it| it.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn carry_out(scenario: Scenario) -> Done {
    let Scenario { id, bound, changed, run } = scenario;
    let (row, begin) = (Row::default(), Instant::now());
    let measured = row.0.clone();
    let passed = catch_unwind(AssertUnwindSafe(|| run(row))).is_ok();
    let mut measured = std::mem::take(&mut *measured.lock().unwrap());
    if !passed {
        println!("{id} FAILED; measured until then: {}", measured.join("; "));
        measured.insert(0, "FAILED".into());
    }
    measured.push(format!("row took {:.1} s", begin.elapsed().as_secs_f64()));
    let bound = changed.map_or_else(|| bound.to_owned(), |why| format!("{bound} [changed: {why}]"));
    Done { id, bound, measured: measured.join("; "), passed }
}

fn print(done: &[Done]) {
    println!("\n| row | bound | measured |\n|---|---|---|");
    for it in done {
        println!("| {} | {} | {} |", it.id, it.bound, it.measured);
    }
    let failed: Vec<_> = done.iter().filter(|it| !it.passed).map(|it| it.id).collect();
    let outcome = if failed.is_empty() { "ok".into() } else { format!("FAILED {failed:?}") };
    let passed = done.len() - failed.len();
    println!("\ntest result: {outcome}. {passed} passed; {} failed\n", failed.len());
}

/// What the command line asks for.
struct Arguments {
    list: bool,
    exact: bool,
    begins: Vec<String>,
    skip: Vec<String>,
    threads: usize,
}

impl Arguments {
    fn read() -> Self {
        let mut it = Self {
            list: false,
            exact: false,
            begins: Vec::new(),
            skip: Vec::new(),
            // Rows wait more than they work.
            threads: 4,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => it.list = true,
                "--exact" => it.exact = true,
                "--skip" => it.skip.extend(arguments.next()),
                "--test-threads" => {
                    let threads = arguments.next().and_then(|it| it.parse().ok());
                    it.threads = threads.unwrap_or(it.threads).max(1);
                }
                "--format" | "--color" | "-Z" | "--logfile" => drop(arguments.next()),
                option if option.starts_with('-') => {}
                _ => it.begins.push(argument),
            }
        }
        it
    }

    fn takes(&self, id: &str) -> bool {
        let fits = |wanted: &String| {
            if self.exact { id == wanted } else { id.starts_with(wanted.as_str()) }
        };
        (self.begins.is_empty() || self.begins.iter().any(fits)) && !self.skip.iter().any(fits)
    }
}
