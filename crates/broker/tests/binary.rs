//! The program serves a cluster until it is told to end.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use roka_protocol::messages::metadata::MetadataRequest;
use support::RawClient;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roka-broker"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn it_prints_its_addresses_and_ends_in_order() {
    for signal in ["-TERM", "-INT"] {
        let mut child = program().args(["--nodes", "3", "--port", "0"]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses: Vec<_> = line.trim().split(',').map(|it| it.parse().unwrap()).collect();
        assert_eq!(addresses.len(), 3);
        let mut client = RawClient::connect(addresses[2]);
        let metadata = MetadataRequest { topics: None, ..Default::default() };
        assert_eq!(client.call(12, &metadata).brokers.len(), 3);
        let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert!(child.wait().unwrap().success(), "{signal}");
    }
}

#[test]
fn a_wrong_setting_is_named() {
    for (argument, named) in
        [("retention.msx=1", "retention.msx"), ("num.partitions=x", "num.partitions")]
    {
        let output = program().args(["--port", "0", "--config", argument]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(named), "{text}");
    }
}
