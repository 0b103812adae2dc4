//! Roka as a contender of the benchmark workloads: `roka-bench WORKLOAD --name value …`.
//!
//! A run ends with one JSON object on the last line of standard output; on failure with another exit code and the reason
//! on standard error. Every workload is a file.

mod calls;
mod consume;
mod emit;
mod graphs;
mod options;
mod pauses;
mod processors;
mod produce;
mod report;
mod values;

use std::process::ExitCode;

use options::Options;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(log_filter()).init();
    let done = Options::parse(std::env::args().skip(1)).and_then(|options| run(&options));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn log_filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into())
}

fn run(options: &Options) -> Outcome {
    if options.workload == "describe" {
        println!("{}", report::describe(options));
        return Ok(());
    }
    // The main thread is the user's thread: it hands records over and takes them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let work = async {
            match options.workload.as_str() {
                "produce" => produce::run(options).await,
                "consume" => consume::run(options).await,
                "count" => processors::count(options).await,
                "enrich" => processors::enrich(options).await,
                "recover" => processors::recover(options).await,
                "emit" => emit::run(options).await,
                "calls" => calls::run(options).await,
                "latency" | "roll" => processors::flow(options).await,
                other => Err(format!("unknown workload {other:?}").into()),
            }
        };
        tokio::time::timeout(options.limit, work)
            .await
            .map_err(|_| format!("not finished after {} s", options.limit.as_secs()))?
    })
}
