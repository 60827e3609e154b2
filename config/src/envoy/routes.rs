//! Envoy's routes (RDS): a few, independent of the manifests. They forward each
//! request that the filter accepts to the cluster that it selected.

#[cfg(test)]
mod tests;
mod waiting;

use std::collections::BTreeSet;

use ingress_filter::names::{CLUSTER_HEADER, MIRROR_HEADER, SESSION_HEADER, WEBSOCKET_HEADER};
use ingress_filter::table::{Action, Backend, Forward, RouteTable};
use prost::{Message, Oneof};
use serde::Serialize;

use super::ROUTE_CONFIGURATION;
use super::core::{HeaderValueOption, StringMatcher};
use super::matcher::{Matcher, OnMatch};
use super::message::{Duration, Extension, Socket, is_unset, number_as_text, typed};
use crate::settings::TimeLimit;
use waiting::LongWait;

/// The headers from the filter to Envoy that must not reach upstreams. The router itself
/// removes those that it uses. That of the session is needed later, to select an endpoint,
/// so clusters remove it.
const HEADERS_TO_REMOVE: [&str; 3] = [CLUSTER_HEADER, MIRROR_HEADER, WEBSOCKET_HEADER];

/// The header to which each proxy adds its name (RFC 8586), and the name of this gateway.
const LOOP_HEADER: &str = "cdn-loop";
const LOOP_NAME: &str = "ingressctl";

/// The maximum number of gateways that a request may pass: an endpoint may be the gateway
/// itself, and nothing else would end the loop. Envoy accepts no expression for many more.
const MAX_ROUNDS: usize = 6;

/// The status of gRPC that corresponds to 503. Its responses have HTTP status 200.
const GRPC_UNAVAILABLE: &str = "14";

/// `route.v3.RouteConfiguration`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct RouteConfiguration {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    virtual_hosts: Vec<VirtualHost>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct VirtualHost {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "2")]
    domains: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    #[serde(skip_serializing_if = "is_unset")]
    routes: Vec<Route>,
    #[prost(message, optional, tag = "21")]
    #[serde(skip_serializing_if = "is_unset")]
    matcher: Option<MirrorMatcher>,
}

/// Selects the routes by a header.
type MirrorMatcher = Matcher<HeaderInput, RouteList>;

