//! Runs a graph: assignment, recovery, processing and commit.

mod assignment;
mod block;
mod cluster;
mod commit;
mod control;
mod error;
mod feed;
mod life;
mod mark;
mod merge;
mod offsets;
mod outputs;
mod partition;
mod prepare;
mod recovery;
mod replica;
mod replicate;
mod restore;
pub(crate) mod session;
mod settle;
mod state;
mod stats;
mod stores;
mod tables;
mod topics;
mod worker;

pub use self::{
    error::ProcessorError,
    state::State,
    stats::{InputStats, PartitionStats, Stats, TableStats, Totals},
    topics::TopicError,
};
pub(crate) use self::{replicate::replicate, session::Inside, state::StateBoard, worker::Order};
