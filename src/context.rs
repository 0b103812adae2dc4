//! What a callback may do.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    BoxError, Header, HeaderValue, Join, Key, Lookup, Loop, Output, Result, Stored,
    effects::{Effects, Staged},
    graph::{Edges, Kind},
    record::Record,
    table::{RowTable, SharedTable, Undecoded},
};

/// One message being processed, and everything its callback may read and write.
///
/// Writes and emits take effect together when the callback returns `Ok`; after an `Err` there is no
/// trace of them. Reads of the group table see the callback's own writes.
///
/// The context is borrowed for the duration of the callback; it cannot be stored or sent elsewhere:
///
/// ```compile_fail
/// # use roka::{Group, Stream};
/// # const CLICKS: Stream<String, u32> = Stream::json("clicks");
/// let mut graph = Group::<String, u64>::json("counter").graph();
/// graph.input(CLICKS, |ctx, _| {
///     std::thread::spawn(move || ctx.key().len()); // escapes
///     Ok(())
/// });
/// ```
pub struct Context<'m, K: Key, V: 'static> {
    pub(crate) key: &'m K::Ref,
    pub(crate) record: Record<'m>,
    pub(crate) group: &'m str,
    pub(crate) edges: &'m Edges,
    pub(crate) state: &'m mut State<V>,
}

/// What a partition's callbacks read and write. It outlives the records.
pub(crate) struct State<V: 'static> {
    pub(crate) table: RefCell<Option<RowTable<V>>>,
    pub(crate) joins: Vec<RefCell<RowTable<Undecoded>>>,
    pub(crate) lookups: Vec<Arc<SharedTable>>,
    pub(crate) effects: Effects,
    pub(crate) staged: Staged<V>,
    /// Where the current record's row of the group table is, once it was looked up.
    pub(crate) place: Cell<Option<u32>>,
    /// Where keys of lookups are encoded.
    pub(crate) scratch: RefCell<Vec<u8>>,
}

impl<'m, K: Key, V: 'static> Context<'m, K, V> {
    /// The message's key. It outlives the borrow of the context: `ctx.emit(out, ctx.key(), ..)` is
    /// fine.
    pub fn key(&self) -> &'m K::Ref {
        self.key
    }

    /// The name of the group that processes the message.
    pub fn group(&self) -> &'m str {
        self.group
    }

    /// The topic that the message came from.
    pub fn topic(&self) -> &'m str {
        self.record.topic
    }

    /// The partition that the message came from.
    pub fn partition(&self) -> i32 {
        self.record.partition
    }

    /// The message's offset in its partition.
    pub fn offset(&self) -> i64 {
        self.record.offset
    }

    /// The message's timestamp in milliseconds since 1970; -1 if it has none.
    pub fn timestamp_ms(&self) -> i64 {
        self.record.timestamp_ms
    }

    /// The message's timestamp; 1970 if it has none.
    pub fn timestamp(&self) -> SystemTime {
        let since = Duration::from_millis(self.record.timestamp_ms.max(0).unsigned_abs());
        SystemTime::UNIX_EPOCH + since
    }

    /// The message's headers in order, duplicates included.
    pub fn headers(&self) -> &'m [Header<'m>] {
        self.record.headers
    }

    /// The value of the last header called `name`; `None` if there is none, or it is null.
    pub fn header(&self, name: &str) -> Option<&'m [u8]> {
        let mut headers = self.record.headers.iter().rev();
        headers.find(|header| header.name == name.as_bytes())?.value
    }

    /// The row of a co-partitioned table under the message's key.
    pub fn join<T: 'static>(&self, table: Join<T>) -> Result<Option<T>> {
        let codec = self.edges.at(Kind::Join, table.handle).codec::<T>();
        let mut rows = self.state.joins[table.handle.place].borrow_mut();
        rows.raw(self.record.key_bytes())?.map(|row| codec.decode(row)).transpose()
    }

    /// Any row of a fully replicated table.
    pub fn lookup<K2: Key, T: 'static>(
        &self,
        table: Lookup<K2, T>,
        key: &K2::Ref,
    ) -> Result<Option<T>> {
        let codec = self.edges.at(Kind::Lookup, table.handle).codec::<T>();
        let mut bytes = self.state.scratch.borrow_mut();
        bytes.clear();
        K2::encode(key, &mut bytes);
        self.state.lookups[table.handle.place]
            .read(&bytes, |row| row.map(|row| codec.decode(row)).transpose())
    }

    /// Emits a message to a declared output.
    pub fn emit<K2: Key, V2: 'static>(
        &mut self,
        to: Output<K2, V2>,
        key: &K2::Ref,
        value: &V2,
    ) -> Result {
        self.emit_with_headers(to, key, value, std::iter::empty::<(&str, &[u8])>())
    }

    /// As [`emit`](Self::emit), with headers. They keep their order; names may repeat.
    ///
    /// ```
    /// # use roka::{Context, Key, Output, Result};
    /// # fn f<K: Key>(ctx: &mut Context<'_, K, u64>, alerts: Output<K, u64>) -> Result {
    /// ctx.emit_with_headers(alerts, ctx.key(), &1, [("why", "limit"), ("who", "me")])
    /// # }
    /// ```
    pub fn emit_with_headers<K2: Key, V2: 'static, N: AsRef<[u8]>, H: HeaderValue>(
        &mut self,
        to: Output<K2, V2>,
        key: &K2::Ref,
        value: &V2,
        headers: impl IntoIterator<Item = (N, H)>,
    ) -> Result {
        self.emit_full(to, key, value, None, headers)
    }

    /// As [`emit`](Self::emit), with a timestamp in milliseconds since 1970. Otherwise messages carry
    /// the time at which they are sent, as Goka's do.
    pub fn emit_at<K2: Key, V2: 'static>(
        &mut self,
        to: Output<K2, V2>,
        key: &K2::Ref,
        value: &V2,
        timestamp_ms: i64,
    ) -> Result {
        let none = std::iter::empty::<(&str, &[u8])>();
        self.emit_full(to, key, value, Some(timestamp_ms), none)
    }

    fn emit_full<K2: Key, V2: 'static, N: AsRef<[u8]>, H: HeaderValue>(
        &mut self,
        to: Output<K2, V2>,
        key: &K2::Ref,
        value: &V2,
        timestamp_ms: Option<i64>,
        headers: impl IntoIterator<Item = (N, H)>,
    ) -> Result {
        let codec = self.edges.at(Kind::Output, to.handle).codec::<V2>();
        let mut draft = self.state.effects.draft(to.handle.place);
        draft.timestamp_ms(timestamp_ms);
        if !K2::NULL {
            draft.key(|bytes| K2::encode(key, bytes));
        }
        if !codec.is_null(value) {
            draft.value(|bytes| codec.encode(value, bytes))?;
        }
        for (name, value) in headers {
            draft.header(name.as_ref(), &value);
        }
        draft.finish();
        Ok(())
    }

    /// Emits a null payload under `key`, which deletes the key's row where the output is a table.
    pub fn emit_tombstone<K2: Key, V2: 'static>(
        &mut self,
        to: Output<K2, V2>,
        key: &K2::Ref,
    ) -> Result {
        self.edges.at(Kind::Output, to.handle);
        let mut draft = self.state.effects.draft(to.handle.place);
        if !K2::NULL {
            draft.key(|bytes| K2::encode(key, bytes));
        }
        draft.finish();
        Ok(())
    }

    /// Sends a message to another key of this group.
    pub fn loopback<M: 'static>(&mut self, to: Loop<K, M>, key: &K::Ref, message: &M) -> Result {
        self.emit(to.0, key, message)
    }

    /// Refuses the message: `return ctx.fail("negative balance")`.
    ///
    /// The input's [`OnError`](crate::OnError) decides what follows.
    pub fn fail<T>(&self, reason: impl std::fmt::Display) -> Result<T> {
        Err(reason.to_string().into())
    }
}

