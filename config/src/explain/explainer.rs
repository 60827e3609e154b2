//! The module with one route table, for many requests.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::ensure;
use ingress_filter::names::{
    CLUSTER_HEADER, INTERNAL_HEADER_PREFIX, MAX_RETRIES_HEADER, MIRROR_HEADER,
    ORIGINAL_PATH_HEADER, PER_TRY_TIMEOUT_HEADER, SCHEME_HEADER, TIMEOUT_HEADER,
};
use ingress_filter::table::{Action, Backend, Destination, Forward, Plaintext, Property};
use ingress_filter::{FlatTable, RouteTable, Router};
use proxy_wasm_test::{Options, Plugin};

use super::candidates::{self, IngressPlace, RouteIndex};
use super::connection;
use super::edge::{self, Headers, Refusal, joined};
use super::exchange::{Answer, OfflineExchange, Responder, run_exchange};
use super::reason::{Chosen, misdirected, reason, refused_by_envoy};
use super::rules::{self, Seen};
use super::{Explanation, Request, Share};
use crate::offline_module::offline_module;
use crate::settings::Settings;

/// The number of random values whose plugins are kept.
const MAX_PLUGINS: usize = 8;

/// The module with a route table, to explain many requests.
///
/// A request is an HTTP/1.1 request in origin form, without a body, on its own
/// connection. Not modelled are: HTTP/2, Envoy's limits on the size and number of
/// headers, whether the upstream responds, an empty `x-forwarded-proto` behind a trusted
/// proxy, an empty `te`, the gRPC form of Envoy's own responses, requests in a loop, and
/// what Envoy adds to the request (its address to `x-forwarded-for`, `x-request-id`,
/// `cdn-loop`, the framing of a body).
pub struct Explainer {
    table: RouteTable,
    /// The table with routes and rules named by their index.
    labelled: RouteTable,
    /// Determines natively why a route or a rule did not match, and the
    /// certificate of a host.
    router: Router,
    backends: HashMap<String, usize>,
    settings: Settings,
    /// The plugins, by their random value.
    plugins: RefCell<BTreeMap<u64, Rc<Plugin>>>,
}

impl Explainer {
    /// The module with `table`, in an Envoy configured by `settings`.
    ///
    /// # Errors
    /// If the module does not start or rejects the table.
    pub fn new(table: &RouteTable, settings: &Settings) -> anyhow::Result<Self> {
        let backends = table.backends.iter().enumerate();
        let random = table.fixed_random.unwrap_or_default();
        let labelled = RouteTable { fixed_random: Some(random), ..labelled(table) };
        let flat = FlatTable::encode(&labelled)?;
        Ok(Self {
            labelled,
            backends: backends.map(|(index, backend)| (backend.name.clone(), index)).collect(),
            table: table.clone(),
            settings: settings.clone(),
            plugins: RefCell::new(BTreeMap::from([(random, Rc::new(start(&flat)?))])),
            router: Router::from_flat(flat)?,
        })
    }

    /// The table.
    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    /// The outcome of `request`, and why other routes and rules did not match.
    ///
    /// # Errors
    /// If the module fails, which no request should cause.
    pub fn explain(&self, request: &Request) -> anyhow::Result<Explanation> {
        let headers = match edge::admit(request, &self.settings) {
            Ok(headers) => headers,
            Err(refusal) => return Ok(self.refused_by_envoy(request, refusal)),
        };
        let (mut explanation, chosen) = self.run_exchange(request, &headers)?;
        let seen = Seen { headers: &headers, client: request.client };
        if let Some(chosen) = chosen.as_ref().filter(|chosen| chosen.plaintext.is_none()) {
            let backend = (self.backends[&chosen.backend.name], chosen.backend);
            explanation.rules = rules::of(backend, chosen.rule, &self.router, seen)?;
        }
        let value = |name| joined(&headers, name).unwrap_or_default();
        let choice = chosen.map(|chosen| (chosen.place, chosen.plaintext));
        let asked = (&*value(":authority"), &*value(":path"));
        explanation.candidates = candidates::of(&self.table, &self.router, asked, choice);
        Ok(explanation)
    }

    /// Like [`Self::explain`], but without the routes and rules that did not
    /// match, which take most of the time with a large table.
    ///
    /// # Errors
    /// Like [`Self::explain`].
    pub fn decide(&self, request: &Request) -> anyhow::Result<Explanation> {
        match edge::admit(request, &self.settings) {
            Ok(headers) => Ok(self.run_exchange(request, &headers)?.0),
            Err(refusal) => Ok(self.refused_by_envoy(request, refusal)),
        }
    }

    fn refused_by_envoy(&self, request: &Request, refusal: Refusal) -> Explanation {
        let certificate = self.certificate(request).map(str::to_owned);
        Explanation { certificate, ..refused_by_envoy(request, refusal) }
    }

    /// The certificate of the connection.
    fn certificate(&self, request: &Request) -> Option<&str> {
        let is_https = request.scheme == "https";
        is_https.then(|| connection::certificate(&self.router, request.sni.as_deref()))
    }

