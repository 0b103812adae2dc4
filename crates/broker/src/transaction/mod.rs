//! The transactions of the cluster: who coordinates them, and what becomes of them (KIP-98, KIP-890).
//!
//! The state machine of a transactional id is a plain value ([`machine`]); here it meets the partitions, the groups, time
//! and the data folder. All nodes share the transactions; only the coordinator's node answers for one, as in Kafka.
//!
//! - A decision is in the journal before anybody hears of it, and before its first marker. After a restart, decided
//!   transactions get their markers (again), undecided ones go on.
//! - Locks are taken in the order transactions, groups, partition. Whoever begins to write to a partition holds the first
//!   until the records are in the log: no record of a transaction can come after its marker.

pub(crate) mod machine;
pub(crate) mod markers;

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI16, AtomicI64, Ordering},
    },
    time::Duration,
};

use roka_protocol::ErrorCode;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use self::{
    machine::{Identity, Outcome, State, Transaction},
    markers::Marker,
};
use crate::{
    journal::{self, Journal},
    state::{Shared, lock, now_ms},
};

const FILE: &str = "transactions.jsonl";
/// How soon markers are tried again that nobody could take: their partition had no leader.
const MARKERS_AGAIN: Duration = Duration::from_millis(20);
/// The epoch of all coordinators: they share their state, so a former one cannot be behind.
pub(crate) const COORDINATOR_EPOCH: i32 = 0;

/// All transactions of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    inner: Mutex<Inner>,
    /// A deadline may have come nearer.
    changed: Notify,
    /// Decided transactions wait with their markers.
    markers_held: AtomicBool,
    /// The level of the feature `transaction.version`, and how often it was set.
    version: AtomicI16,
    version_epoch: AtomicI64,
}

#[derive(Debug, Default)]
struct Inner {
    all: BTreeMap<String, Transaction>,
    journal: Option<Journal>,
}

/// A line of the journal: what a transactional id has come to; none when it was forgotten.
#[derive(Debug, Serialize, Deserialize)]
struct Line<'a> {
    id: std::borrow::Cow<'a, str>,
    transaction: Option<std::borrow::Cow<'a, Transaction>>,
}

/// Keeps all transactions from being decided for as long as it lives.
#[derive(Debug)]
pub(crate) struct Undecided<'a> {
    _inner: MutexGuard<'a, Inner>,
}

impl Inner {
    fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut all = BTreeMap::new();
        for Line { id, transaction } in journal::read::<Line<'static>>(&path)? {
            match transaction {
                Some(transaction) => all.insert(id.into_owned(), transaction.into_owned()),
                None => all.remove(&*id),
            };
        }
        let mut inner = Self { all, journal: None };
        inner.rewrite(&path)?;
        Ok(inner)
    }

    fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let lines = self.all.iter().map(|(id, it)| Line {
            id: id.into(),
            transaction: Some(std::borrow::Cow::Borrowed(it)),
        });
        self.journal = Some(Journal::create(path, lines)?);
        Ok(())
    }

    /// Writes down what has become of a transactional id.
    fn note(&mut self, id: &str) -> io::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let transaction = self.all.get(id).map(std::borrow::Cow::Borrowed);
        journal.append([Line { id: id.into(), transaction }])?;
        if let Some(path) = journal.overgrown(self.all.len()) {
            self.rewrite(&path)?;
        }
        Ok(())
    }
}

impl Transactions {
    /// Transactions as the folder has them.
    pub(crate) fn open(&self, shared: &Shared) -> io::Result<()> {
        if let Some(dir) = &shared.data_dir {
            *lock(&self.inner) = Inner::open(dir)?;
        }
        Ok(())
    }

    /// A producer begins to use a transactional id, or goes on with it.
    pub(crate) fn init(
        &self,
        shared: &Shared,
        id: &str,
        timeout_ms: i32,
        expected: Option<Identity>,
    ) -> Result<Identity, ErrorCode> {
        let mut inner = lock(&self.inner);
        let now_ms = now_ms();
        let mut fresh = || shared.new_producer_id();
        inner
            .all
            .entry(id.to_owned())
            .or_insert_with(|| Transaction::new(shared.new_producer_id(), now_ms));
        self.change_locked(shared, &mut inner, id, |it| {
            it.init(now_ms, timeout_ms, expected, &mut fresh)
        })
    }

    /// Changes the transaction of an id that was initialised before.
    pub(crate) fn change<T>(
        &self,
        shared: &Shared,
        id: &str,
        change: impl FnOnce(&mut Transaction) -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        self.change_locked(shared, &mut lock(&self.inner), id, change)
    }

