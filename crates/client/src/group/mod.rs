//! Consumer groups by the classic protocol: membership, assignment, committed offsets.

pub mod assignor;
mod error;
mod membership;

pub use error::GroupError;
