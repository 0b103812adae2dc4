//! What the service has done, read from its tables through views.

use std::time::Duration;

use roka::{Config, Result, View};
use tokio::{
    time::{Instant, sleep},
    try_join,
};

use crate::{
    blocker::BLOCKER,
    collector::{COLLECTOR, Inbox},
    filter::{FILTER, Tally},
};

/// Whose last messages are shown.
const READER: &str = "alice";
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub struct Report {
    inboxes: View<String, Inbox>,
    blocked: View<String, String>,
    tallies: View<String, Tally>,
    /// What earlier runs on the same brokers have left in the table.
    before: Tally,
}

impl Report {
    /// Reads the tables, which must be there.
    pub async fn open(config: &Config) -> Result<Self> {
        let inboxes = View::new(COLLECTOR.table(), config)?;
        let blocked = View::new(BLOCKER.table(), config)?;
        let tallies = View::new(FILTER.table(), config)?;
        try_join!(inboxes.wait_ready(), blocked.wait_ready(), tallies.wait_ready())?;
        let mut report = Self { inboxes, blocked, tallies, before: Tally::default() };
        report.before = report.tally()?;
        Ok(report)
    }

    /// One line.
    pub fn progress(&self, sent: u64) -> Result {
        let Tally { delivered, dropped, translated_words } = self.tally()?;
        let blocked = self.blocked.iter()?.map(|row| Ok(row?.0)).collect::<Result<Vec<_>>>()?;
        println!(
            "sent {sent:5}, delivered {delivered:5}, dropped {dropped:4}, \
             translated words {translated_words:4}, blocked: {}",
            if blocked.is_empty() { "nobody".to_owned() } else { blocked.join(", ") }
        );
        Ok(())
    }

    /// Waits until so many messages are delivered or dropped, and not longer than `limit`.
    pub async fn wait_for(&self, messages: u64, limit: Duration) -> Result {
        let end = Instant::now() + limit;
        loop {
            let tally = self.tally()?;
            if tally.delivered + tally.dropped >= messages || Instant::now() >= end {
                return Ok(());
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Who was blocked and why, and what one user got to read.
    pub fn summary(&self) -> Result {
        println!("\nblocked:");
        for row in self.blocked.iter()? {
            let (user, reason) = row?;
            println!("  {user}: {reason}");
        }
        println!("last messages to {READER}:");
        for message in self.inboxes.get(READER)?.unwrap_or_default() {
            println!("  {}: {}", message.from, message.text);
        }
        Ok(())
    }

    pub async fn close(self) {
        self.inboxes.close().await;
        self.blocked.close().await;
        self.tallies.close().await;
    }

    /// All senders together, in this run.
    fn tally(&self) -> Result<Tally> {
        let mut sum = Tally::default();
        for row in self.tallies.iter()? {
            let (_sender, tally) = row?;
            sum.delivered += tally.delivered;
            sum.dropped += tally.dropped;
            sum.translated_words += tally.translated_words;
        }
        sum.delivered -= self.before.delivered;
        sum.dropped -= self.before.dropped;
        sum.translated_words -= self.before.translated_words;
        Ok(sum)
    }
}
