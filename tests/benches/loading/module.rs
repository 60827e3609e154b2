//! The module loads a table, in the test host.

use std::time::Instant;

use ingress_filter::RouteTable;
use ingress_tests::bench::{Figure, Notation, Report, Shape, manifests};
use ingress_tests::configuration;
use ingressctl::compile::compile;
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;
use proxy_wasm_test::{Module, Optimization, Plugin};

use crate::at_most;

const GROUP: &str = "the module in the thin host";

pub(crate) fn run(sizes: &[usize], rounds: usize, report: &mut Report) {
    let module = Module::with_optimization(ingressctl::MODULE, Optimization::Speed);
    let module = module.expect("a Proxy-Wasm module");
    for size in sizes.iter().copied() {
        report.begin(&format!("{GROUP}, {size} paths"));
        let configuration = configuration(&table(size));
        let mut add = |figure: Figure, target: &'static str| {
            let target = (!target.is_empty()).then_some(target);
            report.add(figure.at(size).target(target));
        };
        let of = |quantity: &str, series: &str, value: f64, unit: &str| {
            Figure::new(GROUP, quantity, series, value, unit)
        };
        let bytes = number(configuration.len());
        let each = bytes / number(size);
        add(of("configuration per path", "the table", each, "bytes"), "");
        let loads = (0..rounds).map(|_| load(&module, &configuration).1);
        let loads = Figure::median(GROUP, "load", "the table", loads, "ms");
        add(loads, at_most(size, "≤ 15").unwrap_or_default());
        let millions = fuel(&module, &configuration) / 1_000_000.0;
        add(of("instructions to load", "the table", millions, "million"), "");
        let [one, two] = memory(&module, &configuration);
        let target = at_most(size, "≤ 32").unwrap_or_default();
        add(of("VM memory", "one table", one, "MiB"), target);
        add(of("VM memory", "two tables, while the first serves on", two, "MiB"), "");
    }
}

fn table(size: usize) -> RouteTable {
    let upstream = ([127, 0, 0, 1], 80).into();
    let manifests = manifests(Shape::Paths, size, upstream, Notation::Json);
    let compiled = compile(&read_text("manifests.yaml", &manifests), &Settings::default());
    (**compiled.gateway.table).clone()
}

/// A plugin that has loaded this configuration, and the duration in milliseconds.
fn load(module: &Module, configuration: &[u8]) -> (Plugin, f64) {
    let plugin = Plugin::new(module).expect("the module starts");
    let start = Instant::now();
    assert!(plugin.configure(configuration).expect("no trap"), "the table is rejected");
    let took = start.elapsed();
    (plugin, took.as_secs_f64() * 1_000.0)
}

fn fuel(module: &Module, configuration: &[u8]) -> f64 {
    let activity = load(module, configuration).0.activity();
    let fuel = activity.fuel_of("proxy_on_configure");
    number(usize::try_from(fuel).expect("64 bits"))
}

/// The memory of the VM with one table, and with a second one that is loaded while
/// a request uses the first, in MiB.
fn memory(module: &Module, configuration: &[u8]) -> [f64; 2] {
    let (plugin, _) = load(module, configuration);
    let one = plugin.memory_size();
    let exchange = plugin.exchange().expect("no trap");
    assert!(plugin.reload(configuration).expect("no trap"), "the table is rejected");
    let two = plugin.memory_size();
    exchange.finish().expect("no trap");
    [one, two].map(|bytes| number(bytes) / f64::from(1 << 20))
}

#[expect(clippy::cast_precision_loss, reason = "figures have three digits")]
fn number(count: usize) -> f64 {
    count as f64
}
