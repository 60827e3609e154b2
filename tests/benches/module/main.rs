//! Measures the cost of a request inside the module, for each kind of route and
//! rule:
//!
//! ```console
//! $ cargo bench -p ingress-tests --bench module
//! ```
//!
//! After `--`, numbers set the number of paths. The figures are the same on every
//! machine: instructions are wasmtime's fuel.

mod cases;

use ingress_tests::bench::{Arguments, Figure, Report, grouped};
use ingress_tests::{Offline, configuration};
use proxy_wasm_test::{ExchangeRecord, Message, Outcome, Plugin};

use cases::{Case, cases, table};

const GROUP: &str = "a request in the module";

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];

/// The number of requests of a case during which the VM's memory must not grow.
const REQUESTS: usize = 1_000;

fn main() {
    let arguments = Arguments::of_process();
    let mut report = Report::of("module", &arguments);
    let sizes = arguments.sizes(&SIZES);
    let mut at_first = Vec::new();
    for size in &sizes {
        report.begin(&format!("{size} paths"));
        let plugins = [false, true].map(|has_default| plugin(*size, has_default));
        for (index, case) in cases(*size).iter().enumerate() {
            let plugin = &plugins[usize::from(case.needs_default_backend)];
            let record = case.settled(plugin);
            let instructions = whole(record.activity.fuel_used());
            if at_first.len() == index {
                at_first.push(instructions);
            }
            let flat = (*size != sizes[0]).then(|| format!("≤ {}", grouped(at_first[index] * 1.1)));
            let mut add = |quantity: &str, value: f64, unit: &str, target: Option<&str>| {
                let figure = Figure::new(GROUP, quantity, case.name, value, unit);
                report.add(figure.at(*size).target(target));
            };
            add("instructions", instructions, "", flat.as_deref());
            let calls = record.activity.host_calls.len();
            add("host calls", whole(calls as u64), "", case.host_calls);
            add("memory growth in 1,000 requests", growth(plugin, case), "KiB", Some("0"));
        }
    }
}

/// The module with the table of this size.
fn plugin(size: usize, has_default: bool) -> Plugin {
    let plugin = Plugin::new(Offline::module()).expect("the module starts");
    let configuration = configuration(&table(size, has_default));
    assert!(plugin.configure(configuration).expect("no trap"), "{:?}", plugin.activity());
    plugin
}

/// The growth of the VM's memory.
fn growth(plugin: &Plugin, case: &Case) -> f64 {
    let before = plugin.memory_size();
    for _ in 0..REQUESTS {
        case.run(plugin);
    }
    whole((plugin.memory_size() - before) as u64) / 1_024.0
}

#[expect(clippy::cast_precision_loss, reason = "figures have three digits")]
fn whole(count: u64) -> f64 {
    count as f64
}

impl Case {
    /// The effect of a request, from the second one on: the module's state between
    /// requests already exists.
    fn settled(&self, plugin: &Plugin) -> ExchangeRecord {
        self.run(plugin);
        let record = self.run(plugin);
        let status = record.local_reply.as_ref().map(|reply| reply.status);
        assert_eq!(status, self.status, "{}: {record:?}", self.name);
        record
    }

    fn run(&self, plugin: &Plugin) -> ExchangeRecord {
        let mut exchange = plugin.exchange().expect("no trap");
        if let Some(chain) = self.filter_chain {
            exchange.set_property(&["xds", "filter_chain_name"], chain);
        }
        let outcome = exchange.request(Message::new(self.headers())).expect("no trap");
        // Otherwise it is delayed by a fault, or answered.
        if outcome == Outcome::Continue {
            exchange.response([(":status", "200")]).expect("no trap");
        }
        exchange.finish().expect("no trap")
    }
}
