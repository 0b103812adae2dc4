//! Runs a graph in memory: no broker, no threads, no clock of its own.
//!
//! Records take the same path as in the engine ([`Task`]); each one is committed at once, so that the
//! table's codec is used as it would be.

mod block_on;
mod emitted;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

pub use self::emitted::Emitted;
use self::{block_on::block_on, emitted::Message};
use crate::{
    BoxError, GraphError, GroupGraph, Hasher, Header, HeaderValue, Key, MemoryStore, RecordError,
    Result, Store, Stored, Stream, Table,
    effects::Emit,
    graph::Kind,
    record::Record,
    table::SharedTable,
    task::{Outcome, PartitionTask, Processed, Task, TaskTables, Topology},
};

/// A callback that fails this often under a policy that tries again for ever ends the test.
const RETRIES_MAX: u32 = 1_000;
const CACHE_BYTES_MAX: usize = 1 << 20;

/// Runs a graph in memory, message by message.
///
/// Messages that callbacks loop back, or emit to an input of the graph, are processed before the
/// sending method returns. Everything emitted to other topics can be taken and looked at.
///
/// ```
/// use roka::{Group, Result, Stream, Table, Tester};
///
/// const ORDERS: Stream<String, u32> = Stream::json("orders");
/// const LARGE: Stream<String, u32> = Stream::json("large-orders");
/// const LIMITS: Table<String, u32> = Table::json("limits");
///
/// # fn main() -> Result {
/// let mut graph = Group::<String, u32>::json("totals").graph();
/// let limits = graph.join(LIMITS);
/// let large = graph.output(LARGE);
/// graph.input(ORDERS, move |ctx, amount| {
///     ctx.update(|total| *total += amount)?;
///     match ctx.join(limits)? {
///         Some(limit) if amount > limit => ctx.emit(large, ctx.key(), &amount),
///         _ => Ok(()),
///     }
/// });
///
/// let mut tester = Tester::new(graph)?;
/// tester.set(&LIMITS, "ann", &10)?;
/// tester.send(&ORDERS, "ann", &7)?;
/// tester.send(&ORDERS, "ann", &11)?;
/// assert_eq!(tester.value("ann")?, Some(18));
/// assert_eq!(tester.take(&LARGE)?, [("ann".to_owned(), 11)]);
/// # Ok(())
/// # }
/// ```
pub struct Tester<K: Key, V: 'static> {
    graph: Arc<GroupGraph<K, V>>,
    tasks: Vec<PartitionTask<K, V>>,
    lookups: Vec<Arc<SharedTable>>,
    hasher: Hasher,
    time_ms: i64,
    offsets: HashMap<(String, i32), i64>,
    emitted: BTreeMap<String, VecDeque<Message>>,
    /// The latest row per key, by partition: what is left of the changelog after compaction.
    changelog: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
    skipped: Vec<RecordError>,
}

