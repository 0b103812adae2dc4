//! Between the group and the workers: who gets which partition, and what happens when partitions come and go.
//!
//! - A partition number goes to the worker that has the fewest.
//! - A revocation is acknowledged when the partitions are committed and their stores closed, and not before; meanwhile
//!   events keep being handled, so that partitions that are lost in between are dropped at once.
//! - A failure that no waiting cures ends the processor in order: what is done is committed, stores are closed, the group
//!   is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use roka_client::{
    TopicPartition,
    group::{Group, GroupEvent},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_local,
};

use super::{
    error::ProcessorError,
    partition::Stop,
    state::State,
    worker::{Order, Shared, WorkerThread},
};

/// How often to look whether all threads are alive.
const LOOK: Duration = Duration::from_secs(1);

/// Where each partition is, for reads from outside.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    inner: Mutex<BTreeMap<i32, mpsc::Sender<Order>>>,
}

impl Routes {
    /// The worker that has the partition.
    pub(crate) fn get(&self, partition: i32) -> Option<mpsc::Sender<Order>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }

    fn set(&self, partition: i32, worker: mpsc::Sender<Order>) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, worker);
    }

    fn remove(&self, partition: i32) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    fn clear(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Runs the workers of a processor.
pub(crate) struct Control {
    shared: Shared,
    workers: Vec<WorkerThread>,
    /// Which worker has which partition, with the places of its inputs.
    assigned: BTreeMap<i32, (usize, BTreeSet<usize>)>,
    routes: Arc<Routes>,
}

impl Control {
    /// Starts the workers.
    pub(crate) fn start(shared: Shared, routes: Arc<Routes>) -> Result<Self, ProcessorError> {
        let workers = shared.config.workers.min(shared.partitions.max(1));
        let workers: Result<Vec<_>, _> =
            (0..workers).map(|number| WorkerThread::start(number, shared.clone())).collect();
        Ok(Self { shared, workers: workers?, assigned: BTreeMap::new(), routes })
    }

    /// Follows the group until the processor is to stop or fails; then stops in order.
    pub(crate) async fn run(
        mut self,
        failures: &mut mpsc::Receiver<ProcessorError>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ProcessorError> {
        let group = self.shared.group.clone();
        let mut look = tokio::time::interval(LOOK);
        let result = loop {
            tokio::select! {
                biased;
                failure = failures.recv() => {
                    // This holds a sender itself.
                    if let Some(failure) = failure {
                        break Err(failure);
                    }
                }
                // An error means that all handles are gone; the processor then runs until it fails.
                Ok(_) = stop.wait_for(|stop| *stop) => break Ok(()),
                event = group.next_event() => {
                    // None: the member has left, which only this does.
                    let Some(event) = event else { break Ok(()) };
                    if let Err(error) = self.handle(event).await {
                        break Err(error);
                    }
                }
                _ = look.tick() => {
                    if self.workers.iter().any(WorkerThread::is_finished) {
                        let reason = "ended on its own: see its panic message".to_owned();
                        break Err(ProcessorError::Thread { name: "roka-worker", reason });
                    }
                }
            }
        };
        self.shared.board.set(State::Stopping);
        self.stop_all(&group).await;
        // A failure that came up while stopping is still one.
        let late = failures.try_recv().map_or(Ok(()), Err);
        result.and(late)
    }

    async fn handle(&mut self, event: GroupEvent) -> Result<(), ProcessorError> {
        match event {
            GroupEvent::Assigned { added, .. } => self.assign(&added).await,
            GroupEvent::Revoked { partitions, ack } => {
                let done = self.give_up(&partitions, Stop::AfterRecord).await;
                // Beside the next events: losing the partitions meanwhile must be heard.
                spawn_local(async move {
                    for done in done {
                        // An error means that the worker is gone, and with it the partition.
                        let _ = done.await;
                    }
                    drop(ack);
                });
            }
            GroupEvent::Lost { partitions } => {
                tracing::warn!(
                    ?partitions,
                    "partitions were lost: what was not committed is processed by others"
                );
                for done in self.give_up(&partitions, Stop::Now).await {
                    let _ = done.await;
                }
            }
            GroupEvent::Failed(error) => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }

    /// Starts partitions. One that gets a further input begins again with all of them.
    async fn assign(&mut self, added: &[TopicPartition]) {
        let mut numbers: BTreeMap<i32, BTreeSet<usize>> = BTreeMap::new();
        for partition in added {
            let place = (0..self.shared.topology.input_count())
                .find(|&place| *self.shared.topology.input(place).topic == *partition.topic);
            if let Some(place) = place {
                numbers.entry(partition.partition).or_default().insert(place);
            }
        }
        for (number, mut places) in numbers {
            if let Some((_, before)) = self.assigned.get(&number) {
                places.extend(before);
                for done in self.stop_numbers(&[number], Stop::AfterRecord).await {
                    let _ = done.await;
                }
            }
            let worker = self.least_loaded();
            let orders = self.workers[worker].orders.clone();
            self.shared.board.set_partition(number, State::Recovering);
            self.routes.set(number, orders.clone());
            let order =
                Order::Start { partition: number, places: places.iter().copied().collect() };
            self.assigned.insert(number, (worker, places));
            // A worker that is gone is found out by the look at the threads.
            let _ = orders.send(order).await;
        }
        self.shared.board.set(State::Running);
    }

    fn least_loaded(&self) -> usize {
        let load = |worker: usize| self.assigned.values().filter(|(at, _)| *at == worker).count();
        (0..self.workers.len()).min_by_key(|&worker| load(worker)).unwrap_or(0)
    }

    /// Gives up the numbers of which anything is taken away.
    async fn give_up(
        &mut self,
        partitions: &[TopicPartition],
        how: Stop,
    ) -> Vec<oneshot::Receiver<()>> {
        let numbers: BTreeSet<i32> =
            partitions.iter().map(|partition| partition.partition).collect();
        self.stop_numbers(&numbers.into_iter().collect::<Vec<_>>(), how).await
    }

    async fn stop_numbers(&mut self, numbers: &[i32], how: Stop) -> Vec<oneshot::Receiver<()>> {
        let mut by_worker: BTreeMap<usize, Vec<i32>> = BTreeMap::new();
        for number in numbers {
            if let Some((worker, _)) = self.assigned.remove(number) {
                self.routes.remove(*number);
                by_worker.entry(worker).or_default().push(*number);
            }
        }
        let mut all = Vec::new();
        for (worker, partitions) in by_worker {
            let (done, receiver) = oneshot::channel();
            let order = Order::Stop { partitions, how, done };
            let _ = self.workers[worker].orders.send(order).await;
            all.push(receiver);
        }
        all
    }

    /// Commits and closes everything, leaves the group, ends the threads.
    async fn stop_all(mut self, group: &Group) {
        self.routes.clear();
        let numbers: Vec<i32> = self.assigned.keys().copied().collect();
        let all = self.stop_numbers(&numbers, Stop::AfterRecord).await;
        let stopped = async {
            for done in all {
                let _ = done.await;
            }
        };
        tokio::pin!(stopped);
        let mut acks = Vec::new();
        loop {
            tokio::select! {
                () = &mut stopped => break,
                event = group.next_event() => match event {
                    Some(GroupEvent::Revoked { ack, .. }) => acks.push(ack),
                    None | Some(GroupEvent::Failed(_)) => {
                        stopped.await;
                        break;
                    }
                    _ => {}
                },
            }
        }
        drop(acks);
        group.leave().await;
        for worker in self.workers {
            // A panic was printed by its thread.
            let _ = worker.join();
        }
    }
}