    /// The cluster of each of `count` such requests; `None` is a response without an
    /// upstream. The module draws as it does in Envoy, but from a seed, so that the
    /// result is always the same.
    ///
    /// # Errors
    /// Same as [`Self::explain`].
    pub fn draw(
        &self,
        request: &Request,
        count: u32,
    ) -> anyhow::Result<BTreeMap<Option<String>, u32>> {
        let mut drawn = BTreeMap::new();
        let Ok(headers) = edge::admit(request, &self.settings) else {
            return Ok(BTreeMap::from([(None, count)]));
        };
        let plugin = self.start(None)?;
        for _ in 0..count {
            let exchanged = run_exchange(&plugin, request, &headers, self.certificate(request))?;
            let cluster = joined(&exchanged.request, CLUSTER_HEADER);
            let cluster = cluster.filter(|_| exchanged.answer.is_none());
            *drawn.entry(cluster).or_default() += 1;
        }
        Ok(drawn)
    }

    /// The decision of the module, with the route and rule of the table.
    fn run_exchange(
        &self,
        request: &Request,
        headers: &Headers,
    ) -> anyhow::Result<(Explanation, Option<Chosen<'_>>)> {
        let plugin = self.plugin(self.random(request.random))?;
        let certificate = self.certificate(request);
        let exchanged = run_exchange(&plugin, request, headers, certificate)?;
        let chosen = self.chosen(&exchanged);
        let told = self.told(&exchanged, headers, chosen.as_ref());
        let reason = self.misdirection(&exchanged, headers, certificate).unwrap_or(told.reason);
        let certificate = certificate.map(str::to_owned);
        Ok((Explanation { certificate, reason, ..told }, chosen))
    }

    /// The reason for a 421 of the filter.
    fn misdirection(
        &self,
        exchanged: &OfflineExchange,
        headers: &Headers,
        certificate: Option<&str>,
    ) -> Option<String> {
        let is_it = matches!(exchanged.answer?, Answer { status: 421, by: Responder::Filter, .. });
        let authority = joined(headers, ":authority").filter(|_| is_it)?;
        let own = self.router.certificate(authority.as_bytes())?;
        certificate.filter(|other| *other != own).map(|other| misdirected(other, own))
    }

    fn told(
        &self,
        exchanged: &OfflineExchange,
        headers: &Headers,
        chosen: Option<&Chosen<'_>>,
    ) -> Explanation {
        let answer = exchanged.answer;
        let forward = chosen.and_then(Chosen::forward).filter(|_| answer.is_none());
        // Without an upstream, no upstream sees the request.
        let seen = if answer.is_some() { headers } else { &exchanged.request };
        let value = |name| joined(seen, name);
        let number = |name| value(name).and_then(|value| value.parse().ok());
        let authority = joined(headers, ":authority").unwrap_or_default();
        let reason = reason(answer, chosen);
        let chosen = chosen.filter(|chosen| chosen.plaintext != Some(Plaintext::Refuse));
        Explanation {
            status: answer.map(|answer| answer.status),
            grpc_status: answer.and_then(|answer| answer.grpc_status),
            cluster: value(CLUSTER_HEADER),
            split: chosen.map(Chosen::shares).unwrap_or_default(),
            mirror: value(MIRROR_HEADER),
            host: value(":authority").unwrap_or_default(),
            path: value(":path").unwrap_or_default(),
            location: joined(&exchanged.response, "location"),
            timeout_ms: number(TIMEOUT_HEADER),
            per_try_timeout_ms: number(PER_TRY_TIMEOUT_HEADER),
            retries: value(MAX_RETRIES_HEADER).and_then(|value| value.parse().ok()),
            delay_ms: exchanged.delay(),
            websocket: forward.is_some_and(|forward| forward.websocket),
            request_headers: visible(seen),
            response_headers: visible(&exchanged.response),
            certificate: None,
            virtual_host: chosen.and_then(|chosen| self.host_of(chosen.place, &authority)),
            ingress: chosen.and_then(|chosen| IngressPlace::parse(chosen.source)),
            route_rule: chosen.and_then(Chosen::rule_name),
            reason,
            hints: Vec::new(),
            candidates: Vec::new(),
            rules: Vec::new(),
            place: chosen.map(|chosen| chosen.place),
            rule: chosen.and_then(|chosen| chosen.rule),
        }
    }