impl<K: Key, V: 'static> Tester<K, V> {
    /// Checks the graph and makes it ready on one partition.
    pub fn new(graph: GroupGraph<K, V>) -> Result<Self, GraphError> {
        Self::with_partitions(graph, 1)
    }

    /// As [`new`](Self::new), with the inputs, the table and the joins on `partitions` partitions
    /// (at least 1). Keys are placed by [`Hasher::Fnv1a`].
    pub fn with_partitions(graph: GroupGraph<K, V>, partitions: usize) -> Result<Self, GraphError> {
        graph.validate()?;
        let partitions = partitions.max(1);
        let hasher = Hasher::default();
        let lookup = |_| Arc::new(SharedTable::new(vec![memory()], hasher, CACHE_BYTES_MAX));
        let lookups: Vec<_> = graph.edges.of(Kind::Lookup).iter().map(lookup).collect();
        let graph = Arc::new(graph);
        let tasks = (0..partitions).map(|_| task(&graph, &lookups)).collect();
        Ok(Self {
            graph,
            tasks,
            lookups,
            hasher,
            time_ms: 0,
            offsets: HashMap::new(),
            emitted: BTreeMap::new(),
            changelog: vec![BTreeMap::new(); partitions],
            skipped: vec![],
        })
    }

    /// Sets the time that messages from here on are stamped with, in milliseconds since 1970. It
    /// starts at 0 and otherwise moves only by [`advance`](Self::advance) and by waits between
    /// retries.
    pub fn set_time_ms(&mut self, time_ms: i64) {
        self.time_ms = time_ms;
    }

    /// Moves the time forward.
    pub fn advance(&mut self, by: Duration) {
        self.time_ms += i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    }

    /// The time now, in milliseconds since 1970.
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// Puts a row into a joined or looked-up table.
    pub fn set<K2: Key, T: 'static>(
        &mut self,
        table: &Table<K2, T>,
        key: &K2::Ref,
        row: &T,
    ) -> Result {
        let mut value = vec![];
        table.codec.encode(row, &mut value)?;
        self.feed(table.topic(), &encoded::<K2>(key), Some(&value))
    }

    /// Deletes a row of a joined or looked-up table.
    pub fn unset<K2: Key, T: 'static>(&mut self, table: &Table<K2, T>, key: &K2::Ref) -> Result {
        self.feed(table.topic(), &encoded::<K2>(key), None)
    }

    fn feed(&mut self, topic: &str, key: &[u8], value: Option<&[u8]>) -> Result {
        let mut known = false;
        let partition = self.partition(key);
        for (place, edge) in self.graph.edges.of(Kind::Join).iter().enumerate() {
            if edge.topic == topic {
                known = true;
                if let Some(rows) = self.tasks[partition].join(place) {
                    rows.feed(key, value);
                }
            }
        }
        for (place, edge) in self.graph.edges.of(Kind::Lookup).iter().enumerate() {
            if edge.topic == topic {
                known = true;
                self.lookups[place].partition(0).feed(key, value);
            }
        }
        if known { Ok(()) } else { Err(format!("the graph reads no table {topic}").into()) }
    }

    /// Processes one message, and whatever it sends back to the graph.
    ///
    /// # Errors
    ///
    /// A [`RecordError`] if the input's policy says that the processor ends.
    pub fn send<M: 'static>(&mut self, stream: &Stream<K, M>, key: &K::Ref, message: &M) -> Result {
        block_on(self.send_async(stream, key, message))
    }

    /// As [`send`](Self::send), for callbacks that need the runtime of the test.
    pub async fn send_async<M: 'static>(
        &mut self,
        stream: &Stream<K, M>,
        key: &K::Ref,
        message: &M,
    ) -> Result {
        let message = Message {
            key: (!K::NULL).then(|| encoded::<K>(key)),
            value: encoded_value(&*stream.codec, message)?,
            headers: vec![],
            timestamp_ms: None,
        };
        self.process(stream.topic(), message).await
    }

    /// As [`send`](Self::send), with headers.
    pub fn send_with_headers<M: 'static, N: AsRef<[u8]>, H: HeaderValue>(
        &mut self,
        stream: &Stream<K, M>,
        key: &K::Ref,
        message: &M,
        headers: impl IntoIterator<Item = (N, H)>,
    ) -> Result {
        let owned =
            |(name, value): (N, H)| (name.as_ref().to_vec(), value.bytes().map(<[u8]>::to_vec));
        let message = Message {
            key: (!K::NULL).then(|| encoded::<K>(key)),
            value: encoded_value(&*stream.codec, message)?,
            headers: headers.into_iter().map(owned).collect(),
            timestamp_ms: None,
        };
        block_on(self.process(stream.topic(), message))
    }

    /// Processes a message of any bytes, as a foreign producer might send it.
    pub fn send_raw(&mut self, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>) -> Result {
        let (key, value) = (key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
        block_on(self.process(topic, Message { key, value, headers: vec![], timestamp_ms: None }))
    }

    /// Takes what was emitted to `stream` so far, as keys and values.
    ///
    /// # Errors
    ///
    /// If something emitted cannot be decoded; a null payload is one such thing, see
    /// [`take_messages`](Self::take_messages).
    pub fn take<K2: Key, M: 'static>(&mut self, stream: &Stream<K2, M>) -> Result<Vec<(K2, M)>> {
        let messages = self.take_messages(stream)?.into_iter();
        messages
            .map(|message| {
                let value = message.value.or_else(|| stream.codec.null());
                Ok((message.key, value.ok_or("a null payload: use take_messages")?))
            })
            .collect()
    }

    /// Takes what was emitted to `stream` so far, with headers and null payloads.
    pub fn take_messages<K2: Key, M: 'static>(
        &mut self,
        stream: &Stream<K2, M>,
    ) -> Result<Vec<Emitted<K2, M>>> {
        let messages = self.emitted.remove(stream.topic()).unwrap_or_default();
        messages.into_iter().map(|message| Emitted::decode(message, &*stream.codec)).collect()
    }

    /// The records that an input's policy left out.
    pub fn skipped(&self) -> &[RecordError] {
        &self.skipped
    }

    async fn process(&mut self, topic: &str, message: Message) -> Result {
        let mut queue = VecDeque::from([(topic.to_owned(), message)]);
        while let Some((topic, message)) = queue.pop_front() {
            let inputs = self.graph.inputs.iter();
            let input = inputs.enumerate().find(|(_, input)| input.topic == topic);
            let Some((input, _)) = input else {
                return Err(format!("the graph consumes no topic {topic}").into());
            };
            self.process_one(input, &topic, message, &mut queue).await?;
        }
        Ok(())
    }

    async fn process_one(
        &mut self,
        input: usize,
        topic: &str,
        message: Message,
        queue: &mut VecDeque<(String, Message)>,
    ) -> Result {
        let partition = self.partition(message.key.as_deref().unwrap_or_default());
        let offset = self.offsets.entry((topic.to_owned(), partition as i32)).or_default();
        let headers: Vec<_> = message.headers.iter().map(header).collect();
        let record = Record {
            topic,
            partition: partition as i32,
            offset: *offset,
            timestamp_ms: message.timestamp_ms.unwrap_or(self.time_ms),
            key: message.key.as_deref(),
            value: message.value.as_deref(),
            headers: &headers,
        };
        *offset += 1;
        let mut retries = 0;
        let task = &mut self.tasks[partition];
        loop {
            let outcome = match task.process(input, record, retries) {
                Processed::Done(outcome) => outcome,
                Processed::Waiting(outcome) => outcome.await,
            };
            match outcome {
                Outcome::Apply => break,
                Outcome::Ignored => return Ok(()),
                Outcome::Skip(error) | Outcome::DeadLetter(error) => {
                    self.skipped.push(error);
                    break;
                }
                Outcome::Retry(wait, error) => {
                    if retries == RETRIES_MAX {
                        return Err(error.into());
                    }
                    retries += 1;
                    self.time_ms += i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                }
                Outcome::Fail(error) => return Err(error.into()),
            }
        }
        let looped = self.graph.loop_topic();
        for emit in task.effects().iter() {
            let topic = &self.graph.edges.of(Kind::Output)[emit.output()].topic;
            let message = owned(&emit);
            if self.graph.inputs().any(|input| input == topic) {
                queue.push_back((topic.clone(), message.clone()));
            }
            if looped.as_deref() != Some(topic) {
                self.emitted.entry(topic.clone()).or_default().push_back(message);
            }
        }
        task.apply(&record);
        self.commit(partition)
    }

    fn commit(&mut self, partition: usize) -> Result {
        let Some(rows) = self.tasks[partition].table() else { return Ok(()) };
        rows.begin_commit();
        while let Some((key, value)) = rows.next_dirty()? {
            match value {
                Some(value) => self.changelog[partition].insert(key.to_vec(), value.to_vec()),
                None => self.changelog[partition].remove(key),
            };
            rows.advance();
        }
        rows.end_commit(None);
        Ok(())
    }

    fn partition(&self, key: &[u8]) -> usize {
        self.hasher.partition(key, self.tasks.len() as i32) as usize
    }
}

