//! A whole table, kept up to date on this machine, to read from.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    fmt,
    marker::PhantomData,
    ops::Bound,
    sync::{Arc, OnceLock},
    thread,
};

use tokio::sync::watch;

use crate::{
    BoxError, Config, ConfigError, Key, Slice, Table,
    codec::AnyCodec,
    engine::{ProcessorError, State, StateBoard, replicate},
    store::prefix_bounds,
    table::SharedTable,
};

/// Rows that an iteration takes from a partition at a time.
const PAGE_ROWS: usize = 256;

/// Why a view cannot be read, or ended by itself.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The cluster has not been reached yet, or has no such table.
    #[error("the view of {topic} is {state}: wait until it is ready")]
    NotReady {
        /// The table's topic.
        topic: String,
        /// Where the view stands.
        state: State,
    },
    /// A row cannot be read.
    #[error("cannot read a row of {topic}: {source}")]
    Read {
        /// The table's topic.
        topic: String,
        /// Why.
        source: BoxError,
    },
    /// The view was closed, by another clone of it.
    #[error("the view of {topic} is closed")]
    Closed {
        /// The table's topic.
        topic: String,
    },
    /// The view ended for a reason that no waiting can cure.
    #[error("the view has ended: {0}")]
    Ended(Arc<ProcessorError>),
}

/// The message: `main` shows the error it returns by [`Debug`](fmt::Debug), and names of fields help no user.
impl fmt::Debug for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A whole table, all its partitions, kept up to date beside the program: for services that read what processors write.
///
/// It begins to read when it is made, on threads of its own. Before it is ready, reads show what was read so far; while brokers are
/// away they show what was read last. Clones are the same view; it ends with the last one.
///
/// ```no_run
/// # use roka::{Config, Group, Result, View};
/// # const COUNTER: Group<String, u64> = Group::json("counter");
/// # async fn f() -> Result {
/// let counts = View::new(COUNTER.table(), &Config::new(["localhost:9092"]))?;
/// counts.wait_ready().await?;
/// println!("bob: {:?}", counts.get("bob")?);
/// # Ok(())
/// # }
/// ```
pub struct View<K: Key, V: 'static> {
    inner: Arc<Inner>,
    codec: AnyCodec<V>,
    _key: PhantomData<fn() -> K>,
}

struct Inner {
    topic: String,
    inside: Arc<Inside>,
    stop: watch::Sender<bool>,
}

/// What the view and its thread share.
#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) board: StateBoard,
    pub(crate) table: OnceLock<Arc<SharedTable>>,
    pub(crate) ended: OnceLock<Arc<ProcessorError>>,
}

impl<K: Key, V> View<K, V> {
    /// Checks the configuration and begins to read the table. Where the rows are kept is up to [`Config::store`]; a
    /// view has a folder of its own below [`Config::state_dir`].
    pub fn new(table: Table<K, V>, config: &Config) -> Result<Self, ViewError> {
        config.validate()?;
        let topic = table.topic.into_owned();
        let (stop, stopped) = watch::channel(false);
        let inside = Arc::<Inside>::default();
        inside.board.set(State::Joining);
        let work = {
            let (config, topic, inside) = (config.clone(), topic.clone(), Arc::clone(&inside));
            move || replicate(&config, &topic, &inside, stopped)
        };
        if let Err(error) = thread::Builder::new().name("roka-view".to_owned()).spawn(work) {
            let reason = format!("no thread: {error}");
            let error = ProcessorError::Thread { name: "roka-view", reason };
            return Err(ViewError::Ended(Arc::new(error)));
        }
        let inner = Arc::new(Inner { topic, inside, stop });
        Ok(Self { inner, codec: table.codec, _key: PhantomData })
    }

    /// The table's topic.
    pub fn topic(&self) -> &str {
        &self.inner.topic
    }

    /// Where the view stands: [`State::Joining`] until the cluster is reached, [`State::Recovering`] until it is ready,
    /// then [`State::Running`], or [`State::Stale`] while brokers are away. Looked at four times a second.
    pub fn state(&self) -> State {
        self.inner.inside.board.get()
    }

    /// Follows [`state`](Self::state).
    pub fn watch_state(&self) -> watch::Receiver<State> {
        self.inner.inside.board.watch()
    }

    /// Waits until the view has read the table to where it ended when the reading began.
    pub async fn wait_ready(&self) -> Result<(), ViewError> {
        let mut watch = self.watch_state();
        // The board is held here, so that the channel cannot be closed.
        let state = watch.wait_for(|state| *state >= State::Running).await.map(|state| *state);
        if state.is_ok_and(|state| state == State::Running) {
            return Ok(());
        }
        self.table().map(drop)
    }

    /// The row under `key`.
    pub fn get(&self, key: &K::Ref) -> Result<Option<V>, ViewError> {
        self.read(key, |row| row.map(|row| self.codec.decode(row)).transpose())
    }

    /// Whether there is a row under `key`.
    pub fn has(&self, key: &K::Ref) -> Result<bool, ViewError> {
        self.read(key, |row| Ok(row.is_some()))
    }

    fn read<T>(
        &self,
        key: &K::Ref,
        read: impl FnOnce(Option<&[u8]>) -> Result<T, BoxError>,
    ) -> Result<T, ViewError> {
        let mut bytes = Vec::new();
        K::encode(key, &mut bytes);
        self.table()?.read(&bytes, read).map_err(|source| self.failed(source))
    }

