//! Runs a graph: assignment, recovery, processing and commit.
#![allow(dead_code, reason = "the parts that run these are being built on them")]

mod assignment;
mod block;
mod mark;
mod merge;
mod offsets;
mod recovery;
mod state;
mod stats;
mod topics;
