//! Measures the time to find the route of a path, natively, compared with other
//! matchers:
//!
//! ```console
//! $ cargo bench -p ingress-tests --bench matcher
//! ```
//!
//! After `--`: numbers set the number of paths, and `short` runs for half a minute.

mod peers;

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use ingress_tests::bench::{Arguments, Figure, Report, grouped};
use ingress_tests::workspace;
use serde_json::Value;

use peers::{Matchit, Ours, Peer, SortedList};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// The maximum number of different requests, spread over the whole table.
const REQUESTS: usize = 20_000;

fn main() {
    let arguments = Arguments::of_process();
    let mut report = Report::of("matcher", &arguments);
    let time = Duration::from_millis(if arguments.is_short() { 500 } else { 3_000 });
    let mut criterion = Criterion::default()
        .output_directory(&workspace().join("target/criterion"))
        .warm_up_time(time / 3)
        .measurement_time(time)
        .sample_size(50);
    for size in arguments.sizes(&SIZES) {
        report.begin(&format!("{} paths", grouped(size)));
        let paths: Vec<_> = (0..size).map(path).collect();
        let peers: [Box<dyn Peer>; 3] = [
            Box::new(Ours::new(&paths)),
            Box::new(Matchit::new(&paths)),
            Box::new(SortedList::new(&paths)),
        ];
        for kind in [Kind::Hit, Kind::Miss] {
            let requests = requests(size, kind);
            for peer in &peers {
                check(&**peer, &requests, kind);
                let id = measure(&mut criterion, &**peer, &requests, kind, size);
                let [low, median, high] = estimate(&id);
                let figure =
                    Figure::new(kind.name(), "time to find a route", peer.name(), median, "ns");
                report.add(Figure { range: Some([low, high]), ..figure.at(size) });
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hit,
    Miss,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Hit => "a path of the table",
            Self::Miss => "a path that is not in it",
        }
    }
}

/// The path `index` of a table.
fn path(index: usize) -> String {
    format!("/tenant-{:04}/service-{:02}", index / 100, index % 100)
}

/// Requests in an order that caches cannot predict.
fn requests(size: usize, kind: Kind) -> Vec<String> {
    let request = |round: usize| {
        // A prime that is not a divisor of any size.
        let index = round * 7_919 % size;
        match kind {
            Kind::Hit => path(index) + "/item/4711",
            Kind::Miss => {
                format!("/tenant-{:04}/nothing-{:02}/item/4711", index / 100, index % 100)
            }
        }
    };
    (0..REQUESTS.min(size)).map(request).collect()
}

/// All matchers must find the same route.
fn check(peer: &dyn Peer, requests: &[String], kind: Kind) {
    for request in requests {
        let found = peer.find(request).map(str::to_owned);
        let expected = (kind == Kind::Hit).then(|| request.replace("/item/4711", ""));
        assert_eq!(found, expected, "{} at {request}", peer.name());
    }
}

/// Measures, and reads the result that criterion has saved.
fn measure(
    criterion: &mut Criterion,
    peer: &dyn Peer,
    requests: &[String],
    kind: Kind,
    size: usize,
) -> String {
    let (group, function) = ("matcher", format!("{kind:?}-{}", peer.key()));
    let mut group_of_criterion = criterion.benchmark_group(group);
    group_of_criterion.bench_function(BenchmarkId::new(&function, size), |bencher| {
        let mut requests = requests.iter().cycle();
        bencher.iter(|| peer.find(black_box(requests.next().expect("a cycle"))).is_some());
    });
    group_of_criterion.finish();
    format!("{group}/{function}/{size}")
}

/// The median in nanoseconds, between the bounds of its 95 % confidence interval.
fn estimate(id: &str) -> [f64; 3] {
    let file = workspace().join(format!("target/criterion/{id}/new/estimates.json"));
    let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let estimates: Value = serde_json::from_slice(&text).expect("JSON");
    let median = &estimates["median"];
    let interval = &median["confidence_interval"];
    [&interval["lower_bound"], &median["point_estimate"], &interval["upper_bound"]]
        .map(|value| value.as_f64().expect("a number"))
}
