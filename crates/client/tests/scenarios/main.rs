//! The rows of the scenarios S1 (leaders move), S2 (coordinators move) and S5 (brokers leave), each on the embedded cluster with
//! the fault injected: the outcome, the number of requests per API, and the time. They run by
//! `cargo test -p roka-client --test scenarios`, which prints them as a table.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod s1_leader_moves;
mod support;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    table::run(s1_leader_moves::rows())
}
