//! One partition of a group: its rows and the callbacks that run on its records.
//!
//! This is the code that the engine and the tester share: what a record does is decided here and
//! nowhere else. The life of a record:
//!
//! 1. [`Task::process`] decodes it and runs the callback. Emits and the table write are staged.
//! 2. On [`Outcome::Apply`] (and [`Outcome::DeadLetter`]) the caller hands [`Task::effects`] to its
//!    producers, then calls [`Task::apply`], which makes the table write visible. On
//!    [`Outcome::Ignored`] and [`Outcome::Skip`] there is nothing to do. On [`Outcome::Retry`] the
//!    caller waits and calls `process` again, on [`Outcome::Fail`] it stops.
//!
//! `process` forgets whatever an earlier record left staged: a future that is dropped half-way, a
//! callback that failed or panicked leave no trace.
//!
//! The traits are free of the graph's types, so that the engine is compiled once.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use crate::{
    BoxError, Context, GroupGraph, Key, Nulls, OnError, RecordError, Stage, Start, Store,
    context::State,
    effects::{Effects, Staged},
    graph::{Callback, Edges, Failure, Input, LocalBoxFuture, Payload},
    record::Record,
    table::{RowTable, SharedTable, TableOps, undecoded},
    topic::{loop_topic, table_topic},
};

/// A graph as the engine sees it. A [`GroupGraph`] is one.
pub(crate) trait Topology: Send + Sync {
    fn group(&self) -> &str;
    fn table_topic(&self) -> Option<String>;
    fn loop_topic(&self) -> Option<String>;
    fn input_count(&self) -> usize;
    fn input(&self, place: usize) -> InputSpec<'_>;
    /// Joins, lookups and outputs; an [`Emit`](crate::effects::Emit) names an output by its place.
    fn edges(&self) -> &Edges;
    /// A task for one partition. To be called on the thread that the partition lives on.
    fn task(self: Arc<Self>, tables: TaskTables) -> Box<dyn Task>;
}

/// What the engine needs to know of an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputSpec<'g> {
    pub(crate) topic: &'g str,
    pub(crate) is_loop: bool,
    /// Where to start without a committed offset; `None`: as configured.
    pub(crate) start: Option<Start>,
}

/// The tables of one partition.
pub(crate) struct TaskTables {
    /// The group table's store, where the group has a table.
    pub(crate) table: Option<Box<dyn Store>>,
    /// In the order of the graph's joins.
    pub(crate) joins: Vec<Box<dyn Store>>,
    /// In the order of the graph's lookups.
    pub(crate) lookups: Vec<Arc<SharedTable>>,
    /// Limit for the clean rows of the group table and of each join.
    pub(crate) cache_bytes_max: usize,
}

/// See the module.
pub(crate) trait Task {
    /// Runs the callback of input `input` on `record`. `retries` counts the attempts before this.
    fn process<'a>(&'a mut self, input: usize, record: Record<'a>, retries: u32) -> Processed<'a>;
    fn effects(&self) -> &Effects;
    /// Makes the table write of the record just processed visible, and forgets its effects.
    fn apply(&mut self, record: &Record<'_>);
    fn table(&mut self) -> Option<&mut dyn TableOps>;
    fn join(&mut self, place: usize) -> Option<&mut dyn TableOps>;
    /// Stores what is committed and closes the stores. What is not committed is dropped.
    fn close(self: Box<Self>) -> Result<(), BoxError>;
}

/// A record is done, or its callback waits for something outside.
pub(crate) enum Processed<'a> {
    Done(Outcome),
    Waiting(LocalBoxFuture<'a, Outcome>),
}

/// What is to be done about a record.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The callback returned `Ok`: send the effects, then apply.
    Apply,
    /// A null payload that the input leaves out.
    Ignored,
    /// Left out by the input's policy.
    Skip(RecordError),
    /// The only effect is the dead letter: send it, then apply.
    DeadLetter(RecordError),
    /// Try again after the wait.
    Retry(Duration, RecordError),
    /// The processor stops.
    Fail(RecordError),
}

