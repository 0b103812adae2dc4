//! Ready-made processor graphs for Roka: functions from topics to a [`GroupGraph`](roka::GroupGraph).
//!
//! | graph | state per key | what it does |
//! |---|---|---|
//! | [`counter`] | a count | counts messages |
//! | [`deduplicator`] | the last ids | passes a message on the first time its id is seen |
//! | [`enricher`] | none | puts each message together with a row of a table under the same key |
//! | [`router`] | none | sends each message to one of several streams |
//! | [`top_n`] | the best entries | keeps the N entries with the highest scores |
//!
//! A graph is a value: run it with `roka::Processor`, try it with [`Tester`](roka::Tester), or add
//! inputs and outputs of your own to it first.
//!
//! ```
//! use roka::{Group, Result, Stream, Tester};
//!
//! const CLICKS: Stream<String, String> = Stream::text("clicks");
//! const CLICKS_PER_USER: Group<String, u64> = Group::json("clicks-per-user");
//!
//! # fn main() -> Result {
//! let mut tester = Tester::new(roka_processors::counter(CLICKS, CLICKS_PER_USER))?;
//! tester.send(&CLICKS, "ann", &"/".to_owned())?;
//! assert_eq!(tester.value("ann")?, Some(1));
//! # Ok(())
//! # }
//! ```

mod counter;
mod deduplicator;
mod enricher;
mod router;
mod top_n;

pub use counter::counter;
pub use deduplicator::{Seen, deduplicator};
pub use enricher::enricher;
pub use router::router;
pub use top_n::{Entry, top_n};