/// The group table.
///
/// ```compile_fail,E0277
/// # use roka::{Group, Stream};
/// # const CLICKS: Stream<String, u32> = Stream::json("clicks");
/// let mut graph = Group::<String>::stateless("router").graph();
/// graph.input(CLICKS, |ctx, _| {
///     let _ = ctx.value()?; // this group has no table
///     Ok(())
/// });
/// ```
impl<K: Key, V: 'static> Context<'_, K, V> {
    /// A copy of the group table's value under the message's key, as this callback last left it.
    pub fn value(&self) -> Result<Option<V>>
    where
        V: Stored,
    {
        match &self.state.staged {
            Staged::Set(value) => Ok(Some(value.clone())),
            Staged::Deleted => Ok(None),
            Staged::Unchanged => {
                let mut table = self.state.table.borrow_mut();
                let table = table.as_mut().ok_or_else(no_table)?;
                let place = locate(table, &self.state.place, &self.record)?;
                Ok(table.value_at(place)?.cloned())
            }
        }
    }

    /// As [`value`](Self::value), without the copy.
    pub fn value_ref(&mut self) -> Result<Option<&V>>
    where
        V: Stored,
    {
        match &self.state.staged {
            Staged::Set(value) => Ok(Some(value)),
            Staged::Deleted => Ok(None),
            Staged::Unchanged => {
                let table = self.state.table.get_mut().as_mut().ok_or_else(no_table)?;
                let place = locate(table, &self.state.place, &self.record)?;
                table.value_at(place)
            }
        }
    }

    /// Sets the value under the message's key.
    ///
    /// It is encoded once per commit, not per record. A value that its codec cannot encode therefore
    /// fails the commit, which ends the processor with an error that names the key.
    pub fn set_value(&mut self, value: &V) -> Result
    where
        V: Stored,
    {
        self.put_value(value.clone())
    }

    /// As [`set_value`](Self::set_value), without a copy.
    pub fn put_value(&mut self, value: V) -> Result
    where
        V: Stored,
    {
        self.state.staged = Staged::Set(value);
        Ok(())
    }

    /// Deletes the row under the message's key: a tombstone in the table's topic.
    pub fn delete(&mut self)
    where
        V: Stored,
    {
        self.state.staged = Staged::Deleted;
    }

    /// Changes the value in place, from its default where there is none.
    pub fn update<R>(&mut self, change: impl FnOnce(&mut V) -> R) -> Result<R>
    where
        V: Stored + Default,
    {
        if !matches!(self.state.staged, Staged::Set(_)) {
            let value = self.value()?.unwrap_or_default();
            self.state.staged = Staged::Set(value);
        }
        match &mut self.state.staged {
            Staged::Set(value) => Ok(change(value)),
            _ => Err(no_table()),
        }
    }
}

fn locate<V>(
    table: &mut RowTable<V>,
    place: &Cell<Option<u32>>,
    record: &Record<'_>,
) -> Result<u32> {
    if let Some(place) = place.get() {
        return Ok(place);
    }
    let located = table.locate(record.key_bytes())?;
    place.set(Some(located));
    Ok(located)
}

fn no_table() -> BoxError {
    "this group has no table".into()
}

impl<K: Key, V> std::fmt::Debug for Context<'_, K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("record", &self.record).finish_non_exhaustive()
    }
}
