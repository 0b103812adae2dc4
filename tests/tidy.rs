//! The rules of the code base, as tests: layers, sizes, documentation.
//!
//! Each rule is a ratchet: the listed exceptions may shrink and disappear, never grow.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that may be longer: file, name, and the most lines it may have.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[
    // One arm per group of error codes: the table is its own documentation.
    ("crates/client/src/action.rs", "of", 148),
    ("crates/client/src/consumer/engine/plan.rs", "buckets", 74),
    ("crates/client/src/group/requests.rs", "join", 76),
    ("tests/brokers_go.rs", "a_processor_outlives_its_brokers", 73),
];

/// Files that may be longer, with the most lines each may have.
const LONG_FILES: &[(&str, usize)] = &[("crates/client/src/consumer/engine/tests.rs", 540)];

/// Which of our crates each crate may depend on, to build and to test; the arrows point one way.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("crates/protocol", &[], &[]),
    ("crates/client", &["roka-protocol"], &["roka-broker"]),
    ("crates/broker", &["roka-protocol"], &[]),
    (".", &["roka-client"], &["roka-broker", "roka-processors"]),
    ("processors", &["roka"], &["roka-broker"]),
    ("crates/bench", &["roka", "roka-client"], &[]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                walk(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = vec![];
    walk(root(), &mut paths);
    paths.sort();
    let files = paths.into_iter().map(|path| {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(&path).unwrap())
    });
    let files: Vec<_> = files.collect();
    assert!(files.len() > 20, "the walk found only {} files", files.len());
    files
}

fn report(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

/// Names of our crates in one section of a manifest.
fn dependencies(manifest: &str, section: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == format!("[{section}]");
        } else if inside && line.starts_with("roka") {
            names.insert(line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
        }
    }
    names
}

#[test]
fn layers_point_one_way() {
    let mut faults = vec![];
    for (folder, normal, dev) in LAYERS {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        for (section, allowed) in [("dependencies", normal), ("dev-dependencies", dev)] {
            for name in dependencies(&manifest, section) {
                if !allowed.contains(&name.as_str()) {
                    faults.push(format!("{folder}/Cargo.toml: {section}: {name}"));
                }
            }
        }
    }
    report("a crate depends on a layer above or beside it", &faults);
}

#[test]
fn every_crate_takes_the_lints_and_has_a_layer() {
    let mut manifests = vec!["Cargo.toml".to_owned(), "processors/Cargo.toml".to_owned()];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = format!("crates/{}", entry.unwrap().file_name().to_string_lossy());
        assert!(LAYERS.iter().any(|(name, ..)| *name == folder), "{folder} has no line in LAYERS");
        manifests.push(format!("{folder}/Cargo.toml"));
    }
    for manifest in manifests {
        let text = fs::read_to_string(root().join(&manifest)).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{manifest} does not take the lints");
    }
}

#[test]
fn files_are_short() {
    let faults: Vec<_> = rust_files()
        .into_iter()
        .filter(|(name, text)| {
            let allowed = LONG_FILES.iter().find(|(file, _)| file == name);
            text.lines().count() > allowed.map_or(FILE_LINES_MAX, |(_, lines)| *lines)
        })
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    report("files over 500 lines", &faults);
}

/// Lengths of the functions of a formatted file: from the line of `fn` to the brace at its indent.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = vec![];
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(at) = code.find("fn ") else { continue };
        let words = code[..at].split_whitespace();
        let modifier = |word: &str| {
            matches!(word, "pub" | "async" | "const")
                || word.starts_with("pub(")
                || word.ends_with(')')
        };
        if !words.clone().all(modifier) || code.starts_with("//") {
            continue;
        }
        let signature = lines[start..].iter().find(|line| line.ends_with(['{', ';', '}']));
        if signature.is_none_or(|line| line.ends_with(';')) {
            continue;
        }
        let name = code[at + 3..].split(['(', '<']).next().unwrap_or_default().to_owned();
        let close = format!("{}}}", " ".repeat(line.len() - code.len()));
        if let Some(length) = lines[start..].iter().position(|line| *line == close) {
            found.push((name, length + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let allowed: BTreeMap<_, _> =
        LONG_FUNCTIONS.iter().map(|(file, name, lines)| ((*file, *name), *lines)).collect();
    let mut faults = vec![];
    for (file, text) in rust_files() {
        for (name, lines) in functions(&text) {
            let max = allowed.get(&(file.as_str(), name.as_str())).copied();
            if lines > max.unwrap_or(FUNCTION_LINES_MAX) {
                faults.push(format!("{file}: fn {name}: {lines} lines"));
            }
        }
    }
    report("functions over 70 lines", &faults);
}

#[test]
fn the_length_of_functions_is_measured_right() {
    let text = "trait T {\n    fn t();\n}\n\nfn a() {\n    x();\n}\n\nimpl B {\n    pub async fn c(\n        &self,\n    ) {\n    }\n}\n";
    assert_eq!(functions(text), [("a".to_owned(), 3), ("c".to_owned(), 4)]);
}

#[test]
fn nothing_is_left_open_and_nobody_opts_out_of_documentation() {
    // Written in two parts so that this file does not find itself.
    let forbidden = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[ig", "nore"),
        concat!("FIX", "ME"),
        concat!("allow(missing", "_docs"),
        concat!("/home", "/"),
        concat!("/root", "/"),
    ];
    let mut faults = vec![];
    for (file, text) in rust_files() {
        // Fields of protocol messages carry the names of Kafka's own documentation.
        let declares = file == "crates/protocol/src/declare.rs";
        let is_test = file.contains("tests/");
        for (number, line) in text.lines().enumerate() {
            for word in forbidden.iter().filter(|word| line.contains(**word)) {
                if word.ends_with("_docs") && (declares || is_test) {
                    continue;
                }
                faults.push(format!("{file}:{}: {word}", number + 1));
            }
        }
    }
    report("left open", &faults);
}

#[test]
fn every_file_opens_with_a_sentence() {
    let faults: Vec<_> = rust_files()
        .into_iter()
        // What a file of tests is about is said where it is declared.
        .filter(|(name, _)| !name.ends_with("/tests.rs"))
        .filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#!"))
        .map(|(file, _)| file)
        .collect();
    report("no module documentation on the first line", &faults);
}

#[test]
fn the_architecture_names_every_crate_and_folder() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (folder, ..) in LAYERS.iter().filter(|(folder, ..)| *folder != ".") {
        assert!(text.contains(folder), "ARCHITECTURE.md does not name {folder}");
    }
}
