//! Stateful stream processing on Apache Kafka, in the style of Goka.
//!
//! A program names its streams, tables and groups as typed constants, declares a graph, and gives
//! each input a callback. What the graph does not declare, a callback cannot use: declaring an edge
//! returns the handle that gives the right to it.
//!
//! ```
//! use roka::{Group, GroupGraph, Result, Stream, Tester};
//!
//! const WORDS: Stream<String, String> = Stream::text("words");
//! const COUNTER: Group<String, u64> = Group::json("counter");
//!
//! fn counter() -> GroupGraph<String, u64> {
//!     let mut graph = COUNTER.graph();
//!     graph.input(WORDS, |ctx, _word| {
//!         let count = ctx.value()?.unwrap_or(0) + 1;
//!         ctx.set_value(&count)
//!     });
//!     graph
//! }
//!
//! fn main() -> Result {
//!     let mut tester = Tester::new(counter())?;
//!     tester.send(&WORDS, "bob", &"hello".to_owned())?;
//!     assert_eq!(tester.value("bob")?, Some(1));
//!     Ok(())
//! }
//! ```

mod codec;
mod config;
mod context;
mod effects;
mod emitter;
mod engine;
mod error;
mod graph;
mod index;
mod key;
mod processor;
mod record;
mod small_key;
mod store;
mod table;
mod task;
mod tester;
mod topic;
mod view;

pub use codec::{BigEndian, Codec, DecimalInt, Functions, Json, Raw, Text};
pub use config::{Assignment, Config, StoreKind};
pub use context::Context;
pub use emitter::{Emitter, EmitterError};
pub use engine::{
    InputStats, PartitionStats, ProcessorError, State, Stats, TableStats, TopicError, Totals,
};
pub use error::{BoxError, ConfigError, GraphError, RecordError, Result, Stage, StoreError};
pub use graph::{
    Backoff, GroupGraph, InputOptions, Join, Lookup, Loop, Nulls, OnError, Output, Start,
};
pub use key::Key;
pub use processor::{GetError, Processor, ProcessorHandle, shutdown_signal};
pub use record::{Header, HeaderValue};
#[doc(inline)]
pub use roka_client::security;
pub use roka_client::{consumer::Isolation, partitioner::Partitioning as Hasher};
pub use store::{LogStore, MemoryStore, SledStore, Slice, Store, Writes};
pub use tester::{Emitted, Tester};
pub use topic::{Group, Stateless, Stored, Stream, Table};
pub use view::{Rows, View, ViewError};