/// The group table.
impl<K: Key, V: Stored> Tester<K, V> {
    /// The group table's value.
    pub fn value(&self, key: &K::Ref) -> Result<Option<V>> {
        let key = encoded::<K>(key);
        let row = self.changelog[self.partition(&key)].get(&key);
        row.map(|row| self.decode(row)).transpose()
    }

    /// Sets the group table's value, as if earlier messages had left it so.
    pub fn set_value(&mut self, key: &K::Ref, value: &V) -> Result {
        let key = encoded::<K>(key);
        let partition = self.partition(&key);
        if let Some(rows) = self.tasks[partition].rows() {
            rows.set(None, &key, Some(value.clone()));
        }
        self.commit(partition)
    }

    /// All rows of the group table, in the byte order of keys within each partition.
    pub fn rows(&self) -> Result<Vec<(K, V)>> {
        let rows = self.changelog.iter().flatten();
        rows.map(|(key, value)| Ok((K::decode(key)?, self.decode(value)?))).collect()
    }

    /// Forgets everything in memory and reads the group table back from its changelog, as a
    /// processor does that starts on another machine.
    pub fn restart(&mut self) -> Result {
        for (partition, changelog) in self.changelog.iter().enumerate() {
            let task = &mut self.tasks[partition];
            let Some(rows) = task.rows() else { continue };
            rows.forget();
            for (key, value) in changelog {
                rows.feed(key, Some(value));
            }
        }
        Ok(())
    }

