//! Samples the gateway's resources and requests each second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ingress_tests::bench::{Usage, usage};
use serde::Serialize;

use crate::load::Shared;

/// One second of a run.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Sample {
    /// Seconds since the start.
    pub(crate) at: f64,
    /// `None` while it does not run.
    pub(crate) envoy: Option<Usage>,
    pub(crate) controller: Option<Usage>,
    /// Requests in that second.
    pub(crate) answered: usize,
    pub(crate) slowest_ms: f64,
    pub(crate) excused: usize,
    pub(crate) lost: usize,
}

/// Samples until it is stopped.
pub(crate) struct Sampler {
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sample>>,
}

const INTERVAL: Duration = Duration::from_secs(1);

/// The number of samples per line of progress.
const PER_LINE: usize = 30;

impl Sampler {
    pub(crate) fn start(shared: &Arc<Shared>, length: Duration) -> Self {
        let (is_stopped, shared) = (Arc::new(AtomicBool::new(false)), Arc::clone(shared));
        let stopped = Arc::clone(&is_stopped);
        let start = Instant::now();
        let thread = thread::spawn(move || {
            let mut samples = Vec::new();
            let mut next = start;
            while !stopped.load(Ordering::Relaxed) {
                next += INTERVAL;
                thread::sleep(next.saturating_duration_since(Instant::now()));
                samples.push(sample(start, &shared));
                if samples.len().is_multiple_of(PER_LINE) {
                    print(&samples, length);
                }
            }
            samples
        });
        Self { is_stopped, thread }
    }

    pub(crate) fn stop(self) -> Vec<Sample> {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.thread.join().expect("a sampler")
    }
}

fn sample(start: Instant, shared: &Shared) -> Sample {
    let second = shared.take_second();
    Sample {
        at: start.elapsed().as_secs_f64(),
        envoy: usage_of("Envoy", &shared.envoy, shared),
        controller: usage_of("the controller", &shared.controller, shared),
        answered: second.answered,
        slowest_ms: second.slowest.as_secs_f64() * 1_000.0,
        excused: second.excused,
        lost: second.lost,
    }
}

/// The usage of a process, which must run unless it was killed.
fn usage_of(name: &str, pid: &AtomicU32, shared: &Shared) -> Option<Usage> {
    let id = pid.load(Ordering::SeqCst);
    let usage = if id == 0 { None } else { usage(id) };
    let has_ended = id != 0 && usage.is_none();
    // Reported once.
    if has_ended && pid.compare_exchange(id, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        shared.lose(format!("{name} has ended unexpectedly"));
    }
    usage
}

fn print(samples: &[Sample], length: Duration) {
    let recent = &samples[samples.len() - PER_LINE..];
    let [answered, lost] = [|it: &Sample| it.answered, |it: &Sample| it.lost]
        .map(|number| recent.iter().map(number).sum::<usize>());
    let slowest = recent.iter().map(|it| it.slowest_ms).fold(0.0, f64::max);
    let mib = |usage: Option<Usage>| usage.map_or(0.0, |usage| usage.resident_mib);
    let now = &recent[PER_LINE - 1];
    println!(
        "  {:5.1} of {} min: {} requests/s, slowest {slowest:.0} ms, {lost} lost, Envoy {:.0} MiB, \
         controller {:.0} MiB",
        now.at / 60.0,
        length.as_secs() / 60,
        answered / PER_LINE,
        mib(now.envoy),
        mib(now.controller)
    );
}
