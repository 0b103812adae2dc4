//! Consumer groups by the classic protocol: membership, assignment, committed offsets.

mod ask;
pub mod assignor;
mod commits;
mod config;
mod driver;
mod error;
mod events;
mod handle;
mod leader;
mod membership;
mod offsets;
mod requests;
mod subscription;

pub use config::GroupConfig;
pub use error::{CommitError, GroupError};
pub use events::{GroupEvent, RevokeAck};
pub use handle::{Group, GroupMetadata};
pub use offsets::Committed;
