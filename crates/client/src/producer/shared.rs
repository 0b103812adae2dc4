//! What the threads that send records share with the task that delivers them.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use roka_protocol::records::{BatchBuilder, BatchOptions, Compression};
use tokio::sync::Notify;

use super::ProducerConfig;
use super::budget::Budget;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ProducerConfig,
    pub(crate) budget: Budget,
    pub(crate) wake: Wake,
    /// Brokers take record batches: they can be compressed before their leader is known.
    pub(crate) modern: AtomicBool,
    /// Somebody waits for memory: everything is sent now, linger or not.
    pub(crate) pressed: AtomicBool,
    /// No batch may be opened: there is no transaction that it could belong to.
    pub(crate) shut: AtomicBool,
    options: BatchOptions,
    /// Partitions whose state changed since the sender last looked, by index.
    changed: Mutex<Vec<u32>>,
    /// Buffers to use again.
    pool: Mutex<Vec<BatchBuilder>>,
    pool_max: usize,
}

impl Shared {
    pub(crate) fn new(config: ProducerConfig) -> Self {
        let options = BatchOptions {
            compression: config.compression,
            level: config.compression_level,
            capacity: 0,
        };
        // Idle buffers take at most a quarter of the memory that was granted.
        let pool_max = (config.buffer_bytes_max / 4 / config.batch_bytes_max).clamp(1, 1024);
        Self {
            budget: Budget::new(config.buffer_bytes_max),
            wake: Wake::default(),
            modern: AtomicBool::new(false),
            pressed: AtomicBool::new(false),
            shut: AtomicBool::new(false),
            options,
            changed: Mutex::default(),
            pool: Mutex::default(),
            pool_max,
            config,
        }
    }

    /// A builder without a buffer.
    pub(crate) fn empty_builder(&self) -> BatchBuilder {
        BatchBuilder::new(self.options)
    }

    /// A builder with a used buffer, if there is one.
    pub(crate) fn pooled_builder(&self) -> Option<BatchBuilder> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Takes back a builder.
    pub(crate) fn recycle(&self, builder: BatchBuilder) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < self.pool_max {
            pool.push(builder);
        }
    }

    /// Whether the caller's thread compresses a batch that it closes. It does: compression is the dearest step, there
    /// are as many callers as the user wants, and the one I/O thread has heartbeats to send.
    pub(crate) fn compresses_early(&self) -> bool {
        self.config.compression != Compression::None && self.modern.load(Ordering::Relaxed)
    }

    /// Notes that partition `index` changed: a batch was opened, or `closed`.
    pub(crate) fn note(&self, index: Option<u32>, closed: bool) {
        if let Some(index) = index {
            self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(index);
        }
        if closed || self.config.linger.is_zero() {
            self.wake.now();
        } else if index.is_some() {
            self.wake.within_linger();
        }
    }

    /// Everything is to be sent now.
    pub(crate) fn press(&self) {
        if !self.pressed.swap(true, Ordering::SeqCst) {
            self.wake.now();
        }
    }

    /// Moves the noted partitions to `into`.
    pub(crate) fn take_changed(&self, into: &mut Vec<u32>) {
        into.append(&mut self.changed.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether there is nothing to look at. After [`Wake::sleeps`], so that no note goes unnoticed.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.pressed.load(Ordering::SeqCst)
            && self.changed.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

const AWAKE: u8 = 0;
const LINGERING: u8 = 1;
const ASLEEP: u8 = 2;

/// Wakes the sender, but only if it sleeps: a wake-up across threads costs more than many records.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: AtomicU8,
    notify: Notify,
}

impl Wake {
    /// There is something to send.
    pub(crate) fn now(&self) {
        if self.state.load(Ordering::SeqCst) != AWAKE
            && self.state.swap(AWAKE, Ordering::SeqCst) != AWAKE
        {
            self.notify.notify_one();
        }
    }

    /// There will be something to send after the linger time: no hurry if it wakes by then.
    pub(crate) fn within_linger(&self) {
        if self.state.load(Ordering::SeqCst) == ASLEEP {
            self.now();
        }
    }

    /// The sender is about to sleep; `lingering` if for no longer than the linger time.
    pub(crate) fn sleeps(&self, lingering: bool) {
        self.state.store(if lingering { LINGERING } else { ASLEEP }, Ordering::SeqCst);
    }

    /// The sender does not sleep (any more).
    pub(crate) fn is_awake(&self) {
        self.state.store(AWAKE, Ordering::SeqCst);
    }

    /// Until [`Wake::now`].
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }
}
