//! Every declaration against Kafka's own schemas, version by version.
//!
//! `ROKA_KAFKA_SCHEMAS` names two folders, those of the newest 4.x and of 3.9; `.ci/schemas` fetches
//! them and prints the value. Without it this test says that it did not run.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without, it may panic for")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use roka_protocol::{
    ApiKey, Field, Message, Request,
    messages::{self, STRUCTS, Visitor},
};
use serde_json::Value;

/// Structs that two messages of one file define differently under one name.
const RENAMED: &[(&str, &str, &str)] = &[
    ("AlterClientQuotasRequest", "EntryData", "AlterEntryData"),
    ("AlterClientQuotasResponse", "EntryData", "AlteredEntryData"),
];

/// Fields that 4.x calls otherwise than 3.9 did; ours have the newer name.
const ALIASES: &[(&str, &str, &str)] =
    &[("TxnOffsetCommitRequest", "GenerationId", "GenerationIdOrMemberEpoch")];

/// One message of ours.
struct Ours {
    name: &'static str,
    module: &'static str,
    key: Option<i16>,
    versions: (i16, i16),
    flexible: i16,
}

#[derive(Default)]
struct Collect(Vec<Ours>);

impl Collect {
    fn add<M: Message>(&mut self, module: &'static str, key: Option<i16>) {
        self.0.push(Ours {
            name: M::NAME,
            module,
            key,
            versions: (*M::VERSIONS.start(), *M::VERSIONS.end()),
            flexible: M::FLEXIBLE,
        });
    }
}

impl Visitor for Collect {
    fn request<R: Request>(&mut self, module: &'static str) {
        self.add::<R>(module, Some(R::KEY));
        self.add::<R::Response>(module, Some(R::KEY));
    }

    fn data<M: Message>(&mut self, module: &'static str) {
        self.add::<M>(module, None);
    }
}

/// The versions of a schema (`none`, `3`, `0-4`, `2+`) as a range; empty is `(1, 0)`.
fn schema_range(text: &str) -> (i16, i16) {
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("versions {text:?}"));
    if text == "none" {
        (1, 0)
    } else if let Some(low) = text.strip_suffix('+') {
        (number(low), i16::MAX)
    } else if let Some((low, high)) = text.split_once('-') {
        (number(low), number(high))
    } else {
        (number(text), number(text))
    }
}

/// The versions of a declaration (`3..`, `0..=4`); empty is all.
fn our_range(text: &str) -> (i16, i16) {
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| panic!("versions {text:?}"));
    match text.split_once("..") {
        None if text.is_empty() => (0, i16::MAX),
        None => panic!("versions {text:?}"),
        Some((low, "")) => (number(low), i16::MAX),
        Some((low, high)) => (number(low), number(high.trim_start_matches('='))),
    }
}

fn within(version: i16, (low, high): (i16, i16)) -> bool {
    (low..=high).contains(&version)
}

/// Kafka's schemas are JSON with comments.
fn without_comments(text: &str) -> String {
    let strip = |line: &str| {
        let mut quoted = false;
        for (at, c) in line.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '/' if !quoted && line[at..].starts_with("//") => return line[..at].to_owned(),
                _ => {}
            }
        }
        line.to_owned()
    };
    text.lines().map(strip).collect::<Vec<_>>().join("\n")
}

fn load(folder: &Path, name: &str) -> Option<Value> {
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).ok()?;
    let schema: Value = serde_json::from_str(&without_comments(&text))
        .unwrap_or_else(|error| panic!("{name} in {}: {error}", folder.display()));
    (schema["validVersions"] != "none").then_some(schema)
}

fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let after_lower = i > 0 && !chars[i - 1].is_uppercase();
        let before_lower = i > 0 && chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && i > 0 && (after_lower || before_lower) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn primitive(ty: &str) -> Option<&'static str> {
    Some(match ty {
        "bool" => "bool",
        "int8" => "i8",
        "int16" => "i16",
        "uint16" => "u16",
        "int32" => "i32",
        "uint32" => "u32",
        "int64" => "i64",
        "float64" => "f64",
        "string" => "String",
        "uuid" => "Uuid",
        "bytes" | "records" => "Bytes",
        _ => return None,
    })
}

