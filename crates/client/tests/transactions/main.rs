//! Transactions: on the embedded cluster, and on the one that `ROKA_TEST_BROKERS` names, if there is one.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod endings;
mod misuse;
mod offsets;
mod support;
