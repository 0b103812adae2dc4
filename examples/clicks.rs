//! Counts clicks per user: an emitter writes them, a processor counts them, a view serves the counts over HTTP.
//!
//! `cargo run --release --example clicks`, then `curl http://127.0.0.1:PORT/bob` with the port it prints. Ends by itself
//! after `--seconds`, or on Ctrl-C.

mod common;

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use clap::Parser;
use common::{Kafka, Where, stream};
use roka::{Emitter, Group, GroupGraph, Processor, Result, Stream, View, shutdown_signal};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

const CLICKS: Stream<String, Click> = Stream::json("clicks");
const USERS: Group<String, Clicks> = Group::json("clicks-per-user");
const NAMES: [&str; 6] = ["ann", "bob", "cat", "dan", "eve", "fay"];
const PARTITIONS: i32 = 6;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    place: Where,
    /// How long to run, in seconds; 0 is until Ctrl-C.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Clicks per second.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Port of the HTTP server on the loopback interface; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[derive(Serialize, Deserialize)]
struct Click {
    url: String,
}

/// A row of the group table.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
struct Clicks {
    count: u64,
    last: String,
}

/// The processor: one input, and a table with a row per user.
fn clicks_per_user() -> GroupGraph<String, Clicks> {
    let mut graph = USERS.graph();
    graph.input(CLICKS, |ctx, click| {
        ctx.update(|clicks| {
            clicks.count += 1;
            clicks.last = click.url;
        })
    });
    graph
}

#[tokio::main]
async fn main() -> Result {
    let options = Options::parse();
    let kafka = Kafka::start(&options.place)?;
    kafka.make_topics([stream("clicks", PARTITIONS)]).await?;

    let graph = clicks_per_user();
    print!("\n{graph}\n");
    let processor = Processor::new(graph, kafka.config.clone())?;
    let handle = processor.handle();
    let running = tokio::spawn(processor.run());
    if !handle.wait_ready().await {
        return Ok(running.await??);
    }

    let view = View::new(USERS.table(), &kafka.config)?;
    view.wait_ready().await?;
    let address = serve(view.clone(), options.port).await?;
    println!("serving the table at http://{address}/bob\n");

    let clicks = Emitter::new(CLICKS, &kafka.config).await?;
    let end = tokio::time::sleep(match options.seconds {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds),
    });
    tokio::select! {
        () = end => {}
        () = shutdown_signal() => println!("stopping"),
        done = click_on(&clicks, options.rate) => done?,
        () = tell(&view, || handle.stats().totals.records) => {}
    }

    clicks.finish().await?;
    handle.stop();
    running.await??;
    println!("\nthe processor committed and stopped; its table:");
    for name in NAMES {
        println!("  {name}  {:?}", view.get(name)?.unwrap_or_default());
    }
    Ok(())
}

/// Emits clicks until it is dropped.
async fn click_on(clicks: &Emitter<String, Click>, rate: u64) -> Result {
    let mut random = fastrand::Rng::with_seed(7);
    let mut every = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate.max(1))?);
    loop {
        every.tick().await;
        // Some click more than others.
        let name = NAMES[random.usize(..NAMES.len()).min(random.usize(..NAMES.len()))];
        let url = format!("/page/{}", random.u32(..100));
        clicks.emit(name, &Click { url }).await?;
    }
}

/// A line a second, until it is dropped.
async fn tell(view: &View<String, Clicks>, processed: impl Fn() -> u64) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        let count = |name| view.get(name).ok().flatten().map_or(0, |clicks| clicks.count);
        let counts: Vec<_> = NAMES.iter().map(|name| format!("{name} {}", count(name))).collect();
        println!("{:>6} clicks processed | {}", processed(), counts.join("  "));
    }
}

/// Serves rows of the view as JSON.
async fn serve(view: View<String, Clicks>, port: u16) -> Result<SocketAddr> {
    async fn row(
        State(view): State<View<String, Clicks>>,
        Path(user): Path<String>,
    ) -> Result<Json<Clicks>, (StatusCode, String)> {
        let failed = |error| (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"));
        let row = view.get(&user).map_err(failed)?;
        row.map(Json).ok_or_else(|| (StatusCode::NOT_FOUND, format!("{user} has no clicks\n")))
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/{user}", get(row)).with_state(view);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
