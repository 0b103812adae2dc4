//! Runs a graph: assignment, recovery, processing and commit.
#![allow(dead_code, reason = "the parts that run these are being built on them")]

mod assignment;
mod mark;
mod offsets;
mod recovery;
mod topics;
