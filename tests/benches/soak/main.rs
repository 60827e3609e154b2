//! Runs a gateway under load for any time, while objects change, certificates are
//! rotated, processes are killed and paused, and another namespace is hostile.
//! Checks that memory does not grow and that no request is lost:
//!
//! ```console
//! $ cargo build --release && cargo bench -p ingress-tests --bench soak -- minutes=40
//! ```
//!
//! After `--`: `minutes=N` sets the duration, `seed=N` repeats the turns of another
//! run, and `publish` writes figures and plots to `docs/benchmarks` instead of
//! `target/benchmarks`.
//!
//! The controller is killed from time to time in the first half, and Envoy in the
//! second half. So each process lives for half of the run, and the growth of its
//! memory is measured there, after a warm-up. All other turns happen in both
//! halves.
//!
//! The peak of resident memory that the kernel counts, read each second and before
//! each kill, is compared with the limits in `config/deploy/deployment.yaml`. The
//! kernel does not enforce these limits here: a control group needs permissions
//! that are not available on every machine, and `RLIMIT_DATA` includes the memory
//! that Envoy only reserves, 2 GiB from the start.
//!
//! The run fails if a request is lost, a change is not served in time, a process
//! ends unexpectedly, or a memory budget is missed. A request that breaks while
//! Envoy is killed is not lost, but one with a wrong response at that time is.

mod limits;
mod load;
mod plot;
mod sampler;
mod site;
mod summary;
mod turns;

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ingress_tests::bench::{Arguments, Report, folder};
use ingress_tests::{ApiServer, workspace};

use crate::limits::Limits;
use crate::load::Load;
use crate::sampler::{Sample, Sampler};
use crate::site::Site;
use crate::turns::{Half, Turns};

fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let minutes = arguments.number("minutes", 5, 5);
    let seed = arguments.number("seed", fastrand::usize(..1_000_000), 0);
    println!("{minutes} minutes, seed={seed}");
    let length = Duration::from_mins(minutes as u64);
    let limits = Limits::of_deployment();
    let run = soak(length, seed, &limits);
    report(&arguments, seed, &run, &limits)
}

/// The results of a run.
struct Seen {
    length: Duration,
    samples: Vec<Sample>,
    turns: turns::Record,
    failures: load::Failures,
    /// Failures other than those of requests.
    losses: Vec<String>,
}

fn soak(length: Duration, seed: usize, limits: &Limits) -> Seen {
    let api = ApiServer::start(&[]);
    let mut site = Site::create(&api, limits);
    let start = Instant::now();
    let load = Load::start(site.shared(), &site.client);
    let watcher = Sampler::start(site.shared(), length);
    let mut turns = Turns::new(&mut site, start, seed as u64);
    let broke = catch_unwind(AssertUnwindSafe(|| {
        while start.elapsed() < length {
            let is_first = start.elapsed() < length / 2;
            turns.take(if is_first { Half::KillsController } else { Half::KillsEnvoy });
        }
        turns.finish();
    }));
    let record = turns.into_record();
    let samples = watcher.stop();
    load.stop();
    let shared = site.shared();
    let mut losses = shared.take_losses();
    losses.extend(broke.err().map(|panic| format!("the run was aborted: {}", text_of(&*panic))));
    if !losses.is_empty() {
        eprintln!("the end of the controller's log:\n{}", tail(&site.gateway.log()));
        eprintln!("the end of Envoy's log:\n{}", tail(&site.gateway.envoy_log()));
    }
    let failures = shared.take_failures();
    Seen { length, samples, turns: record, failures, losses }
}

/// The message of a panic.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref().cloned()).unwrap_or_default()
}

/// The last lines of a log, each cut off at 300 characters.
fn tail(log: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<_> = log.lines().map(|line| line.chars().take(300).collect()).collect();
    let lines: &[String] = &lines[lines.len().saturating_sub(LINES)..];
    lines.join("\n")
}

fn report(arguments: &Arguments, seed: usize, run: &Seen, limits: &Limits) -> ExitCode {
    let folder = folder(!arguments.has("publish"));
    // Figures of another run must not be mixed with these.
    let _ = fs::remove_file(folder.join("soak.json"));
    let mut report = Report::within(&folder, "soak", arguments);
    report.note(&format!("seed={seed}"));
    summary::add(&mut report, run, limits);
    let files = plot::draw_all(run, limits, &folder);
    let samples = samples_file();
    let text = serde_json::to_string(&run.samples).expect("samples are JSON");
    fs::write(&samples, text).expect("samples are written");
    println!();
    for file in files.iter().chain([&folder.join("soak.json"), &samples]) {
        println!("{}", file.display());
    }
    let missed: Vec<_> =
        report.figures.iter().filter(|figure| figure.is_kept() == Some(false)).collect();
    if missed.is_empty() {
        println!("no request was lost, and all budgets are met");
        return ExitCode::SUCCESS;
    }
    println!("\nmissed; repeat these turns with minutes={} seed={seed}", run.length.as_secs() / 60);
    for figure in missed {
        println!("{}:{figure}", figure.group);
    }
    ExitCode::FAILURE
}

/// The samples of each second, which are too large to publish.
fn samples_file() -> PathBuf {
    let folder = workspace().join("target/benchmarks");
    fs::create_dir_all(&folder).expect("a folder for samples");
    folder.join("soak-samples.json")
}
