//! The Proxy-Wasm module: passes Envoy's callbacks to the [`Router`], and its
//! decisions to Envoy. No other part of this crate depends on the host.
//!
//! A simple request costs three host calls: they read the path and the authority, and set
//! the header with the cluster. A rule adds one for each header that it reads or sets; a
//! host with a certificate adds one, to compare it with that of the connection. Counters
//! are kept in the module and flushed by a timer.

mod counters;
mod headers;
mod host;
mod random;
mod waiting;

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::decision::Decision;
use crate::error::LoadError;
use crate::flat::FlatTable;
use crate::headers::HeaderEdit;
use crate::names::CLUSTER_HEADER;
use crate::request::Request;
use crate::router::Router;
use crate::table::{AbortStatus, Property};
use crate::verdict::Verdict;
use counters::Counters;
use headers::RequestHeaders;
use host::Level;
use random::Random;
use waiting::{Due, Waiting};

/// How often the counters are flushed.
const FLUSH_PERIOD: Duration = Duration::from_secs(1);

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

/// One configuration of the filter on one worker.
struct Plugin {
    router: Option<Rc<Router>>,
    counters: Rc<Counters>,
    random: Rc<Random>,
    waiting: Rc<Waiting>,
}

impl Default for Plugin {
    fn default() -> Self {
        let random = Rc::new(Random::new());
        Self { router: None, counters: Rc::default(), random, waiting: Rc::default() }
    }
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_vm_start(&mut self, _: usize) -> bool {
        host::log(Level::Info, concat!("ingress_filter ", env!("CARGO_PKG_VERSION")));
        true
    }

    fn on_configure(&mut self, _: usize) -> bool {
        match load(host::plugin_configuration()) {
            Ok(router) => {
                let (paths, virtual_hosts) = router.size();
                host::log(
                    Level::Info,
                    &format!(
                        "route table {:?}: {paths} routes on {virtual_hosts} virtual hosts",
                        router.name()
                    ),
                );
                self.router = Some(Rc::new(router));
                self.counters.define();
                host::set_tick_period(FLUSH_PERIOD);
                true
            }
            Err(error) => {
                host::log(Level::Error, &format!("route table rejected: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.counters.flush();
        self.waiting.tick();
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            id,
            router: self.router.clone(),
            counters: Rc::clone(&self.counters),
            random: Rc::clone(&self.random),
            waiting: Rc::clone(&self.waiting),
            due: None,
            answers_head: false,
            response_headers: Vec::new(),
        }))
    }
}

/// The flat form is used directly. The JSON form, for a hand-written table, is encoded
/// first. That happens on a worker of Envoy, so it is only for small tables.
fn load(table: Vec<u8>) -> Result<Router, LoadError> {
    Router::from_flat(FlatTable::read(table)?)
}

impl Drop for Plugin {
    /// Counts since the last tick are lost when the configuration is replaced.
    fn drop(&mut self) {
        self.counters.flush();
    }
}

/// One request.
struct Stream {
    id: u32,
    router: Option<Rc<Router>>,
    counters: Rc<Counters>,
    random: Rc<Random>,
    waiting: Rc<Waiting>,
    /// The end of its delay, while it is delayed.
    due: Option<Due>,
    /// The changes of the upstream's response headers.
    response_headers: Vec<HeaderEdit<'static>>,
    /// Whether the filter itself has answered a HEAD request.
    answers_head: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(due) = self.due {
            self.waiting.remove(due);
        }
    }
}

impl Context for Stream {}

/// A callback that is implemented here must also be in the list of exports in
/// `config/module-linker.sh`.
impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let headers = RequestHeaders::new(&self.random);
        let decision = match &self.router {
            Some(router) => {
                if !router.is_sanitized_by_envoy() {
                    headers.remove_internal();
                }
                let decision = router.decide(&headers);
                record(router, &decision);
                if let Some(name) = decision.count_as {
                    record_count(name, decision.rule);
                }
                decision
            }
            None => Decision::without_table(),
        };
        self.counters.count(decision.outcome);
        match decision.verdict {
            Verdict::Forward(forwarding) => {
                let edits = decision.response_headers.into_iter();
                self.response_headers = edits.map(HeaderEdit::into_owned).collect();
                if forwarding.abort.is_some() {
                    self.answers_head = is_head(&headers);
                }
                for edit in &forwarding.edits {
                    let change = if edit.appends {
                        host::add_request_header
                    } else {
                        host::set_request_header
                    };
                    change(&edit.name, &edit.value);
                }
                host::set_request_header(CLUSTER_HEADER, forwarding.cluster.as_bytes());
                match (forwarding.delay, forwarding.abort) {
                    (None, None) => return Action::Continue,
                    (None, Some(status)) => abort(status),
                    (Some(ms), status) => self.due = Some(self.waiting.add(self.id, ms, status)),
                }
                Action::Pause
            }
            Verdict::Respond(status) => {
                self.answers_head = is_head(&headers);
                host::respond(status, &decision.response_headers);
                Action::Pause
            }
        }
    }

    /// Envoy adds `content-length: 0` to an empty response, but `transfer-encoding:
    /// chunked` to one for HEAD, unless that has a `content-length`.
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.answers_head {
            host::set_response_header("content-length", b"0");
        }
        for edit in &self.response_headers {
            let change =
                if edit.appends { host::add_response_header } else { host::set_response_header };
            change(&edit.name, &edit.value);
        }
        Action::Continue
    }
}

fn is_head(headers: &RequestHeaders<'_>) -> bool {
    headers.first_value(":method").as_deref() == Some(b"HEAD")
}

/// Responds to the current request without forwarding it.
fn abort(status: AbortStatus) {
    match status {
        AbortStatus::Http(status) => host::respond(status, &[]),
        AbortStatus::Grpc(status) => host::respond_grpc(status),
    }
}

/// Stores the property by which Envoy counts the request. Requests that are counted together
/// are not divided by rules, whose number has no limit here.
fn record_count(name: &str, rule: Option<&str>) {
    match rule.filter(|_| name.contains('/')) {
        None => host::set_property("count_as", name.as_bytes()),
        Some(rule) => host::set_property("count_as", format!("{name} {rule}").as_bytes()),
    }
}

/// Stores the properties that the access log shows.
fn record(router: &Router, decision: &Decision<'_>) {
    let store = |property: Property, value: &[u8]| host::set_property(property.name(), value);
    if let Verdict::Forward(forwarding) = &decision.verdict
        && router.records(Property::Fault)
        && let Some(fault) = forwarding.fault()
    {
        store(Property::Fault, fault.as_bytes());
    }
    if let Some(source) = decision.source.filter(|_| router.records(Property::IngressRoute)) {
        store(Property::IngressRoute, source.as_bytes());
    }
    if let Some(rule) = decision.rule.filter(|_| router.records(Property::RouteRule)) {
        store(Property::RouteRule, rule.as_bytes());
    }
}
