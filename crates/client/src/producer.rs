//! The producer.

#[allow(dead_code, reason = "the sender comes with the core")]
mod sequencer;