/// The default of a field as our declaration should spell it; `nullable` as our type is.
fn default(field: &Value, item: &str, array: bool, nullable: bool) -> String {
    let given = match &field["default"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let empty = match item {
        _ if array => "Some(Vec::new())",
        "string" => "Some(String::new())",
        "bytes" => "Some(Bytes::new())",
        // Java's default for records is null.
        "records" => "",
        item if primitive(item).is_none() => "Some(Default::default())",
        _ => return number(&given),
    };
    assert!(matches!(given.as_str(), "" | "null"), "default {given:?}");
    if nullable && given != "null" { empty.to_owned() } else { String::new() }
}

fn number(given: &str) -> String {
    let hex = given.strip_prefix("0x").map(|hex| i64::from_str_radix(hex, 16).unwrap());
    match (given, hex.or_else(|| given.parse().ok())) {
        ("" | "false", _) | (_, Some(0)) => String::new(),
        (_, Some(n)) if n == i64::from(i32::MAX) => "i32::MAX".into(),
        (_, Some(n)) if n == i64::from(i32::MIN) => "i32::MIN".into(),
        (_, Some(i64::MAX)) => "i64::MAX".into(),
        (_, Some(n)) => n.to_string(),
        (other, None) => other.to_owned(),
    }
}

/// A field in one version, in the words of both sides.
#[derive(Debug, PartialEq)]
struct Facts {
    name: String,
    ty: String,
    null: bool,
    default: String,
    tag: Option<u64>,
}

fn our_type(field: &Field) -> (&str, bool) {
    let inner = field.ty.strip_prefix("Option<").and_then(|ty| ty.strip_suffix('>'));
    (inner.unwrap_or(field.ty), inner.is_some())
}

fn our_name(field: &Field) -> String {
    field.name.trim_start_matches("r#").to_owned()
}

/// The comparison of one message in one version.
struct Check<'a> {
    message: &'a Ours,
    common: BTreeMap<String, Vec<Value>>,
    version: i16,
    seen: &'a mut Seen,
}

/// What the schemas have told so far.
#[derive(Default)]
struct Seen {
    /// Module, struct and field, and whether the newest schema that has it drops it silently.
    ignorable: BTreeMap<(String, String, String), bool>,
    structs: BTreeSet<(String, String)>,
    faults: Vec<String>,
}

fn our_fields(module: &str, name: &str) -> Option<&'static [Field]> {
    let (_, structs) = STRUCTS.iter().find(|(file, _)| *file == module)?;
    structs.iter().find(|it| it.name == name).map(|it| it.fields)
}

impl Check<'_> {
    fn renamed<'b>(&self, name: &'b str) -> &'b str {
        let renamed = RENAMED.iter().find(|it| it.0 == self.message.name && it.1 == name);
        renamed.map_or(name, |it| it.2)
    }

    fn structure(&mut self, name: &str, fields: &[Value]) {
        let module = self.message.module;
        let ours_name = self.renamed(name).to_owned();
        self.seen.structs.insert((module.to_owned(), ours_name.clone()));
        let Some(ours) = our_fields(module, &ours_name) else {
            self.seen.faults.push(format!("{module}: no struct {ours_name}"));
            return;
        };
        let in_version: Vec<&Value> = fields
            .iter()
            .filter(|field| {
                within(self.version, schema_range(field["versions"].as_str().unwrap_or("0+")))
            })
            .collect();
        let mut theirs: Vec<_> =
            in_version.iter().map(|field| self.their_facts(&ours_name, ours, field)).collect();
        let mut declared: Vec<_> = ours
            .iter()
            .filter(|field| within(self.version, our_range(field.versions)))
            .map(|field| self.our_facts(field))
            .collect();
        // Plain fields in wire order, then the tagged ones by tag.
        theirs.sort_by_key(|field| field.tag.map(|tag| tag + 1));
        declared.sort_by_key(|field| field.tag.map(|tag| tag + 1));
        if theirs != declared {
            self.seen.faults.push(format!(
                "{module}::{ours_name} in {} v{}:\n  Kafka {theirs:?}\n  ours  {declared:?}",
                self.message.name, self.version
            ));
        }
        for field in in_version {
            let ty = field["type"].as_str().unwrap();
            let item = ty.strip_prefix("[]").unwrap_or(ty);
            if primitive(item).is_none() {
                let inner = match field["fields"].as_array() {
                    Some(fields) => fields.clone(),
                    None => self.common[item].clone(),
                };
                self.structure(item, &inner);
            }
        }
    }

    fn their_facts(&mut self, in_struct: &str, ours: &[Field], field: &Value) -> Facts {
        let name = field["name"].as_str().unwrap();
        let alias = ALIASES.iter().find(|it| it.0 == self.message.name && it.1 == name);
        let name = snake(alias.map_or(name, |it| it.2));
        let ty = field["type"].as_str().unwrap();
        let (item, array) = ty.strip_prefix("[]").map_or((ty, false), |item| (item, true));
        let rust = primitive(item).unwrap_or_else(|| self.renamed(item));
        let nullable = ours.iter().any(|it| our_name(it) == name && our_type(it).1);
        let place = (self.message.module.to_owned(), in_struct.to_owned(), name.clone());
        // The newest schemas come first, so what they say stays.
        let ignorable = field["ignorable"].as_bool().unwrap_or(false);
        self.seen.ignorable.entry(place).or_insert(ignorable);
        let in_versions =
            |key: &str| within(self.version, schema_range(field[key].as_str().unwrap_or("none")));
        Facts {
            ty: if array { format!("Vec<{rust}>") } else { rust.to_owned() },
            null: in_versions("nullableVersions"),
            default: default(field, item, array, nullable),
            tag: in_versions("taggedVersions").then(|| field["tag"].as_u64().unwrap()),
            name,
        }
    }

    fn our_facts(&self, field: &Field) -> Facts {
        let (ty, nullable) = our_type(field);
        Facts {
            name: our_name(field),
            ty: ty.to_owned(),
            null: nullable && within(self.version, our_range(field.null)),
            default: field.default.replace("- ", "-"),
            tag: field.tag.map(u64::from),
        }
    }
}

