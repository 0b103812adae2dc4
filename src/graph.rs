//! The graph of a processor group: which edges it has and what runs on each message.
//!
//! Rules, checked by [`GroupGraph::validate`] where the types cannot hold them: at least one input;
//! no topic is consumed twice; nobody lists the group's own table or loop topic as an input, output,
//! join or lookup; at most one loop, and it has a callback.

mod callback;
mod edges;
mod misuse;
mod options;
mod validate;

use std::{borrow::Cow, fmt, sync::Arc};

use self::{
    callback::{AsyncDecoded, SyncDecoded},
    options::Options,
};
pub(crate) use self::{
    callback::{Callback, Failure, LocalBoxFuture, Payload},
    edges::{Edges, Kind},
};
pub use self::{
    edges::{Join, Lookup, Loop, Output},
    options::{Backoff, InputOptions, Nulls, OnError, Start},
};
use crate::{
    Codec, Context, Group, Json, Key, Result, Stream, Table, codec::AnyCodec, topic::loop_topic,
};

/// The definition of a processor group.
///
/// Declaring an edge returns a handle; a callback can touch exactly the edges whose handles it
/// captured. Emitting to an undeclared topic is not a runtime error: it cannot be written.
///
/// ```compile_fail,E0308
/// # use roka::{Group, Stream};
/// # const CLICKS: Stream<String, u32> = Stream::json("clicks");
/// # const ALERTS: Stream<String, String> = Stream::text("alerts");
/// let mut graph = Group::<String, u64>::json("counter").graph();
/// graph.input(CLICKS, |ctx, _| ctx.emit(ALERTS, ctx.key(), &"x".to_string())); // not declared
/// ```
///
/// All inputs and joins have the group's key type, which is half of what co-partitioning needs:
///
/// ```compile_fail,E0308
/// # use roka::{Group, Stream};
/// # const BY_ID: Stream<u64, u32> = Stream::json("by-id");
/// let mut graph = Group::<String, u64>::json("counter").graph();
/// graph.input(BY_ID, |_, _| Ok(())); // another key type
/// ```
pub struct GroupGraph<K: Key, V: 'static> {
    pub(crate) group: Group<K, V>,
    pub(crate) inputs: Vec<Input<K, V>>,
    pub(crate) edges: Edges,
    loops: usize,
}

/// One consumed topic, what runs on its messages, and how.
pub(crate) struct Input<K: Key, V: 'static> {
    pub(crate) topic: String,
    pub(crate) callback: Callback<K, V>,
    pub(crate) options: Options,
    pub(crate) is_loop: bool,
}

