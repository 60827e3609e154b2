//! Measures the cost of a request in Envoy with this filter, compared with Envoy
//! without it and with other proxies:
//!
//! ```console
//! $ cargo build --release && cargo bench -p ingress-tests --bench envoy
//! ```
//!
//! After `--`: numbers set the number of paths or hosts, `slices=N` sets the number
//! of pairs of slices, `seconds=N` the length of a slice, `shape=paths|hosts` and
//! `http=1|2` select one variant, `only=idle,list,matcher,nginx,haproxy` selects
//! contenders, `module=PATH` adds another build of the module, and `short` runs for
//! a minute or two.
//!
//! One Envoy has a listener for each contender, all with the same connection
//! manager. This filter and a contender get slices of load in turn, and each pair
//! yields the ratio of the CPU time per request of the proxy's process: other load
//! on the machine changes slowly compared with a slice. Latencies are measured with
//! one request at a time.

mod contender;
mod haproxy;
mod listeners;
mod nginx;

use std::path::PathBuf;

use ingress_tests::bench::{
    Arguments, Figure, HttpVersion, Load, Notation, Pace, Processes, Report, Shape, Slice,
    manifests,
};
use ingress_tests::{OwnEnvoy, Upstream, compiled};
use tempfile::TempDir;

use contender::{Contender, Place};
use haproxy::Haproxy;
use nginx::Nginx;

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];

/// The name of the filter in reports.
const OURS: &str = "this filter";

fn main() {
    let arguments = Arguments::of_process();
    let mut report = Report::of("envoy", &arguments);
    let pairs = arguments.number("slices", 9, 3);
    let seconds = arguments.number("seconds", 1, 1);
    for shape in [(Shape::Paths, "paths"), (Shape::Hosts, "hosts")] {
        if arguments.option("shape").is_some_and(|only| only != shape.1) {
            continue;
        }
        for size in arguments.sizes(&SIZES) {
            let bench = Bench::start(shape.0, size, &arguments, &mut report);
            for (version, digit) in [(HttpVersion::Http1, "1"), (HttpVersion::Http2, "2")] {
                if arguments.option("http").is_none_or(|only| only == digit) {
                    bench.run(version, pairs, seconds, &mut report);
                }
            }
        }
        if arguments.is_short() {
            break;
        }
    }
}

/// All contenders, running.
struct Bench {
    shape: Shape,
    size: usize,
    ours: Place,
    others: Vec<(Contender, Place)>,
    _envoy: OwnEnvoy,
    _nginx: Option<Nginx>,
    _haproxy: Option<Haproxy>,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Bench {
    fn start(shape: Shape, size: usize, arguments: &Arguments, report: &mut Report) -> Self {
        let module = arguments.path("module");
        let contenders = contenders(shape, size, arguments, module.as_ref(), report);
        let upstream = Upstream::forgetful([127, 0, 0, 1].into(), "a");
        let folder = compiled(&manifests(shape, size, upstream.address, Notation::Json));
        listeners::add(folder.path(), shape, size, &contenders, module.as_deref());
        let envoy = OwnEnvoy::start(&folder.path().join("bootstrap.json"));
        let place = |name: &str| Place {
            addresses: [listeners::address(&envoy, name); 2],
            processes: Processes::of(envoy.pid()),
        };
        let mut others = Vec::new();
        let (mut nginx, mut haproxy) = (None, None);
        for contender in contenders {
            let place = match contender {
                Contender::Nginx => {
                    let nginx = nginx.insert(Nginx::start(shape, size, upstream.address));
                    Place::of(nginx.addresses, nginx.process.id())
                }
                Contender::Haproxy => {
                    let haproxy = haproxy.insert(Haproxy::start(shape, size, upstream.address));
                    Place::of(haproxy.addresses, haproxy.process.id())
                }
                _ => place(contender.key()),
            };
            others.push((contender, place));
        }
        Self {
            shape,
            size,
            ours: place("http"),
            others,
            _envoy: envoy,
            _nginx: nginx,
            _haproxy: haproxy,
            _upstream: upstream,
            _folder: folder,
        }
    }

    /// Compares the filter with all other contenders.
    fn run(&self, version: HttpVersion, pairs: usize, seconds: usize, report: &mut Report) {
        let group = format!("{}, {}", self.shape.name(), version.name());
        report.begin(&format!("{} {group}", self.size));
        // In a list of routes, the last one takes longest.
        let (host, path) = self.shape.route(self.size - 1);
        let load = Load::new(version, &host, &path, seconds);
        let cpu = |place: &Place| place.cpu(&load, version);
        for place in self.places() {
            cpu(place.1);
        }
        let mut of_ours = Vec::new();
        for (contender, place) in &self.others {
            let pairs: Vec<_> = (0..pairs).map(|_| (cpu(&self.ours), cpu(place))).collect();
            let ratios = pairs.iter().map(|(ours, other)| ours / other);
            let name = contender.name();
            let ratio = Figure::median(&group, "CPU, this filter / others", name, ratios, "");
            report.add(ratio.at(self.size).target(contender.target(self.shape, self.size)));
            let (ours, other): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            self.add(&group, "CPU per request", name, other, report);
            of_ours.extend(ours);
        }
        self.add(&group, "CPU per request", OURS, of_ours, report);
        for (name, place) in self.places() {
            let slice = |_| place.slice(&load, version, Pace::OneByOne);
            let slices: Vec<_> = (0..pairs.div_ceil(3)).map(slice).collect();
            let of = |time: fn(&Slice) -> f64| slices.iter().map(time).collect();
            self.add(&group, "latency, median", name, of(|slice| slice.half), report);
            self.add(&group, "latency, 99th percentile", name, of(|slice| slice.most), report);
        }
    }

    fn places(&self) -> impl Iterator<Item = (&str, &Place)> {
        let others = self.others.iter().map(|(contender, place)| (contender.name(), place));
        others.chain([(OURS, &self.ours)])
    }

    fn add(
        &self,
        group: &str,
        quantity: &str,
        series: &str,
        values: Vec<f64>,
        report: &mut Report,
    ) {
        report.add(Figure::median(group, quantity, series, values, "µs").at(self.size));
    }
}

impl Place {
    fn slice(&self, load: &Load, version: HttpVersion, pace: Pace) -> Slice {
        load.slice(self.addresses[usize::from(version == HttpVersion::Http2)], pace)
    }

    /// The CPU time per request under full load, in microseconds.
    fn cpu(&self, load: &Load, version: HttpVersion) -> f64 {
        let before = self.processes.cpu();
        let slice = self.slice(load, version, Pace::Full);
        (self.processes.cpu() - before) / slice.requests / 1_000.0
    }
}

/// The contenders that are selected and available on this machine.
fn contenders(
    shape: Shape,
    size: usize,
    arguments: &Arguments,
    module: Option<&PathBuf>,
    report: &mut Report,
) -> Vec<Contender> {
    let mut found = Vec::new();
    for contender in Contender::ALL {
        let is_on = match contender {
            Contender::OtherModule => module.is_some(),
            _ => arguments.is_on(contender.key()),
        };
        match contender.obstacle(shape, size) {
            Some(obstacle) if is_on => report.note(&obstacle),
            None if is_on => found.push(contender),
            _ => {}
        }
    }
    found
}
