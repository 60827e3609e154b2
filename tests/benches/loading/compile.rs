//! `ingressctl compile`: from files to files.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ingress_tests::bench::{Figure, Notation, Report, Shape, manifests, memory_peak};
use ingress_tests::ingressctl;

use crate::at_most;

const GROUP: &str = "ingressctl compile";

pub(crate) fn run(size: usize, rounds: usize, report: &mut Report) {
    report.begin(&format!("{GROUP}, {size} paths"));
    for (notation, name) in [(Notation::Yaml, "YAML"), (Notation::Json, "JSON")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = folder.path().join("manifests.yaml");
        let upstream = ([127, 0, 0, 1], 80).into();
        fs::write(&source, manifests(Shape::Paths, size, upstream, notation))
            .expect("manifests are written");
        let runs: Vec<_> = (0..rounds).map(|_| compile(&source)).collect();
        let times = runs.iter().map(|(time, _)| time.as_secs_f64() * 1_000.0);
        let time = Figure::median(GROUP, "time", name, times, "ms").at(size);
        report.add(time.target(at_most(size, "≤ 1,000")));
        let peaks = runs.iter().map(|(_, peak)| *peak);
        let peak = Figure::median(GROUP, "peak memory", name, peaks, "MiB").at(size);
        report.add(peak.target(at_most(size, "≤ 512")));
    }
}

/// Its duration, and its peak memory in MiB.
fn compile(source: &Path) -> (Duration, f64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = Instant::now();
    let mut child = Command::new(ingressctl())
        .args(["compile", "-f"])
        .arg(source)
        .arg("-o")
        .arg(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .expect("ingressctl runs");
    let mut peak = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        peak = memory_peak(child.id()).unwrap_or(peak);
        thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success(), "ingressctl compile failed");
    (start.elapsed(), peak)
}
