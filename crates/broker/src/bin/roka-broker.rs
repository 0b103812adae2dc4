//! Serves an embedded cluster by itself, until SIGINT or SIGTERM.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use roka_broker::Cluster;

/// A Kafka-compatible cluster in one process, for development, tests and small single-machine use.
#[derive(Debug, Parser)]
#[command(name = "roka-broker", version)]
struct Arguments {
    /// How many nodes.
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// Keeps topics and records in this folder; without it they are gone at the end.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The port of the first node, the others follow; 0 takes any that are free.
    #[arg(long, visible_alias = "port", default_value_t = 9092)]
    base_port: u16,
    /// A broker setting by Kafka's name, NAME=VALUE; may be given again.
    #[arg(long, value_parser = setting)]
    config: Vec<(String, String)>,
    /// The version of the transaction protocol that clients shall use: 0, 1 or 2 (KIP-890).
    #[arg(long, default_value_t = 2)]
    transaction_version: i16,
    /// Puts each node into a rack of its own.
    #[arg(long)]
    racks: bool,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not of the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roka-broker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Cluster::builder().nodes(arguments.nodes).base_port(arguments.base_port);
    builder = builder.transaction_version(arguments.transaction_version);
    if let Some(path) = arguments.data_dir {
        builder = builder.data_dir(path);
    }
    if arguments.racks {
        builder = builder.racks();
    }
    for (name, value) in arguments.config {
        builder = builder.config(name, value);
    }
    // Before the addresses are printed: who reads them may send a signal at once.
    let terminated = terminated()?;
    let cluster = builder.start().await?;
    println!("{}", cluster.bootstrap());
    terminated.await;
    cluster.shutdown();
    Ok(())
}

/// Listens for SIGTERM and SIGINT from now on; the future ends with the first.
#[cfg(unix)]
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn terminated() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
