//! Runs a graph: assignment, recovery, processing and commit.
#![allow(dead_code, unused_imports, reason = "the parts that run these come next")]

mod assignment;
mod block;
mod error;
mod mark;
mod merge;
mod offsets;
mod recovery;
mod state;
mod stats;
mod stores;
mod topics;
