//! What happens to a request, and why: the real module decides, offline, and
//! every route that could have served the request says why it does not.

mod candidates;
mod edge;
mod path;
mod request;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use anyhow::{Context, ensure};
use host_test::{ExchangeRecord, Module, Plugin};
use ingress_filter::{CLUSTER_HEADER, RouteTable};
use serde::Serialize;

pub use candidates::{Candidate, IngressPlace};
use edge::Refusal;
pub use request::Request;

use crate::settings::Settings;

/// What happens to a request. Times are in milliseconds.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The status, where the request is answered without an upstream.
    pub status: Option<u16>,
    /// The cluster it goes to.
    pub cluster: Option<String>,
    /// The host that the upstream sees.
    pub host: String,
    /// The path and query that the upstream sees.
    pub path: String,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// How long the upstream may take.
    pub timeout_ms: Option<u64>,
    /// How often the request is tried again.
    pub retries: Option<u32>,
    /// The headers that the upstream sees, but for those that Envoy itself
    /// adds. Repeated ones are joined with `,`.
    pub request_headers: BTreeMap<String, String>,
    /// The path of the Ingress that serves the request.
    pub ingress: Option<IngressPlace>,
    /// The RouteRule that decides, as `namespace/name`.
    pub route_rule: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// Every route of the table, and what became of it.
    pub candidates: Vec<Candidate>,
}

/// Runs the module with `table` on `request`, as it runs in an Envoy with our
/// configuration, and does what that Envoy does before and after.
///
/// The request is one of HTTP/1.1 with a target of its own, without a body, on
/// a connection of its own. Not modelled are: HTTP/2, Envoy's limits to the
/// size and number of headers, whether the upstream answers, an empty
/// `x-forwarded-proto` behind a trusted proxy, an empty `te`, and what Envoy
/// itself adds to the request (its address to `x-forwarded-for`,
/// `x-request-id`, the framing of a body).
///
/// # Errors
/// Where the module does not run, which no table or request should cause.
pub fn explain(
    table: &RouteTable,
    settings: &Settings,
    request: &Request,
) -> anyhow::Result<Explanation> {
    let mut headers = match edge::admit(request, settings.trusted_hops) {
        Ok(headers) => headers,
        Err(refusal) => return Ok(refused_by_envoy(request, refusal)),
    };
    let record = run_module(table, &headers)?;
    // Where the module lets TRACE through, Envoy's route refuses it.
    let is_trace = request.method == "TRACE";
    let status = match &record.local_reply {
        Some(reply) => Some(u16::try_from(reply.status)?),
        None => is_trace.then_some(405),
    };
    if status.is_none() {
        headers = text_of(&record);
    }
    let value_of =
        |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let property = |name: &str| {
        let value = record.property(&[name]).filter(|_| !is_trace);
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let source = property("ingress_route");
    let (authority, target) =
        (value_of(":authority").unwrap_or_default(), value_of(":path").unwrap_or_default());
    let candidates = candidates::of(table, &authority, &target, source.as_deref());
    Ok(Explanation {
        status,
        cluster: value_of(CLUSTER_HEADER),
        reason: reason(status, source.as_deref(), is_trace),
        location: None,
        timeout_ms: None,
        retries: None,
        request_headers: visible(&headers),
        ingress: source.as_deref().and_then(IngressPlace::parse),
        route_rule: property("route_rule"),
        host: authority,
        path: target,
        candidates,
    })
}

/// Gives the module its table and one request.
fn run_module(table: &RouteTable, headers: &[(String, String)]) -> anyhow::Result<ExchangeRecord> {
    // The properties are how the module says which route it took.
    let table = RouteTable { record_source: true, ..table.clone() };
    let plugin = Plugin::new(module()?)?;
    let taken_in = plugin.configure(serde_json::to_vec(&table)?)?;
    ensure!(taken_in, "the module refuses the route table: {:?}", plugin.activity().log);
    let mut exchange = plugin.exchange()?;
    exchange.request_headers(headers.to_vec(), true)?;
    Ok(exchange.finish()?)
}

/// The module, compiled once: that takes longer than anything else here.
fn module() -> anyhow::Result<&'static Module> {
    static MODULE: OnceLock<Module> = OnceLock::new();
    if let Some(module) = MODULE.get() {
        return Ok(module);
    }
    let module = Module::new(crate::MODULE).context("the module inside this program is broken")?;
    Ok(MODULE.get_or_init(|| module))
}

fn text_of(record: &ExchangeRecord) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    record.request.headers.iter().map(|(name, value)| (text(name), text(value))).collect()
}

/// What of the headers reaches an upstream as a header.
fn visible(headers: &[(String, String)]) -> BTreeMap<String, String> {
    let mut visible: BTreeMap<_, String> = BTreeMap::new();
    for (name, value) in
        headers.iter().filter(|(name, _)| !name.starts_with(':') && name != CLUSTER_HEADER)
    {
        visible
            .entry(name.clone())
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    visible
}

fn reason(status: Option<u16>, source: Option<&str>, is_trace: bool) -> String {
    match (status, source) {
        (None, Some(source)) => format!("served by {source}"),
        (None, None) => "a route serves it".into(),
        _ if is_trace => "TRACE is refused on every path".into(),
        (Some(status), Some(source)) => {
            format!("{source} has no backend that could serve it, so it answers {status}")
        }
        (Some(404), None) => {
            "no route serves this host and path, and there is no default backend".into()
        }
        (Some(status), None) => format!("the filter answers {status}"),
    }
}

fn refused_by_envoy(request: &Request, refusal: Refusal) -> Explanation {
    Explanation {
        status: Some(refusal.status),
        cluster: None,
        host: request.authority.clone(),
        path: request.target.clone(),
        location: None,
        timeout_ms: None,
        retries: None,
        request_headers: BTreeMap::new(),
        ingress: None,
        route_rule: None,
        reason: format!("Envoy refuses it before the filter: {refusal}"),
        candidates: Vec::new(),
    }
}
