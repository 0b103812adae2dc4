//! The local stores of a processor: where they lie, and what happens when one cannot be opened.
//!
//! - One store per table partition, in `<state_dir>/<group>/<topic>/<partition>`; those of looked-up tables in
//!   `<state_dir>/<group>/(lookups)/<topic>/<partition>`.
//! - A store that is corrupt, or of a format that this version does not read, is deleted and read back: the changelog is
//!   the truth, and a processor must not need a person for what it can mend.
//! - A store that somebody else has open is waited for (the partition may just be moving), then a typed error.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{Config, LogStore, MemoryStore, Store, StoreError, StoreKind, store::StagedStore};

/// How long a store that is open elsewhere is waited for.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);
const LOCK_WAIT_STEP: Duration = Duration::from_millis(100);
/// The folder of looked-up tables in a group's: no topic can be called so.
const LOOKUPS: &str = "(lookups)";
/// Ending of the files that say how far a store is.
const HINT: &str = "position";
/// sled's own page cache per store: rows are cached above it.
const PAGE_CACHE_BYTES: u64 = 8 << 20;

/// The stores of one group on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Stores {
    kind: StoreKind,
    folder: PathBuf,
}

impl Stores {
    /// Below the configured folder.
    pub(crate) fn new(config: &Config, group: &str) -> Self {
        Self { kind: config.store, folder: config.state_dir.join(group) }
    }

    /// The same for the looked-up tables, each of which may be a joined one too.
    pub(crate) fn of_lookups(&self) -> Self {
        Self { kind: self.kind, folder: self.folder.join(LOOKUPS) }
    }

    /// Where the stores of a table lie.
    pub(crate) fn folder(&self, topic: &str) -> PathBuf {
        self.folder.join(topic)
    }

    fn path(&self, topic: &str, partition: i32) -> PathBuf {
        self.folder(topic).join(partition.to_string())
    }

    /// Opens the store of a table partition, made if need be.
    pub(crate) async fn open(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Box<dyn Store>, StoreError> {
        let path = self.path(topic, partition);
        match self.kind {
            StoreKind::Log => open_on_disk(&path, |path| Ok(Box::new(LogStore::open(path)?))).await,
            StoreKind::Memory => Ok(Box::new(MemoryStore::new())),
            StoreKind::Sled => {
                open_on_disk(&path, |path| Ok(Box::new(StagedStore::open(path, PAGE_CACHE_BYTES)?)))
                    .await
            }
        }
    }

    /// Notes that the store of a partition stands for the changelog up to `position`, for [`positions`](Self::positions).
    /// It is only a hint: without it a partition may be recovered elsewhere than where it was.
    pub(crate) fn note(&self, topic: &str, partition: i32, position: i64) {
        if self.are_durable() {
            let path = self.path(topic, partition).with_extension(HINT);
            if let Err(error) = std::fs::write(&path, position.to_string()) {
                tracing::debug!(path = %path.display(), %error, "cannot note a store's position");
            }
        }
    }

    /// The partitions of `topic` that have a store here, and what they stood for when it was noted last. Opens none.
    pub(crate) fn positions(&self, topic: &str) -> Vec<(i32, i64)> {
        let Ok(folder) = std::fs::read_dir(self.folder(topic)) else { return Vec::new() };
        let hint = |entry: std::fs::DirEntry| {
            let path = entry.path();
            let partition = path.file_stem()?.to_str()?.parse().ok()?;
            (path.extension()? == HINT).then_some(())?;
            Some((partition, std::fs::read_to_string(&path).ok()?.parse().ok()?))
        };
        folder.filter_map(|entry| hint(entry.ok()?)).collect()
    }

    /// Whether what is stored is there after a restart.
    pub(crate) fn are_durable(&self) -> bool {
        self.kind != StoreKind::Memory
    }
}

async fn open_on_disk(
    path: &Path,
    open: fn(&Path) -> Result<Box<dyn Store>, StoreError>,
) -> Result<Box<dyn Store>, StoreError> {
    let started = Instant::now();
    let mut mended = false;
    loop {
        // A large store takes its time to read; the partitions beside it go on meanwhile.
        let opening = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || open(&opening)).await;
        match opened.unwrap_or_else(|error| Err(failed(path, error.into()))) {
            Ok(store) => return Ok(store),
            Err(StoreError::Locked { .. }) if started.elapsed() < LOCK_WAIT_MAX => {
                tokio::time::sleep(LOCK_WAIT_STEP).await;
            }
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Format { .. })) if !mended => {
                tracing::warn!(%error, "deleting a local store; its table is read back from the changelog");
                mended = true;
                std::fs::remove_dir_all(path).map_err(|source| StoreError::Io {
                    path: path.to_owned(),
                    action: "deleting a corrupt store",
                    source,
                })?;
            }
            Err(error) => return Err(error),
        }
    }
}

fn failed(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), action: "opening", source }
}
