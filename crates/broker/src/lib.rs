//! An embedded Kafka-compatible cluster for development and tests.
