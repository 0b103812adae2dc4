//! A broker that hangs keeps its connections open and says nothing. It is not waited for once another is the one to ask.
//!
//! Rules:
//! - A request without an answer after [`LATE`] is a reason to ask who must answer, every [`LATE`] again, beside waiting
//!   for the answer: a slow broker costs questions, not its answer.
//! - Only when another broker has taken over is the request given up and made there. What the first one may still say is
//!   dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::coordinator::CoordinatorKind;
use crate::core::Core;
use crate::metadata::Why;
use crate::router::Target;
use crate::{Metadata, NodeId, TopicPartition};

/// An answer that takes longer than it may by so much is late.
pub(crate) const LATE: Duration = Duration::from_secs(2);

impl Core {
    /// Ends when another broker than `node` is the one to ask, but not before the answer is late. `leader_epoch` is that
    /// of the leadership meant, if a leader is.
    pub(crate) async fn replaced(
        self: &Arc<Self>,
        target: &Target,
        node: NodeId,
        leader_epoch: i32,
    ) {
        match target {
            Target::Coordinator(kind, key) => self.coordinator_replaced(*kind, key, node).await,
            Target::Leader(topic, partition) => {
                let at = TopicPartition::new(topic.clone(), *partition);
                self.leader_replaced(&[(at, leader_epoch)], node).await;
            }
            // Every broker passes requests to the controller on, and metadata names another one each time; where any will
            // do, the caller has tried the others. So it must be gone.
            Target::Any | Target::Controller => {
                self.metadata_says(|metadata| {
                    node.as_seed().is_none()
                        && !metadata.brokers.is_empty()
                        && !metadata.brokers.contains_key(&node)
                })
                .await;
            }
            Target::Node(_) => std::future::pending().await,
        }
    }

    /// Ends when one of the partitions is led by another broker than `node`, or anew; each with the epoch meant.
    pub(crate) async fn leader_replaced(&self, led: &[(TopicPartition, i32)], node: NodeId) {
        self.metadata_says(|metadata| {
            led.iter().any(|(at, epoch)| {
                let leader = metadata.leader(&at.topic, at.partition);
                leader.is_some_and(|leader| leader != (node, *epoch))
            })
        })
        .await;
    }

    /// Ends when another broker than `node` coordinates `key`.
    pub(crate) async fn coordinator_replaced(
        self: &Arc<Self>,
        kind: CoordinatorKind,
        key: &str,
        node: NodeId,
    ) {
        loop {
            sleep(LATE).await;
            self.forget_coordinator(kind, key, node);
            match self.coordinator(kind, key).await {
                Ok(current) if current != node => return,
                _ => {}
            }
        }
    }

    async fn metadata_says(&self, over: impl Fn(&Metadata) -> bool) {
        let mut changes = self.metadata_changed();
        sleep(LATE).await;
        loop {
            self.request_refresh(self.metadata().generation, Why::Unreachable);
            let said = timeout(LATE, async {
                changes.wait_for(|metadata| over(metadata)).await.map(drop)
            });
            match said.await {
                Ok(Ok(())) => return,
                // The client is gone: whoever waits for the answer learns it there.
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => {}
            }
        }
    }
}
