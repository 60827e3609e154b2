//! The Envoy that runs the whole time, and its upstreams.

use std::net::IpAddr;
use std::thread;

use ingress_tests::random::file;
use ingress_tests::{Echo, Echoed, KeepAlive, Serving, wait_until};
use ingressctl::compile::compile;
use ingressctl::explain::{Explainer, Request};
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;
use serde_json::{Value, json};

use crate::outcome::Outcome;
use crate::sets::{Set, address, services_of};

/// The number of concurrent clients.
const CLIENTS: usize = 4;

/// The number of a pseudo-set: its services show which round is served.
const MARK: u8 = 255;

/// The Envoy of all rounds, with the upstreams of all sets.
pub(crate) struct Rig {
    echo: Echo,
    serving: Serving,
    settings: Settings,
    /// The services of all sets.
    services: String,
    rounds: u64,
    pub(crate) requests: u64,
    pub(crate) forwarded: u64,
}

/// A request for which Envoy and `explain` differ.
#[derive(Clone)]
pub(crate) struct Difference {
    /// The number of its set.
    pub(crate) set: u8,
    pub(crate) request: Request,
    pub(crate) observed: Outcome,
    /// All results that random choices allow.
    pub(crate) explained: Vec<Outcome>,
}

/// The results of a client.
#[derive(Default)]
struct Found {
    forwarded: u64,
    difference: Option<Difference>,
}

impl Rig {
    pub(crate) fn start(sets: u8) -> Self {
        let echo = Echo::start();
        let numbers = (0..sets).chain([MARK]);
        let services: Vec<_> = numbers.flat_map(|number| services_of(number, echo.port)).collect();
        let services = file(&services);
        let settings = Settings { regex_paths: true, ..Settings::default() };
        // With one worker, a served mark means that everything else is served, too.
        let flags = ["--concurrency", "1", "--access-log=false", "--regex-paths"];
        let serving = Serving::start_with(&services, &flags);
        Self { echo, serving, settings, services, rounds: 0, requests: 0, forwarded: 0 }
    }

    /// Serves these sets and sends all their requests. Returns the first
    /// difference.
    pub(crate) fn compare(&mut self, sets: &[Set]) -> Option<Difference> {
        let sets: Vec<_> = (0..).zip(sets).collect();
        self.compare_sets(&sets)
    }

    /// As [`Self::compare`], with only the set that has this number.
    pub(crate) fn compare_one(&mut self, number: u8, set: &Set) -> Option<Difference> {
        self.compare_sets(&[(number, set)])
    }

    fn compare_sets(&mut self, sets: &[(u8, &Set)]) -> Option<Difference> {
        let manifests = self.serve(sets);
        let compiled = compile(&read_text("manifests.yaml", &manifests), &self.settings);
        let table = &compiled.gateway.table;
        let requests = sets
            .iter()
            .flat_map(|(number, set)| set.requests.iter().map(|request| (*number, request)));
        let requests: Vec<_> = requests.collect();
        let share = requests.len().div_ceil(CLIENTS).max(1);
        let (address, settings) = (self.serving.http, &self.settings);
        let found = thread::scope(|scope| {
            let clients = requests.chunks(share).map(|requests| {
                scope.spawn(move || {
                    let explainer = Explainer::new(table, settings).expect("the module runs");
                    let mut client = KeepAlive::connect(address);
                    ask(&explainer, &mut client, requests)
                })
            });
            let clients: Vec<_> = clients.collect();
            let found = clients.into_iter().map(|client| client.join().expect("no panic"));
            found.collect::<Vec<_>>()
        });
        self.requests += u64::try_from(requests.len()).unwrap_or_default();
        self.forwarded += found.iter().map(|found| found.forwarded).sum::<u64>();
        found.into_iter().find_map(|found| found.difference)
    }

    /// Serves these sets, and waits until they are served. Returns the manifests.
    fn serve(&mut self, sets: &[(u8, &Set)]) -> String {
        self.rounds += 1;
        let service = if self.rounds.is_multiple_of(2) { "one" } else { "two" };
        let host = format!("round-{}.mark.example", self.rounds);
        let objects = sets.iter().flat_map(|(_, set)| &set.objects);
        let manifests = self.services.clone() + &file(objects) + &file([&mark(&host, service)]);
        self.serving.replace(&manifests);
        let marks: [IpAddr; 2] =
            [1, 2].map(|version| address(MARK, service, version, self.echo.port).ip());
        wait_until("the next round is served", || {
            let answer = self.serving.get(&host, "/");
            Echoed::of(&answer).is_some_and(|echoed| marks.contains(&echoed.at.ip()))
        });
        manifests
    }
}

/// The objects that are served in one round only.
fn mark(host: &str, service: &str) -> Value {
    let backend =
        json!({"service": {"name": format!("s{MARK}-{service}"), "port": {"number": 80}}});
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "mark", "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"rules": [{"host": host, "http": {"paths": [
            {"path": "/", "pathType": "Exact", "backend": backend},
        ]}}]},
    })
}

fn ask(explainer: &Explainer, client: &mut KeepAlive, requests: &[(u8, &Request)]) -> Found {
    let mut found = Found::default();
    for (set, request) in requests {
        let observed = Outcome::observed(client, request);
        found.forwarded += u64::from(observed.is_forwarded());
        if let Some(explained) = observed.difference(explainer, request) {
            let request = (*request).clone();
            found.difference = Some(Difference { set: *set, request, observed, explained });
            break;
        }
    }
    found
}