    /// The matched route and rule, by the indices that the module has recorded.
    fn chosen(&self, exchanged: &OfflineExchange) -> Option<Chosen<'_>> {
        // The route of a TRACE request is irrelevant.
        if exchanged.answer.is_some_and(|answer| answer.by == Responder::NoTrace) {
            return None;
        }
        let place = place_of(&exchanged.property("ingress_route")?)?;
        let (backend, port, source, plaintext) = match place {
            RouteIndex::Default => {
                let target = self.table.default_backend.as_ref()?;
                (&target.backend, &target.port, &target.source, target.plaintext)
            }
            RouteIndex::Route(host, route) => {
                let route = self.table.virtual_hosts.get(host)?.routes.get(route)?;
                (&route.backend, &route.port, &route.source, route.plaintext)
            }
        };
        let index = *self.backends.get(backend)?;
        let rule = exchanged.property("route_rule").and_then(|rule| rule.parse().ok());
        let backend: &Backend = self.table.backends.get(index)?;
        let plaintext = plaintext.filter(|_| !came_with_tls(exchanged)).map(|wanted| {
            // A request without a host cannot be redirected.
            let is_sent = joined(&exchanged.response, "location").is_some();
            if is_sent { wanted } else { Plaintext::Refuse }
        });
        Some(Chosen { place, source, backend, port: port.as_deref(), plaintext, rule })
    }

    /// The host of the table that matched the request.
    fn host_of(&self, place: RouteIndex, authority: &str) -> Option<String> {
        match place {
            RouteIndex::Default => Some("*".into()),
            RouteIndex::Route(..) => {
                let hosts = self.router.hosts_of(authority.as_bytes()).ok()?;
                hosts.into_iter().next().map(|(_, host)| host)
            }
        }
    }

    fn random(&self, wanted: Option<u64>) -> u64 {
        wanted.or(self.table.fixed_random).unwrap_or_default()
    }

    /// The module with the fixed random number `random`, started if necessary.
    fn plugin(&self, random: u64) -> anyhow::Result<Rc<Plugin>> {
        if let Some(plugin) = self.plugins.borrow().get(&random) {
            return Ok(Rc::clone(plugin));
        }
        let plugin = Rc::new(self.start(Some(random))?);
        let mut plugins = self.plugins.borrow_mut();
        if plugins.len() >= MAX_PLUGINS {
            plugins.clear();
        }
        plugins.insert(random, Rc::clone(&plugin));
        Ok(plugin)
    }

    fn start(&self, fixed_random: Option<u64>) -> anyhow::Result<Plugin> {
        start(&FlatTable::encode(&RouteTable { fixed_random, ..self.labelled.clone() })?)
    }
}

fn start(table: &FlatTable) -> anyhow::Result<Plugin> {
    let plugin = Plugin::with_options(offline_module()?, Options::default())?;
    let taken_in = plugin.configure(table.bytes())?;
    ensure!(taken_in, "the module rejects the route table: {:?}", plugin.activity().log);
    Ok(plugin)
}

/// The table with routes and rules named by their index, to find what the module
/// records.
fn labelled(table: &RouteTable) -> RouteTable {
    let mut table = RouteTable { record: Property::ALL.to_vec(), ..table.clone() };
    for (host, virtual_host) in table.virtual_hosts.iter_mut().enumerate() {
        for (index, route) in virtual_host.routes.iter_mut().enumerate() {
            route.source = format!("{host}.{index}");
        }
    }
    if let Some(target) = &mut table.default_backend {
        target.source = "default".into();
    }
    for backend in &mut table.backends {
        for (index, rule) in backend.rules.iter_mut().enumerate() {
            rule.name = index.to_string();
        }
    }
    table
}

/// Whether the client used TLS, according to Envoy.
fn came_with_tls(exchanged: &OfflineExchange) -> bool {
    joined(&exchanged.request, SCHEME_HEADER)
        .is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

fn place_of(label: &str) -> Option<RouteIndex> {
    match label.split_once('.') {
        None => Some(RouteIndex::Default),
        Some((host, route)) => Some(RouteIndex::Route(host.parse().ok()?, route.parse().ok()?)),
    }
}

impl Chosen<'_> {
    pub(super) fn action(&self) -> &Action {
        let rule = self.rule.and_then(|index| self.backend.rules.get(index));
        rule.map_or(&self.backend.default, |rule| &rule.action)
    }

    fn forward(&self) -> Option<&Forward> {
        match self.action() {
            Action::Forward(forward) if self.plaintext.is_none() => Some(forward),
            _ => None,
        }
    }

    /// The clusters from which one was picked.
    fn shares(&self) -> Vec<Share> {
        let Some(Forward { cluster: Destination::Split(shares), .. }) = self.forward() else {
            return Vec::new();
        };
        let share = |share: &ingress_filter::table::Share| {
            let named = share.cluster.as_deref();
            let cluster = named.and_then(|named| self.backend.cluster_at(self.port, named));
            Share { cluster: cluster.map(str::to_owned), weight: share.weight }
        };
        shares.iter().map(share).collect()
    }

    pub(super) fn rule_name(&self) -> Option<String> {
        let rule = self.backend.rules.get(self.rule?)?;
        Some(rule.name.clone()).filter(|name| !name.is_empty())
    }
}

/// The headers without those that the filter sets for Envoy.
fn visible(headers: &Headers) -> BTreeMap<String, String> {
    let is_seen = |name: &str| {
        let is_word = name.starts_with(INTERNAL_HEADER_PREFIX) || name.starts_with("x-envoy-");
        !name.starts_with(':') && (!is_word || name == ORIGINAL_PATH_HEADER)
    };
    let names = headers.iter().map(|(name, _)| name).filter(|name| is_seen(name));
    names.filter_map(|name| Some((name.clone(), joined(headers, name)?))).collect()
}
