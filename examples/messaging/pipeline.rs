//! The processors of the service, all in this process. They could as well be five programs on five machines.

use roka::{Config, GroupGraph, Processor, ProcessorError, Result};
use tokio::{sync::oneshot, task::JoinHandle, try_join};

use crate::{blocker, collector, detector, filter, translator};

pub struct Pipeline {
    /// In the order in which messages pass through.
    processors: [Running; 5],
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ProcessorError>>,
}

impl Pipeline {
    /// Starts all processors, and waits until they have their partitions and their tables.
    pub async fn start(config: &Config) -> Result<Self> {
        let (detector, blocker, translator, filter, collector) = try_join!(
            start(detector::graph(), config),
            start(blocker::graph(), config),
            start(translator::graph(), config),
            start(filter::graph(), config),
            start(collector::graph(), config),
        )?;
        Ok(Self { processors: [detector, blocker, translator, filter, collector] })
    }

    /// Whether a processor has ended by itself: [`stop`](Self::stop) tells why.
    pub fn is_broken(&self) -> bool {
        self.processors.iter().any(|running| running.task.is_finished())
    }

    /// Stops one processor after the other. Each commits what it has done and leaves its group.
    pub async fn stop(self) -> Result {
        for Running { stop, task } in self.processors {
            drop(stop);
            task.await??;
        }
        Ok(())
    }
}

async fn start<V: 'static>(graph: GroupGraph<String, V>, config: &Config) -> Result<Running> {
    let processor = Processor::new(graph, config.clone())?;
    let handle = processor.handle();
    let (stop, stopped) = oneshot::channel();
    // A signal would stop all processors at once. This one waits until `stop` is dropped.
    let task = tokio::spawn(processor.run_until(async {
        let _ = stopped.await;
    }));
    if !handle.wait_ready().await {
        task.await??;
        return Err("the processor was stopped before it was ready".into());
    }
    Ok(Running { stop, task })
}