    /// All rows in the byte order of their keys. Rows that change meanwhile are seen as they are when they are reached.
    pub fn iter(&self) -> Result<Rows<K, V>, ViewError> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// The rows whose keys lie between the bounds, in the byte order of keys.
    pub fn range(&self, from: Bound<&K::Ref>, to: Bound<&K::Ref>) -> Result<Rows<K, V>, ViewError> {
        let encode = |key: &K::Ref| {
            let mut bytes = Vec::new();
            K::encode(key, &mut bytes);
            bytes
        };
        self.rows(from.map(encode), to.map(encode))
    }

    fn rows(&self, from: Bound<Vec<u8>>, to: Bound<Vec<u8>>) -> Result<Rows<K, V>, ViewError> {
        let table = Arc::clone(self.table()?);
        let parts = (0..table.partitions())
            .map(|_| Part { page: VecDeque::new(), from: Some(from.clone()) });
        let mut rows = Rows {
            topic: self.inner.topic.clone(),
            codec: self.codec.clone(),
            parts: parts.collect(),
            to,
            heads: BinaryHeap::new(),
            table,
            _key: PhantomData,
        };
        for partition in 0..rows.parts.len() {
            rows.push_head(partition)?;
        }
        Ok(rows)
    }

    /// The rows whose keys begin with the bytes of `prefix`, in the byte order of keys.
    pub fn prefix(&self, prefix: &K::Ref) -> Result<Rows<K, V>, ViewError> {
        let mut bytes = Vec::new();
        K::encode(prefix, &mut bytes);
        let (from, to) = prefix_bounds(&bytes);
        self.rows(from, to)
    }

    fn table(&self) -> Result<&Arc<SharedTable>, ViewError> {
        let inside = &self.inner.inside;
        if let Some(error) = inside.ended.get() {
            return Err(ViewError::Ended(Arc::clone(error)));
        }
        if self.state() >= State::Stopping {
            return Err(ViewError::Closed { topic: self.inner.topic.clone() });
        }
        inside.table.get().ok_or_else(|| ViewError::NotReady {
            topic: self.inner.topic.clone(),
            state: self.state(),
        })
    }

    fn failed(&self, source: BoxError) -> ViewError {
        ViewError::Read { topic: self.inner.topic.clone(), source }
    }

    /// Ends the view and waits until its stores are closed. Other clones cannot be read any more.
    pub async fn close(self) {
        self.inner.stop.send_replace(true);
        let mut watch = self.watch_state();
        // The board is held here, so that the channel cannot be closed.
        let _ = watch.wait_for(|state| *state == State::Stopped).await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Rows of a [`View`] in the byte order of their keys.
pub struct Rows<K: Key, V: 'static> {
    topic: String,
    codec: AnyCodec<V>,
    table: Arc<SharedTable>,
    parts: Vec<Part>,
    to: Bound<Vec<u8>>,
    /// The next key of each partition that has one.
    heads: BinaryHeap<Reverse<(Slice, usize)>>,
    _key: PhantomData<fn() -> K>,
}

/// What was read ahead of one partition.
struct Part {
    page: VecDeque<(Slice, Slice)>,
    /// Where the next page begins; none after the last one.
    from: Option<Bound<Vec<u8>>>,
}

impl<K: Key, V> Rows<K, V> {
    /// Makes the partition's next row known, reading on if need be.
    fn push_head(&mut self, partition: usize) -> Result<(), ViewError> {
        let part = &mut self.parts[partition];
        if part.page.is_empty()
            && let Some(from) = part.from.take()
        {
            let range = (from.as_ref().map(|from| &**from), self.to.as_ref().map(|to| &**to));
            let page = self.table.partition(partition).page(range, PAGE_ROWS);
            let page =
                page.map_err(|source| ViewError::Read { topic: self.topic.clone(), source })?;
            if page.len() == PAGE_ROWS {
                part.from = page.last().map(|(key, _)| Bound::Excluded(key.to_vec()));
            }
            part.page = page.into();
        }
        if let Some((key, _)) = part.page.front() {
            self.heads.push(Reverse((key.clone(), partition)));
        }
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<(K, V)>, ViewError> {
        let Some(Reverse((_, partition))) = self.heads.pop() else { return Ok(None) };
        let Some((key, value)) = self.parts[partition].page.pop_front() else { return Ok(None) };
        self.push_head(partition)?;
        let decoded = K::decode(&key).and_then(|key| Ok((key, self.codec.decode(&value)?)));
        let row =
            decoded.map_err(|source| ViewError::Read { topic: self.topic.clone(), source })?;
        Ok(Some(row))
    }
}

impl<K: Key, V> Iterator for Rows<K, V> {
    type Item = Result<(K, V), ViewError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

impl<K: Key, V> Clone for View<K, V> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), codec: self.codec.clone(), _key: PhantomData }
    }
}

impl<K: Key, V> fmt::Debug for View<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (topic, state) = (&self.inner.topic, self.state());
        f.debug_struct("View").field("topic", topic).field("state", &state).finish_non_exhaustive()
    }
}

impl<K: Key, V> fmt::Debug for Rows<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("topic", &self.topic).finish_non_exhaustive()
    }
}
