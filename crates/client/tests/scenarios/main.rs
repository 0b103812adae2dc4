//! The rows of the scenarios S1 (leaders move), S2 (coordinators move), S3 (followers) and S5 (brokers leave), each on the embedded cluster with
//! the fault injected: the outcome, the number of requests per API, and the time. They run by
//! `cargo test -p roka-client --test scenarios`, which prints them as a table.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../producer/support.rs"]
#[allow(dead_code, reason = "only its reader of logs is of use here")]
mod log;
mod rebootstrap;
mod s1_leader_moves;
mod s2_coordinator;
mod s3_followers;
mod s5_scale_in;
mod support;
mod table;
mod writer;

use std::process::ExitCode;

fn main() -> ExitCode {
    let parts = [
        rebootstrap::rows(),
        s1_leader_moves::rows(),
        s2_coordinator::rows(),
        s3_followers::rows(),
        s5_scale_in::rows(),
    ];
    table::run(parts.into_iter().flatten().collect())
}
