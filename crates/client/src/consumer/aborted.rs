//! Which batches of a response belong to aborted transactions (KIP-98).
//!
//! The broker lists, per response, the aborted transactions that touch it: producer and first offset. A
//! transaction of that producer is aborted from that offset on until the producer's next abort marker.
//! Redpanda does not sort the list, so it is sorted here.

use roka_protocol::{messages::fetch::AbortedTransaction, records::Batch};

/// The aborted transactions at one place in a response.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// Not reached yet, the next one last.
    ahead: Vec<AbortedTransaction>,
    /// Producers inside of an aborted transaction. Few at any time.
    inside: Vec<i64>,
}

impl Aborted {
    pub(super) fn new(mut transactions: Vec<AbortedTransaction>) -> Self {
        transactions.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead: transactions, inside: Vec::new() }
    }

    /// Whether the records of this batch are of an aborted transaction. Batches are to be given in order.
    pub(super) fn covers(&mut self, batch: &Batch) -> bool {
        while let Some(next) = self.ahead.last()
            && next.first_offset <= batch.last_offset()
        {
            if !self.inside.contains(&next.producer_id) {
                self.inside.push(next.producer_id);
            }
            self.ahead.pop();
        }
        batch.is_transactional() && self.inside.contains(&batch.producer_id())
    }

    /// The producer aborted its transaction here.
    pub(super) fn end(&mut self, producer_id: i64) {
        self.inside.retain(|inside| *inside != producer_id);
    }

    /// Whether nothing is left to look at.
    pub(super) fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.inside.is_empty()
    }
}