/// `type.matcher.v3.HttpRequestHeaderMatchInput`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct HeaderInput {
    #[prost(string, tag = "1")]
    header_name: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct RouteList {
    #[prost(message, repeated, tag = "1")]
    routes: Vec<Route>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Route {
    #[prost(message, optional, tag = "1")]
    #[serde(rename = "match")]
    matches: Option<RouteMatch>,
    #[prost(oneof = "RouteOrResponse", tags = "2, 7")]
    #[serde(flatten)]
    action: Option<RouteOrResponse>,
    #[prost(message, repeated, tag = "9")]
    #[serde(skip_serializing_if = "is_unset")]
    request_headers_to_add: Vec<HeaderValueOption>,
    #[prost(string, repeated, tag = "12")]
    #[serde(skip_serializing_if = "is_unset")]
    request_headers_to_remove: Vec<String>,
}

#[expect(clippy::large_enum_variant, reason = "there are few of them")]
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum RouteOrResponse {
    #[prost(message, tag = "2")]
    Route(RouteAction),
    #[prost(message, tag = "7")]
    DirectResponse(DirectResponse),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct RouteMatch {
    #[prost(string, tag = "1")]
    prefix: String,
    #[prost(message, repeated, tag = "6")]
    #[serde(skip_serializing_if = "is_unset")]
    headers: Vec<HeaderMatcher>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct HeaderMatcher {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "HeaderMatch", tags = "6, 7, 13")]
    #[serde(flatten)]
    specifier: Option<HeaderMatch>,
}

#[expect(clippy::enum_variant_names, reason = "these are Envoy's names")]
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum HeaderMatch {
    #[prost(message, tag = "6")]
    RangeMatch(Int64Range),
    #[prost(bool, tag = "7")]
    PresentMatch(bool),
    #[prost(message, tag = "13")]
    StringMatch(StringMatcher),
}

/// `type.v3.Int64Range`, without its end.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Int64Range {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "number_as_text")]
    start: i64,
    #[prost(int64, tag = "2")]
    #[serde(serialize_with = "number_as_text")]
    end: i64,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct DirectResponse {
    #[prost(uint32, tag = "1")]
    status: u32,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct RouteAction {
    #[prost(string, tag = "2")]
    cluster_header: String,
    #[prost(message, optional, tag = "8")]
    timeout: Option<Duration>,
    #[prost(message, optional, tag = "9")]
    retry_policy: Option<RetryPolicy>,
    #[prost(message, repeated, tag = "15")]
    hash_policy: Vec<HashPolicy>,
    #[prost(message, optional, tag = "24")]
    #[serde(skip_serializing_if = "is_unset")]
    idle_timeout: Option<Duration>,
    #[prost(message, repeated, tag = "30")]
    #[serde(skip_serializing_if = "is_unset")]
    request_mirror_policies: Vec<RequestMirrorPolicy>,
}

/// `route.v3.RouteAction.HashPolicy`, which only clusters use that select endpoints by
/// hash.
#[derive(Clone, PartialEq, Message, Serialize)]
struct HashPolicy {
    #[prost(message, optional, tag = "1")]
    header: Option<HashedHeader>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct HashedHeader {
    #[prost(string, tag = "1")]
    header_name: String,
}

impl HashPolicy {
    fn by_session() -> Self {
        Self { header: Some(HashedHeader { header_name: SESSION_HEADER.to_owned() }) }
    }
}

/// `route.v3.RetryPolicy`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct RetryPolicy {
    #[prost(string, tag = "1")]
    retry_on: String,
    #[prost(message, optional, tag = "2")]
    num_retries: Option<u32>,
    #[prost(message, repeated, tag = "5")]
    retry_host_predicate: Vec<Socket<PreviousHosts>>,
    #[prost(int64, tag = "6")]
    #[serde(serialize_with = "number_as_text")]
    host_selection_retry_max_attempts: i64,
    #[prost(message, repeated, tag = "9")]
    retriable_headers: Vec<HeaderMatcher>,
}

/// `retry.host.previous_hosts.v3.PreviousHostsPredicate`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct PreviousHosts {}

#[derive(Clone, PartialEq, Message, Serialize)]
struct RequestMirrorPolicy {
    #[prost(string, tag = "1")]
    cluster: String,
}

typed! {
    HeaderInput = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
    PreviousHosts = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    RouteList = "envoy.config.route.v3.RouteList",
    RouteConfiguration = "envoy.config.route.v3.RouteConfiguration",
}

impl RouteConfiguration {
    /// No routes: each request gets 404.
    pub(super) fn empty(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The routes for `table`. Each cluster that gets copies has its own routes, because
    /// Envoy cannot read the name of such a cluster from a header.
    pub(super) fn new(table: &RouteTable, stream_idle_timeout: TimeLimit) -> Self {
        let mirrors = mirrors(table);
        let waiting = LongWait::in_table(table, stream_idle_timeout);
        let mut virtual_host = VirtualHost {
            name: "ingress".to_owned(),
            domains: vec!["*".to_owned()],
            ..VirtualHost::default()
        };
        if mirrors.is_empty() {
            virtual_host.routes = routes(None, waiting);
        } else {
            virtual_host.matcher = Some(MirrorMatcher::by_mirror(&mirrors, waiting));
        }
        Self { name: ROUTE_CONFIGURATION.to_owned(), virtual_hosts: vec![virtual_host] }
    }
}

/// The routes for requests that the filter accepts, with a copy to `mirror`, if any.
fn routes(mirror: Option<&str>, waiting: Option<LongWait>) -> Vec<Route> {
    let refusing = [Route::refusing_trace(), Route::refusing_loops(), Route::refusing_upgrades()];
    let waits = waiting.map(Some).into_iter().chain([None]);
    let forwarding = waits.flat_map(|waiting| {
        [Repeatable::Yes, Repeatable::No]
            .map(|repeatable| Route::forwarding(repeatable, waiting, mirror))
    });
    refusing.into_iter().chain(forwarding).collect()
}

impl MirrorMatcher {
    /// Envoy compares a request with each route of a list, but finds a value in a map
    /// directly.
    fn by_mirror(mirrors: &BTreeSet<&str>, waiting: Option<LongWait>) -> Self {
        let to = |mirror| OnMatch::action("routes", RouteList { routes: routes(mirror, waiting) });
        let map = mirrors.iter().map(|cluster| ((*cluster).to_owned(), to(Some(*cluster))));
        let header = HeaderInput::of(MIRROR_HEADER);
        Self::any(Some(to(None))).preceded_by_exact(header, map.collect())
    }
}

impl HeaderInput {
    pub(super) fn of(header: &str) -> Extension<Self> {
        let input = Self { header_name: header.to_owned() };
        Extension::new("envoy.matching.inputs.request_headers", input)
    }
}

/// The clusters that get copies of requests.
fn mirrors(table: &RouteTable) -> BTreeSet<&str> {
    table.backends.iter().flat_map(mirrors_of).collect()
}

/// The clusters of a backend that get copies, at each of its ports.
fn mirrors_of(backend: &Backend) -> impl Iterator<Item = &str> {
    let ports = || backend.ports.iter().map(|port| Some(&*port.name)).chain([None]);
    forwards(backend)
        .filter_map(|forward| forward.mirror.as_deref())
        .flat_map(move |named| ports().filter_map(move |port| backend.cluster_at(port, named)))
}

fn forwards(backend: &Backend) -> impl Iterator<Item = &Forward> {
    let actions = backend.rules.iter().map(|rule| &rule.action).chain([&backend.default]);
    actions.filter_map(|action| match action {
        Action::Forward(forward) => Some(&**forward),
        Action::Redirect(_) | Action::Respond(_) => None,
    })
}

impl Route {
    /// Without a timeout, except for the one that the filter sets and the idle ones.
    fn forwarding(repeatable: Repeatable, waiting: Option<LongWait>, mirror: Option<&str>) -> Self {
        let policy = |cluster: &str| RequestMirrorPolicy { cluster: cluster.to_owned() };
        let action = RouteAction {
            cluster_header: CLUSTER_HEADER.to_owned(),
            timeout: Some(Duration::seconds(0)),
            retry_policy: Some(RetryPolicy::new(repeatable)),
            hash_policy: vec![HashPolicy::by_session()],
            idle_timeout: waiting.map(LongWait::idle_timeout),
            request_mirror_policies: mirror.map(policy).into_iter().collect(),
        };
        let headers = waiting.map(LongWait::matcher).into_iter().chain(repeatable.methods());
        Self {
            matches: Some(RouteMatch::all_with(headers.collect())),
            action: Some(RouteOrResponse::Route(action)),
            request_headers_to_add: vec![HeaderValueOption::appended(
                LOOP_HEADER,
                LOOP_NAME.to_owned(),
            )],
            request_headers_to_remove: HEADERS_TO_REMOVE.map(str::to_owned).to_vec(),
        }
    }

    fn refusing(headers: Vec<HeaderMatcher>, status: u32) -> Self {
        Self {
            matches: Some(RouteMatch::all_with(headers)),
            action: Some(RouteOrResponse::DirectResponse(DirectResponse { status })),
            ..Self::default()
        }
    }

    /// Responds to requests in a loop with 508 (RFC 5842 section 7.2).
    fn refusing_loops() -> Self {
        let rounds = format!("(?:.*{LOOP_NAME}){{{MAX_ROUNDS}}}.*");
        Self::refusing(vec![HeaderMatcher::regex(LOOP_HEADER, rounds)], 508)
    }

    /// TRACE would show a client the headers that were added to its request.
    fn refusing_trace() -> Self {
        Self::refusing(vec![HeaderMatcher::exact(":method", "TRACE")], 405)
    }

    /// Rejects upgrades that the filter has not allowed. Before the filter has run, there
    /// is no cluster, and Envoy only checks whether the route allows upgrades.
    fn refusing_upgrades() -> Self {
        let headers = vec![
            HeaderMatcher::present("upgrade"),
            HeaderMatcher::present(CLUSTER_HEADER),
            HeaderMatcher::absent(WEBSOCKET_HEADER),
        ];
        Self::refusing(headers, 403)
    }
}

/// Whether a request may be sent again although an upstream may have processed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeatable {
    /// Its method is idempotent (RFC 9110 section 9.2.2).
    Yes,
    No,
}

impl Repeatable {
    fn methods(self) -> Option<HeaderMatcher> {
        let methods = || HeaderMatcher::regex(":method", "GET|HEAD|OPTIONS|PUT|DELETE".to_owned());
        (self == Self::Yes).then(methods)
    }
}

impl RetryPolicy {
    /// Tries other endpoints if the request was not sent, or can be repeated. A rule adds
    /// conditions, and has its own number of retries.
    fn new(repeatable: Repeatable) -> Self {
        const NOT_SENT: &str = "connect-failure,refused-stream,reset-before-request";
        let predicate = Socket::new("envoy.retry_host_predicates.previous_hosts", PreviousHosts {});
        Self {
            retry_on: match repeatable {
                Repeatable::Yes => format!("{NOT_SENT},reset"),
                Repeatable::No => NOT_SENT.to_owned(),
            },
            num_retries: Some(2),
            retry_host_predicate: vec![predicate],
            host_selection_retry_max_attempts: 5,
            // Applies only if the filter asks for it, so only by a rule.
            retriable_headers: vec![HeaderMatcher::exact("grpc-status", GRPC_UNAVAILABLE)],
        }
    }
}

impl RouteMatch {
    fn all_with(headers: Vec<HeaderMatcher>) -> Self {
        Self { prefix: "/".to_owned(), headers }
    }
}

impl HeaderMatcher {
    fn new(name: &str, specifier: HeaderMatch) -> Self {
        Self { name: name.to_owned(), specifier: Some(specifier) }
    }

    pub(super) fn exact(name: &str, value: &str) -> Self {
        Self::new(name, HeaderMatch::StringMatch(StringMatcher::exact(value)))
    }

    fn regex(name: &str, text: String) -> Self {
        Self::new(name, HeaderMatch::StringMatch(StringMatcher::text_matching(text)))
    }

    fn at_least(name: &str, start: i64) -> Self {
        Self::new(name, HeaderMatch::RangeMatch(Int64Range { start, end: i64::MAX }))
    }

    fn present(name: &str) -> Self {
        Self::new(name, HeaderMatch::PresentMatch(true))
    }

    fn absent(name: &str) -> Self {
        Self::new(name, HeaderMatch::PresentMatch(false))
    }
}
