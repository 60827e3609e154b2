//! The figures of a run.

use std::time::Duration;

use ingress_tests::bench::{Figure, Report, Usage, grouped};

use crate::Seen;
use crate::limits::Limits;
use crate::sampler::Sample;
use crate::turns::Mark;

/// The first part of a process's life, in which its memory may still grow.
const WARM_UP: f64 = 0.2;

/// The minimum time, in seconds, for judging growth: hostile objects come and go,
/// and their temporary memory is not growth.
const LONG: f64 = 600.0;

/// The maximum growth of memory per hour. In a day that would be at most half of
/// Envoy's limit, and it is the smallest growth that is visible among the
/// variations of 16 minutes.
const MOST_GROWTH: &str = "≤ 20";

pub(crate) fn add(report: &mut Report, seen: &Seen, limits: &Limits) {
    add_memory(report, seen, limits);
    add_requests(report, seen);
    add_changes(report, seen);
}

/// A process, and the part of the run in which its memory is measured.
struct Life<'a> {
    name: &'a str,
    limit: u32,
    of: fn(&Sample) -> Option<Usage>,
    samples: &'a [Sample],
    kills: &'a [Mark],
}

fn add_memory(report: &mut Report, seen: &Seen, limits: &Limits) {
    let half = seen.samples.partition_point(|it| it.at < seen.length.as_secs_f64() / 2.0);
    let (first, second) = seen.samples.split_at(half);
    report.begin("memory");
    let envoy = Life {
        name: "Envoy",
        limit: limits.envoy,
        of: |sample| sample.envoy,
        samples: first,
        kills: &seen.turns.envoy_kills,
    };
    add_life(report, &envoy, &seen.samples);
    let controller = Life {
        name: "the controller",
        limit: limits.controller,
        of: |sample| sample.controller,
        samples: second,
        kills: &seen.turns.controller_kills,
    };
    add_life(report, &controller, &seen.samples);
}

fn add_life(report: &mut Report, life: &Life<'_>, all: &[Sample]) {
    let Life { name, limit, of, samples, kills } = life;
    let figure = |quantity, value, unit| Figure::new("memory", quantity, name, value, unit);
    let peaks = all.iter().filter_map(of).map(|usage| usage.peak_mib);
    let peak = peaks.chain(kills.iter().map(|kill| kill.peak_mib)).fold(0.0, f64::max);
    let limit = format!("≤ {}", grouped(limit));
    report.add(figure("peak of resident memory", peak, "MiB").target(Some(&limit)));
    let points = points(samples, *of);
    let Some(((from, _), (to, _))) = points.first().zip(points.last()) else { return };
    let minute = |is_in: &dyn Fn(f64) -> bool| {
        let values = points.iter().filter(|(at, _)| is_in(*at)).map(|(_, mib)| *mib);
        Figure::median("", "", "", values, "").value
    };
    let (start, end) = (minute(&|at| at < from + 60.0), minute(&|at| at > to - 60.0));
    report.add(figure("resident after warm-up", start, "MiB"));
    report.add(figure("resident at the end", end, "MiB"));
    report.add(figure("measured for", (to - from) / 60.0, "minutes"));
    let is_judged = to - from >= LONG;
    let growth = figure("growth", slope(&points) * 3_600.0, "MiB/hour");
    report.add(growth.target(is_judged.then_some(MOST_GROWTH)));
    if !is_judged {
        report.note(&format!("growth of {name} is judged from minutes=25 on"));
    }
}

/// Seconds and MiB, after the warm-up.
fn points(samples: &[Sample], of: fn(&Sample) -> Option<Usage>) -> Vec<(f64, f64)> {
    let Some((first, last)) = samples.first().zip(samples.last()) else { return Vec::new() };
    let warm = first.at + (last.at - first.at) * WARM_UP;
    let points = samples.iter().filter(|it| it.at >= warm);
    points.filter_map(|it| Some((it.at, of(it)?.resident_mib))).collect()
}

/// The slope of the line with the least squared distance from all points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = count(points.len()).max(1.0);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

fn add_requests(report: &mut Report, seen: &Seen) {
    const GROUP: &str = "requests";
    report.begin(GROUP);
    let sum = |of: fn(&Sample) -> usize| count(seen.samples.iter().map(of).sum());
    let all = |quantity, value, unit| Figure::new(GROUP, quantity, "all", value, unit);
    report.add(all("answered rightly", sum(|it| it.answered), ""));
    let seconds: Vec<_> = seen.samples.iter().filter(|it| it.answered > 0).collect();
    if !seconds.is_empty() {
        let rates = seconds.iter().map(|it| count(it.answered));
        report.add(Figure::median(GROUP, "in a second", "all", rates, ""));
        let slowest = seconds.iter().map(|it| it.slowest_ms);
        report.add(Figure::median(GROUP, "slowest of a second", "all", slowest.clone(), "ms"));
        report.add(all("slowest of all", slowest.fold(0.0, f64::max), "ms"));
    }
    for ((what, is_excused), times) in &seen.failures {
        let quantity = if *is_excused { "failed while Envoy was killed" } else { "lost" };
        report.add(Figure::new(GROUP, quantity, what, count(*times), ""));
    }
    let lost: usize = seen.failures.iter().filter(|((_, ok), _)| !ok).map(|(_, times)| times).sum();
    report.add(all("lost", count(lost), "").target(Some("≤ 0")));
}

fn add_changes(report: &mut Report, seen: &Seen) {
    const GROUP: &str = "changes";
    report.begin(GROUP);
    for (kind, times) in &seen.turns.times {
        let mut times: Vec<_> = times.iter().map(Duration::as_secs_f64).collect();
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100] * 1_000.0;
        let figure = |quantity, value, unit| Figure::new(GROUP, quantity, kind, value, unit);
        report.add(figure("how many", count(times.len()), ""));
        report.add(figure("until served, median", at(50), "ms"));
        report.add(figure("until served, 99th percentile", at(99), "ms"));
    }
    let record = &seen.turns;
    let events = [
        ("hostile objects", record.hostile),
        ("pauses of the controller", record.pauses),
        ("kills of the controller", record.controller_kills.len()),
        ("kills of Envoy", record.envoy_kills.len()),
    ];
    for (name, times) in events {
        report.add(Figure::new(GROUP, "how many", name, count(times), ""));
    }
    for loss in &seen.losses {
        report.note(loss);
    }
    let losses = Figure::new(GROUP, "lost", "all", count(seen.losses.len()), "");
    report.add(losses.target(Some("≤ 0")));
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
