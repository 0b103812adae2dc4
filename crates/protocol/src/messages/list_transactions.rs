//! The transactions that one broker coordinates: to see all of them, every broker is asked.

use crate::declare::{message, request};

request! { ListTransactionsRequest(66) to Any -> ListTransactionsResponse; }

message! {
    /// Filters; empty lists all.
    pub struct ListTransactionsRequest (versions 0..=2, flexible 0..) {
        pub state_filters: Vec<String>,
        pub producer_id_filters: Vec<i64>,
        pub duration_filter: i64 [1..] = -1,
        pub transactional_id_pattern: Option<String> [2..],
    }

    /// The transactions.
    pub struct ListTransactionsResponse (versions 0..=2, flexible 0..) {
        pub throttle_time_ms: i32,
        pub error_code: i16,
        pub unknown_state_filters: Vec<String>,
        pub transaction_states: Vec<TransactionState>,
    }

    /// A transaction in brief.
    pub struct TransactionState {
        pub transactional_id: String,
        pub producer_id: i64,
        pub transaction_state: String,
    }
}
