//! `ingressctl serve` with a real Envoy: how soon a change is served, and how long
//! requests wait meanwhile.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ingress_tests::bench::{
    Figure, HttpVersion, Load, Notation, Pace, Report, Shape, Slice, manifests,
};
use ingress_tests::{KeepAlive, Serving, Upstream};

use crate::at_most;

const CHANGES: &str = "a change of one path, ingressctl serve";
const WAITS: &str = "the longest wait of a request, ingressctl serve";

pub(crate) fn run(size: usize, seconds: usize, report: &mut Report) {
    let upstream = Upstream::forgetful([127, 0, 0, 1].into(), "a");
    let serving = Serving::start(&manifests(Shape::Paths, size, upstream.address, Notation::Json));
    let mut edge = Changing { serving, client: None, round: 0 };
    edge.change();
    let (host, path) = Shape::Paths.route(size - 1);
    let load = Load::new(HttpVersion::Http1, &host, &path, seconds);
    let duration = Duration::from_secs(seconds as u64);

    report.begin(&format!("{CHANGES}, {size} paths"));
    let start = Instant::now();
    let changes = edge.changes(|| start.elapsed() < duration);
    report.add(Figure::median(CHANGES, "change to traffic", "no load", changes, "ms").at(size));
    let (changes, swapped) = edge.changes_under(&load, Pace::Full);
    report.add(Figure::median(CHANGES, "change to traffic", "full load", changes, "ms").at(size));

    report.begin(&format!("{WAITS}, {size} paths"));
    let mut failed = swapped.failed;
    let mut add = |series: &str, slice: &Slice, target: Option<&str>| {
        let longest = slice.longest / 1_000.0;
        let figure = Figure::new(WAITS, "longest wait", series, longest, "ms").at(size);
        report.add(figure.target(target));
        failed += slice.failed;
    };
    let target = at_most(size, "≤ 30");
    add("full load, tables swapped", &swapped, target);
    add("full load, no change", &load.begin(edge.http(), Pace::Full).end(), None);
    let (_, swapped) = edge.changes_under(&load, Pace::OneByOne);
    add("one request at a time, tables swapped", &swapped, target);
    add("one request at a time, no change", &load.begin(edge.http(), Pace::OneByOne).end(), None);
    let failed = f64::from(u32::try_from(failed).expect("a number of requests"));
    let figure = Figure::new(WAITS, "failed requests", "all of these", failed, "").at(size);
    report.add(figure.target(Some("0")));
}

/// A gateway in which one path changes again and again.
struct Changing {
    serving: Serving,
    client: Option<KeepAlive>,
    round: usize,
}

impl Changing {
    fn http(&self) -> SocketAddr {
        self.serving.http
    }

    /// Changes the path, and waits until it is served. Returns milliseconds.
    fn change(&mut self) -> f64 {
        self.round += 1;
        let path = format!("/changed-{}", self.round);
        let folder = self.serving.folder();
        // Written under a name that is not watched, then renamed: readers never see
        // a partial file.
        fs::write(folder.join("changing.new"), ingress(&path)).expect("a manifest is written");
        let start = Instant::now();
        fs::rename(folder.join("changing.new"), folder.join("changing.yaml"))
            .expect("a manifest is replaced");
        let address = self.http();
        let client = self.client.get_or_insert_with(|| KeepAlive::connect(address));
        while client.get("changing.example.com", &path).status != 200 {
            assert!(start.elapsed() < Duration::from_mins(1), "{path} is not served in time");
            std::thread::sleep(Duration::from_millis(1));
        }
        start.elapsed().as_secs_f64() * 1_000.0
    }

    /// Makes changes one after another.
    fn changes(&mut self, mut is_on: impl FnMut() -> bool) -> Vec<f64> {
        let mut times = vec![self.change()];
        while is_on() {
            times.push(self.change());
        }
        times
    }

    fn changes_under(&mut self, load: &Load, pace: Pace) -> (Vec<f64>, Slice) {
        let mut running = load.begin(self.http(), pace);
        let times = self.changes(|| running.is_on());
        (times, running.end())
    }
}

fn ingress(path: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: changing, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec:
  rules:
  - host: changing.example.com
    http:
      paths:
      - {{path: {path}, pathType: Exact, backend: {{service: {{name: s0, port: {{number: 80}}}}}}}}
"
    )
}
