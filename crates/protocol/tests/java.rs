//! Our bytes against Kafka's own Java classes, of the newest 4.x and of 3.9, in every version.
//!
//! Together the two know every version that we do, also those that 4.0 took away. Runs where
//! `tests/schemas.rs` does and Java is there, else says that it did not.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without, it may panic for")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use roka_protocol::{
    Message, Request, Sampler,
    messages::{self, Visitor},
};

const SEEDS: u64 = 20;

/// Made-up messages as lines of class, version and bytes; and how many versions they are of.
#[derive(Default)]
struct Lines {
    text: String,
    versions: usize,
}

impl Lines {
    fn add<M: Message>(&mut self, class: &str) {
        for version in M::VERSIONS {
            self.versions += 1;
            for seed in 0..SEEDS {
                let bytes = M::sample(&mut Sampler::new(seed, version)).encode(version).unwrap();
                write!(self.text, "{class} {version} ").unwrap();
                for byte in bytes {
                    write!(self.text, "{byte:02x}").unwrap();
                }
                self.text.push('\n');
            }
        }
    }
}

impl Visitor for Lines {
    fn request<R: Request>(&mut self, _: &'static str) {
        self.add::<R>(&format!("{}Data", R::NAME));
        self.add::<R::Response>(&format!("{}Data", R::Response::NAME));
    }

    fn data<M: Message>(&mut self, _: &'static str) {
        self.add::<M>(M::NAME);
    }
}

/// The jars that `.ci/schemas` has left beside the folders it unpacked.
fn jars() -> Option<Vec<(PathBuf, PathBuf)>> {
    let not_run = |why: &str| {
        // Past the harness, which swallows what a passing test prints.
        let _ = writeln!(std::io::stderr(), "java: NOT RUN: {why}");
        None
    };
    let Ok(value) = std::env::var("ROKA_KAFKA_SCHEMAS") else {
        return not_run("set ROKA_KAFKA_SCHEMAS=$(.ci/schemas) to compare with Kafka's classes");
    };
    if Command::new("java").arg("-version").output().is_err() {
        return not_run("there is no java");
    }
    let jars = value.split(':').map(|folder| {
        let root = Path::new(folder).ancestors().nth(2).unwrap();
        let version = root.file_name().unwrap().to_string_lossy();
        let out = root.parent().unwrap();
        let jar = out.join(format!("kafka-clients-{version}.jar"));
        assert!(jar.is_file(), "{} is missing", jar.display());
        let slf4j = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
        let slf4j = slf4j.filter(|path| path.to_string_lossy().contains("slf4j-api")).last();
        (jar, slf4j.unwrap_or_else(|| panic!("slf4j-api is missing in {}", out.display())))
    });
    Some(jars.collect())
}

#[test]
fn kafkas_own_classes_write_the_same_bytes() {
    let Some(jars) = jars() else { return };
    let mut lines = Lines::default();
    messages::visit(&mut lines);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/Bytes.java");
    let mut unknown: Option<BTreeSet<String>> = None;
    for (jar, slf4j) in &jars {
        let out = run(jar, slf4j, &source, &lines.text);
        assert!(!out.contains("different "), "{}:\n{out}", jar.display());
        let missing: BTreeSet<_> = out
            .lines()
            .filter_map(|line| line.strip_prefix("unknown "))
            .map(String::from)
            .collect();
        let equal = out.lines().last().and_then(|count| count.parse::<usize>().ok());
        let expected = (lines.versions - missing.len()) * SEEDS as usize;
        assert_eq!(equal, Some(expected), "{}:\n{out}", jar.display());
        unknown = Some(match unknown {
            None => missing,
            Some(before) => &before & &missing,
        });
    }
    // What one of them lacks, the other has.
    assert_eq!(unknown, Some(BTreeSet::new()));
}

fn run(jar: &Path, slf4j: &Path, source: &Path, lines: &str) -> String {
    let mut java = Command::new("java")
        .arg("-cp")
        .arg(std::env::join_paths([jar, slf4j]).unwrap())
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    java.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let mut out = String::new();
    java.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(java.wait().unwrap().success(), "{}: {out}", jar.display());
    out
}