/// Compares one message with its schema in every version of the schema, and says which those are.
fn check_message(message: &Ours, schema: &Value, seen: &mut Seen) -> (i16, i16) {
    let valid = schema_range(schema["validVersions"].as_str().unwrap());
    let key = schema["apiKey"].as_i64().map(|key| key as i16);
    if key != message.key {
        seen.faults.push(format!("{}: Kafka key {key:?}, ours {:?}", message.name, message.key));
    }
    let flexible = schema_range(schema["flexibleVersions"].as_str().unwrap_or("none"));
    for version in valid.0..=valid.1 {
        if within(version, flexible) != (version >= message.flexible) {
            seen.faults.push(format!("{} v{version}: flexible differs", message.name));
        }
        let common = schema["commonStructs"].as_array().into_iter().flatten();
        let common = common
            .map(|it| {
                (it["name"].as_str().unwrap().to_owned(), it["fields"].as_array().unwrap().clone())
            })
            .collect();
        let mut check = Check { message, common, version, seen };
        check.structure(message.name, schema["fields"].as_array().unwrap());
    }
    valid
}

fn folders() -> Option<Vec<PathBuf>> {
    let Ok(value) = std::env::var("ROKA_KAFKA_SCHEMAS") else {
        // Past the harness, which swallows what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "schemas: NOT RUN: set ROKA_KAFKA_SCHEMAS=$(.ci/schemas) to compare with Kafka's schemas"
        );
        return None;
    };
    let folders: Vec<PathBuf> = value.split(':').map(PathBuf::from).collect();
    assert_eq!(folders.len(), 2, "ROKA_KAFKA_SCHEMAS must name two folders, newest first: {value}");
    for folder in &folders {
        let probe = folder.join("ProduceRequest.json");
        assert!(probe.is_file(), "ROKA_KAFKA_SCHEMAS: {} is missing", probe.display());
    }
    Some(folders)
}

#[test]
fn every_declaration_is_kafkas() {
    let Some(folders) = folders() else { return };
    let mut ours = Collect::default();
    messages::visit(&mut ours);
    assert!(ours.0.len() > 100, "only {} messages", ours.0.len());
    let mut seen = Seen::default();
    for message in &ours.0 {
        let schemas: Vec<_> = folders.iter().filter_map(|it| load(it, message.name)).collect();
        let ranges: Vec<_> =
            schemas.iter().map(|schema| check_message(message, schema, &mut seen)).collect();
        let low = ranges.iter().map(|range| range.0).min();
        let high = ranges.iter().map(|range| range.1).max();
        if low.zip(high) != Some(message.versions) {
            seen.faults.push(format!(
                "{}: Kafka has {low:?} to {high:?}, ours {:?}",
                message.name, message.versions
            ));
        }
    }
    for (module, structs) in STRUCTS {
        for it in *structs {
            if !seen.structs.contains(&((*module).to_owned(), it.name.to_owned())) {
                seen.faults.push(format!("{module}::{}: Kafka has no such struct", it.name));
            }
            for field in it.fields {
                let place = ((*module).to_owned(), it.name.to_owned(), our_name(field));
                match seen.ignorable.get(&place) {
                    None => seen.faults.push(format!("{place:?}: Kafka has no such field")),
                    Some(&ignorable)
                        if !field.versions.is_empty() && ignorable != field.ignorable =>
                    {
                        seen.faults.push(format!("{place:?}: Kafka says ignorable {ignorable}"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    assert!(seen.faults.is_empty(), "{} faults:\n{}", seen.faults.len(), seen.faults.join("\n"));
    println!("schemas: {} messages, {} structs agree", ours.0.len(), seen.structs.len());
}

#[test]
fn every_request_header_is_known() {
    let Some(folders) = folders() else { return };
    for api in ApiKey::ALL {
        let name = format!("{api}Request");
        let mut flexible = None;
        for schema in folders.iter().filter_map(|folder| load(folder, &name)) {
            assert_eq!(schema["apiKey"].as_i64(), Some(i64::from(api.key())), "{name}");
            let range = schema_range(schema["flexibleVersions"].as_str().unwrap_or("none"));
            flexible = (range.0 <= range.1).then_some(range.0);
        }
        assert_eq!(api.first_flexible(), flexible, "{name}");
    }
    // And no API of the newest version is missing.
    for entry in fs::read_dir(&folders[0]).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".json") else { continue };
        let Some(key) = load(&folders[0], name).and_then(|schema| schema["apiKey"].as_i64()) else {
            continue;
        };
        let api = ApiKey::from_i16(key as i16).unwrap_or_else(|| panic!("{name}: key {key}"));
        assert!(name.starts_with(api.name()), "{name} is {api}");
    }
}
