//! Stateful stream processing on Apache Kafka.
mod engine;