impl<K: Key, V: 'static> Topology for GroupGraph<K, V> {
    fn group(&self) -> &str {
        &self.group.name
    }

    fn table_topic(&self) -> Option<String> {
        self.has_table().then(|| table_topic(&self.group.name))
    }

    fn loop_topic(&self) -> Option<String> {
        self.inputs.iter().any(|input| input.is_loop).then(|| loop_topic(&self.group.name))
    }

    fn input_count(&self) -> usize {
        self.inputs.len()
    }

    fn input(&self, place: usize) -> InputSpec<'_> {
        let Input { topic, options, is_loop, .. } = &self.inputs[place];
        InputSpec { topic, is_loop: *is_loop, start: options.start }
    }

    fn edges(&self) -> &Edges {
        &self.edges
    }

    fn task(self: Arc<Self>, tables: TaskTables) -> Box<dyn Task> {
        Box::new(PartitionTask::new(self, tables))
    }
}

/// A partition of the group of a graph.
pub(crate) struct PartitionTask<K: Key, V: 'static> {
    graph: Arc<GroupGraph<K, V>>,
    state: State<V>,
}

impl<K: Key, V: 'static> PartitionTask<K, V> {
    pub(crate) fn new(graph: Arc<GroupGraph<K, V>>, tables: TaskTables) -> Self {
        let cache_bytes_max = tables.cache_bytes_max;
        let table = match (tables.table, &graph.group.codec) {
            (Some(store), Some(codec)) => {
                Some(RowTable::new(store, codec.clone(), cache_bytes_max))
            }
            _ => None,
        };
        let join = |store| RefCell::new(RowTable::new(store, undecoded(), cache_bytes_max));
        let state = State {
            table: RefCell::new(table),
            joins: tables.joins.into_iter().map(join).collect(),
            lookups: tables.lookups,
            effects: Effects::default(),
            staged: Staged::Unchanged,
            place: Cell::new(None),
            scratch: RefCell::default(),
        };
        Self { graph, state }
    }

    /// The group table, with its values' type.
    pub(crate) fn rows(&mut self) -> Option<&mut RowTable<V>> {
        self.state.table.get_mut().as_mut()
    }
}

impl<V: 'static> State<V> {
    fn reset(&mut self) {
        self.effects.clear();
        self.staged = Staged::Unchanged;
        self.place.set(None);
    }
}

impl<K: Key, V: 'static> Task for PartitionTask<K, V> {
    fn process<'a>(&'a mut self, input: usize, record: Record<'a>, retries: u32) -> Processed<'a> {
        self.state.reset();
        let graph = &*self.graph;
        let input = &graph.inputs[input];
        let payload = match record.value {
            Some(bytes) => Payload::Bytes(bytes),
            None if input.callback.takes_null() || input.options.nulls == Nulls::Decode => {
                Payload::Null
            }
            None => return Processed::Done(Outcome::Ignored),
        };
        let state = &mut self.state;
        match &input.callback {
            Callback::Sync(callback) => {
                let mut slot = None;
                let result = K::view(record.key_bytes(), &mut slot)
                    .map_err(|error| (Stage::Key, error))
                    .and_then(|key| {
                        let mut ctx = context(graph, state, record, key);
                        let call = AssertUnwindSafe(|| callback.call(&mut ctx, payload));
                        catch_unwind(call).unwrap_or_else(|panic| Err(panicked(&*panic)))
                    });
                Processed::Done(conclude(graph, input, state, &record, retries, result))
            }
            Callback::Async(callback) => Processed::Waiting(Box::pin(async move {
                let mut slot = None;
                let result = match K::view(record.key_bytes(), &mut slot) {
                    Ok(key) => {
                        let mut ctx = context(graph, state, record, key);
                        CatchUnwind(callback.call(&mut ctx, payload)).await
                    }
                    Err(error) => Err((Stage::Key, error)),
                };
                conclude(graph, input, state, &record, retries, result)
            })),
        }
    }

    fn effects(&self) -> &Effects {
        &self.state.effects
    }

    fn apply(&mut self, record: &Record<'_>) {
        let value = match std::mem::take(&mut self.state.staged) {
            Staged::Unchanged => None,
            Staged::Set(value) => Some(Some(value)),
            Staged::Deleted => Some(None),
        };
        if let (Some(value), Some(table)) = (value, self.state.table.get_mut()) {
            table.set(self.state.place.get(), record.key_bytes(), value);
        }
        self.state.reset();
    }

    fn table(&mut self) -> Option<&mut dyn TableOps> {
        self.state.table.get_mut().as_mut().map(|table| table as &mut dyn TableOps)
    }

    fn join(&mut self, place: usize) -> Option<&mut dyn TableOps> {
        self.state.joins.get_mut(place).map(|rows| rows.get_mut() as &mut dyn TableOps)
    }

    fn close(self: Box<Self>) -> Result<(), BoxError> {
        if let Some(table) = self.state.table.into_inner() {
            Box::new(table).close()?;
        }
        self.state.joins.into_iter().try_for_each(|rows| Box::new(rows.into_inner()).close())
    }
}