impl<K: Key, V: 'static> GroupGraph<K, V> {
    pub(crate) fn new(group: Group<K, V>) -> Self {
        Self { group, inputs: vec![], edges: Edges::new(), loops: 0 }
    }

    /// Declares that callbacks emit to `stream`. It need not be co-partitioned with the inputs.
    pub fn output<K2: Key, V2>(&mut self, stream: Stream<K2, V2>) -> Output<K2, V2> {
        Output::new(self.edges.add(Kind::Output, stream.topic.into_owned(), stream.codec))
    }

    /// Declares that callbacks emit rows to `table`, which another group or a view reads.
    pub fn output_table<K2: Key, V2>(&mut self, table: Table<K2, V2>) -> Output<K2, V2> {
        Output::new(self.edges.add(Kind::Output, table.topic.into_owned(), table.codec))
    }

    /// Declares that callbacks read the row of a co-partitioned table under their message's key.
    pub fn join<T>(&mut self, table: Table<K, T>) -> Join<T> {
        Join::new(self.edges.add(Kind::Join, table.topic.into_owned(), table.codec))
    }

    /// Declares that callbacks read any row of a table, which each instance holds in full.
    pub fn lookup<K2: Key, T>(&mut self, table: Table<K2, T>) -> Lookup<K2, T> {
        Lookup::new(self.edges.add(Kind::Lookup, table.topic.into_owned(), table.codec))
    }

    /// Declares the loop-back stream with JSON messages; [`on_loop`](Self::on_loop) says what
    /// happens on them.
    pub fn loopback<M: 'static>(&mut self) -> Loop<K, M>
    where
        Json: Codec<M>,
    {
        self.add_loop(AnyCodec::Static(&Json))
    }

    /// As [`loopback`](Self::loopback), with messages encoded by `codec`.
    pub fn loopback_of<M: 'static>(&mut self, codec: Arc<dyn Codec<M>>) -> Loop<K, M> {
        self.add_loop(AnyCodec::Shared(codec))
    }

    fn add_loop<M: 'static>(&mut self, codec: AnyCodec<M>) -> Loop<K, M> {
        self.loops += 1;
        Loop(Output::new(self.edges.add(Kind::Output, loop_topic(&self.group.name), codec)))
    }

    /// Runs `callback` on every message of `stream`.
    ///
    /// What the callback emits and stores takes effect when it returns `Ok`, all or nothing.
    /// An `Err` stops the processor, unless the returned options say otherwise.
    pub fn input<M: 'static>(
        &mut self,
        stream: Stream<K, M>,
        callback: impl Fn(&mut Context<'_, K, V>, M) -> Result + Send + Sync + 'static,
    ) -> InputOptions<'_> {
        let callback = Callback::Sync(Box::new(SyncDecoded::new(stream.codec, callback)));
        self.add_input(stream.topic, callback, false)
    }

    /// As [`input`](Self::input), for callbacks that wait for something outside.
    ///
    /// The messages of one partition are still processed one after the other, on one thread: the
    /// future need not be `Send`.
    pub fn input_async<M: 'static>(
        &mut self,
        stream: Stream<K, M>,
        callback: impl AsyncFn(&mut Context<'_, K, V>, M) -> Result + Send + Sync + 'static,
    ) -> InputOptions<'_> {
        let callback = Callback::Async(Box::new(AsyncDecoded::new(stream.codec, callback)));
        self.add_input(stream.topic, callback, false)
    }

    /// Runs `callback` on every message of the loop-back stream.
    pub fn on_loop<M: 'static>(
        &mut self,
        from: Loop<K, M>,
        callback: impl Fn(&mut Context<'_, K, V>, M) -> Result + Send + Sync + 'static,
    ) -> InputOptions<'_> {
        let edge = self.edges.at(Kind::Output, from.0.handle);
        let (topic, codec) = (edge.topic.clone(), edge.codec::<M>().clone());
        let callback = Callback::Sync(Box::new(SyncDecoded::new(codec, callback)));
        self.add_input(topic.into(), callback, true)
    }

    /// As [`on_loop`](Self::on_loop), for callbacks that wait for something outside.
    pub fn on_loop_async<M: 'static>(
        &mut self,
        from: Loop<K, M>,
        callback: impl AsyncFn(&mut Context<'_, K, V>, M) -> Result + Send + Sync + 'static,
    ) -> InputOptions<'_> {
        let edge = self.edges.at(Kind::Output, from.0.handle);
        let (topic, codec) = (edge.topic.clone(), edge.codec::<M>().clone());
        let callback = Callback::Async(Box::new(AsyncDecoded::new(codec, callback)));
        self.add_input(topic.into(), callback, true)
    }

    fn add_input(
        &mut self,
        topic: Cow<'static, str>,
        callback: Callback<K, V>,
        is_loop: bool,
    ) -> InputOptions<'_> {
        let input =
            Input { topic: topic.into_owned(), callback, options: Options::default(), is_loop };
        let place = self.inputs.len();
        self.inputs.push(input);
        InputOptions::new(&mut self.inputs[place].options, &mut self.edges)
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.group.name
    }

    /// Whether the group has a table.
    pub fn has_table(&self) -> bool {
        self.group.codec.is_some()
    }

    /// The topics that are consumed by the group, in the order of declaration, the loop included.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|input| &*input.topic)
    }

    /// The topics that callbacks may emit to: outputs, the loop, dead-letter topics.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.edges.of(Kind::Output).iter().map(|edge| &*edge.topic)
    }

    /// The topics of the joined tables.
    pub fn joins(&self) -> impl Iterator<Item = &str> {
        self.edges.of(Kind::Join).iter().map(|edge| &*edge.topic)
    }

    /// The topics of the looked-up tables.
    pub fn lookups(&self) -> impl Iterator<Item = &str> {
        self.edges.of(Kind::Lookup).iter().map(|edge| &*edge.topic)
    }
}

/// The topology, one edge per line.
impl<K: Key, V> fmt::Display for GroupGraph<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.group.name)?;
        let mut line = |name: &str, topic: &str| writeln!(f, "  {name:<8}{topic}");
        for input in &self.inputs {
            line(if input.is_loop { "loop" } else { "in" }, &input.topic)?;
        }
        if self.has_table() {
            line("table", &crate::topic::table_topic(&self.group.name))?;
        }
        for (name, kind) in [("join", Kind::Join), ("lookup", Kind::Lookup), ("out", Kind::Output)]
        {
            let looped = loop_topic(&self.group.name);
            for edge in self.edges.of(kind).iter().filter(|edge| edge.topic != looped) {
                line(if edge.dead_letter { "dead" } else { name }, &edge.topic)?;
            }
        }
        Ok(())
    }
}

impl<K: Key, V> fmt::Debug for GroupGraph<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupGraph")
            .field("group", &self.group.name)
            .field("inputs", &self.inputs().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