    fn decode(&self, row: &[u8]) -> Result<V> {
        let codec = self.graph.group.codec.as_ref().ok_or("this group has no table")?;
        codec.decode(row)
    }
}

fn task<K: Key, V: 'static>(
    graph: &Arc<GroupGraph<K, V>>,
    lookups: &[Arc<SharedTable>],
) -> PartitionTask<K, V> {
    let tables = TaskTables {
        table: Some(memory()),
        joins: graph.edges.of(Kind::Join).iter().map(|_| memory()).collect(),
        lookups: lookups.to_vec(),
        cache_bytes_max: CACHE_BYTES_MAX,
    };
    PartitionTask::new(Arc::clone(graph), tables)
}

fn memory() -> Box<dyn Store> {
    Box::new(MemoryStore::new())
}

fn header((name, value): &(Vec<u8>, Option<Vec<u8>>)) -> Header<'_> {
    Header { name, value: value.as_deref() }
}

fn owned(emit: &Emit<'_>) -> Message {
    let headers = emit.headers().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)));
    Message {
        key: emit.key().map(<[u8]>::to_vec),
        value: emit.value().map(<[u8]>::to_vec),
        headers: headers.collect(),
        timestamp_ms: emit.timestamp_ms(),
    }
}

fn encoded<K: Key>(key: &K::Ref) -> Vec<u8> {
    let mut bytes = vec![];
    K::encode(key, &mut bytes);
    bytes
}

fn encoded_value<M>(codec: &dyn crate::Codec<M>, message: &M) -> Result<Option<Vec<u8>>, BoxError> {
    if codec.is_null(message) {
        return Ok(None);
    }
    let mut bytes = vec![];
    codec.encode(message, &mut bytes)?;
    Ok(Some(bytes))
}

impl<K: Key, V> std::fmt::Debug for Tester<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tester").field("graph", &self.graph).finish_non_exhaustive()
    }
}