fn context<'m, K: Key, V: 'static>(
    graph: &'m GroupGraph<K, V>,
    state: &'m mut State<V>,
    record: Record<'m>,
    key: &'m K::Ref,
) -> Context<'m, K, V> {
    Context { key, record, group: &graph.group.name, edges: &graph.edges, state }
}

fn conclude<K: Key, V: 'static>(
    graph: &GroupGraph<K, V>,
    input: &Input<K, V>,
    state: &mut State<V>,
    record: &Record<'_>,
    retries: u32,
    result: Result<(), Failure>,
) -> Outcome {
    let Err((failed, source)) = result else { return Outcome::Apply };
    state.reset();
    let error = RecordError {
        group: graph.group.name.to_string(),
        topic: record.topic.to_owned(),
        partition: record.partition,
        offset: record.offset,
        key: String::from_utf8_lossy(record.key_bytes()).chars().take(64).collect(),
        stage: failed,
        source,
    };
    if failed == Stage::Panic {
        return Outcome::Fail(error);
    }
    let mut policy = &input.options.on_error;
    while let OnError::Retry { backoff, retries_max, then } = policy {
        if retries_max.is_none_or(|max| retries < max) {
            return Outcome::Retry(backoff.wait(retries), error);
        }
        policy = then;
    }
    match (policy, input.options.dead_letter) {
        (OnError::Skip, _) => Outcome::Skip(error),
        (OnError::DeadLetter(_), Some(output)) => {
            dead_letter(&mut state.effects, output, record, &error);
            Outcome::DeadLetter(error)
        }
        _ => Outcome::Fail(error),
    }
}

/// The record as it came, with headers that say why it is here and where from.
fn dead_letter(effects: &mut Effects, output: usize, record: &Record<'_>, error: &RecordError) {
    let mut draft = effects.draft(output);
    if let Some(key) = record.key {
        draft.key(|bytes| bytes.extend_from_slice(key));
    }
    if let Some(value) = record.value {
        // Copying bytes cannot fail.
        let _ = draft.value(|bytes| {
            bytes.extend_from_slice(value);
            Ok(())
        });
    }
    for header in record.headers {
        draft.header(header.name, &header.value);
    }
    draft.header(b"roka.error", &error.source.to_string());
    draft.header(b"roka.stage", &error.stage.to_string());
    draft.header(b"roka.group", &error.group);
    draft.header(b"roka.topic", record.topic);
    draft.header(b"roka.partition", &record.partition.to_string());
    draft.header(b"roka.offset", &record.offset.to_string());
    draft.header(b"roka.timestamp", &record.timestamp_ms.to_string());
    draft.finish();
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    (Stage::Panic, text.unwrap_or_else(|| "no message".to_owned()).into())
}

/// Turns a panic of the future into a failure.
struct CatchUnwind<'a>(LocalBoxFuture<'a, Result<(), Failure>>);

impl Future for CatchUnwind<'_> {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic))))
    }
}

#[cfg(test)]
mod cost;
