//! A Kafka client in pure Rust.

pub mod group;
mod topic_partition;

pub use topic_partition::TopicPartition;
