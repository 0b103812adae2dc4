//! Consumer groups by the classic protocol: membership, assignment, committed offsets.

pub mod assignor;