    /// As [`change`](Self::change); nothing is decided until the caller has done what it was allowed to.
    pub(crate) fn allow(
        &self,
        shared: &Shared,
        id: &str,
        change: impl FnOnce(&mut Transaction) -> Result<(), ErrorCode>,
    ) -> Result<Undecided<'_>, ErrorCode> {
        let mut inner = lock(&self.inner);
        self.change_locked(shared, &mut inner, id, change)?;
        Ok(Undecided { _inner: inner })
    }

    fn change_locked<T>(
        &self,
        shared: &Shared,
        inner: &mut Inner,
        id: &str,
        change: impl FnOnce(&mut Transaction) -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        let Some(transaction) = inner.all.get_mut(id) else {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        };
        let outcome = change(transaction);
        if transaction.take_dirty() {
            // Whoever asked has to ask again, and finds what is in force.
            note_or_refuse(inner, id)?;
            self.finish(shared, inner, id);
            self.changed.notify_one();
        }
        outcome
    }

    /// Gives a decided transaction its markers, as far as they can be written now.
    fn finish(&self, shared: &Shared, inner: &mut Inner, id: &str) {
        let Some(transaction) = inner.all.get_mut(id) else { return };
        let Some(outcome) = transaction.prepared() else { return };
        if self.markers_held.load(Ordering::Relaxed) {
            return;
        }
        let producer = Identity { id: transaction.producer_id, epoch: transaction.epoch };
        let marker = Marker { producer, outcome, coordinator_epoch: COORDINATOR_EPOCH };
        for place in transaction.partitions.clone() {
            match marker.write(shared, &place.0, place.1) {
                Ok(true) => transaction.partition_done(&place),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(topic = place.0, partition = place.1, %error, "a marker cannot be written");
                }
            }
        }
        for group in transaction.groups.clone() {
            match shared.groups.end_transaction(&group, producer.id, outcome == Outcome::Commit) {
                Ok(()) => transaction.group_done(&group),
                Err(error) => tracing::error!(group, %error, "offsets cannot be written"),
            }
        }
        if transaction.try_complete(now_ms()) && transaction.take_dirty() {
            // What is not written down is done again after a restart, which changes nothing.
            let _ = note_or_refuse(inner, id);
        }
    }

    /// Looks at the transaction of an id.
    pub(crate) fn look<T>(&self, id: &str, look: impl FnOnce(&Transaction) -> T) -> Option<T> {
        lock(&self.inner).all.get(id).map(look)
    }

    /// Looks at all transactions.
    pub(crate) fn each(&self, mut look: impl FnMut(&str, &Transaction)) {
        for (id, transaction) in &lock(&self.inner).all {
            look(id, transaction);
        }
    }

    /// The version of the protocol that clients shall use, and how often it was set.
    pub(crate) fn version(&self) -> (i16, i64) {
        (self.version.load(Ordering::Relaxed), self.version_epoch.load(Ordering::Relaxed))
    }

    pub(crate) fn set_version(&self, version: i16) {
        self.version.store(version, Ordering::Relaxed);
        self.version_epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether decided transactions wait with their markers.
    pub(crate) fn hold_markers(&self, hold: bool) {
        self.markers_held.store(hold, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Lets time pass, and tries markers again; says in how long there is something to do next.
    fn expire(&self, shared: &Shared, now_ms: i64) -> Option<Duration> {
        let idle_ms = shared.config.number("transactional.id.expiration.ms", 604_800_000);
        let mut inner = lock(&self.inner);
        let mut due = Vec::new();
        for (id, transaction) in &mut inner.all {
            transaction.expire(now_ms, idle_ms);
            if transaction.prepared().is_some() || transaction.state == State::Dead {
                due.push((id.clone(), transaction.take_dirty()));
            }
        }
        let mut next = None;
        for (id, changed) in due {
            if inner.all.get(&id).is_some_and(|it| it.state == State::Dead) {
                inner.all.remove(&id);
            }
            if changed && note_or_refuse(&mut inner, &id).is_err() {
                next = Some(MARKERS_AGAIN);
                continue;
            }
            self.finish(shared, &mut inner, &id);
        }
        for transaction in inner.all.values() {
            let waits = match transaction.deadline(idle_ms) {
                Some(deadline) => Duration::from_millis((deadline - now_ms).max(0).unsigned_abs()),
                None if self.markers_held.load(Ordering::Relaxed) => continue,
                None => MARKERS_AGAIN,
            };
            next = Some(next.map_or(waits, |it: Duration| it.min(waits)));
        }
        next
    }
}

/// What a producer hears that may not write in a transaction; `knows_abortable` if it knows `TRANSACTION_ABORTABLE`.
pub(crate) fn to_writer(error: ErrorCode, knows_abortable: bool) -> ErrorCode {
    match error {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if !knows_abortable => ErrorCode::INVALID_TXN_STATE,
        error => error,
    }
}

fn note_or_refuse(inner: &mut Inner, id: &str) -> Result<(), ErrorCode> {
    inner.note(id).map_err(|error| {
        tracing::error!(transactional_id = id, %error, "the transaction cannot be written");
        ErrorCode::COORDINATOR_NOT_AVAILABLE
    })
}

/// Brings time to the transactions, for as long as the cluster runs.
pub(crate) async fn keep_time(shared: Arc<Shared>) {
    loop {
        let changed = shared.transactions.changed.notified();
        match shared.transactions.expire(&shared, now_ms()) {
            None => changed.await,
            Some(wait) => {
                // Whichever comes first; neither has anything half done.
                let _ = tokio::time::timeout(wait, changed).await;
            }
        }
    }
}
