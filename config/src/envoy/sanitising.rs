//! The request headers and trailers that Envoy removes.

use ingress_filter::names::{INTERNAL_HEADER_PREFIX, SESSION_HEADER};
use prost::{Message, Oneof};
use serde::Serialize;

use super::core::{HeaderValueOption, StringMatcher};
use super::message::{is_unset, typed};
use crate::settings::Settings;

/// Headers that are removed from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// The header with this name.
    Named(&'static str),
    /// All headers with this prefix.
    Prefixed(&'static str),
}

use Removed::{Named, Prefixed};

/// Headers that no client may send, trusted or not: those between Envoy and the filter,
/// and those that some servers use instead of what the gateway has decided.
const ALWAYS: [Removed; 6] = [
    Prefixed(INTERNAL_HEADER_PREFIX),
    // Envoy itself removes only some of them from external requests.
    Prefixed("x-envoy-"),
    // CGI turns it into HTTP_PROXY, so programs would send their own requests through
    // the proxy of a client (httpoxy).
    Named("proxy"),
    // IIS and frameworks use these instead of the path.
    Named("x-original-url"),
    Named("x-rewrite-url"),
    // It belongs to an offer of h2c, which is ignored.
    Named("http2-settings"),
];

/// Headers in which a proxy describes the client and its request. Other clients must not
/// set them.
const FORWARDING: [Removed; 9] = [
    // Envoy sets -for and -proto itself. Others are -host, -port, -ssl, -prefix, …
    Prefixed("x-forwarded-"),
    // Such as -for, -host, -method, -uri, …
    Prefixed("x-original-"),
    Named("forwarded"),
    Named("x-real-ip"),
    Named("x-client-ip"),
    Named("x-cluster-client-ip"),
    Named("true-client-ip"),
    Named("front-end-https"),
    Named("x-scheme"),
];

/// Headers by which a client could have its request traced, or join the trace of others.
const TRACES: [Removed; 2] = [Named("traceparent"), Named("tracestate")];

impl Removed {
    pub(crate) fn covers(self, header: &str) -> bool {
        match self {
            Named(name) => header == name,
            Prefixed(prefix) => header.starts_with(prefix),
        }
    }
}

/// The headers that are removed with these settings.
pub(crate) fn removed(settings: &Settings) -> impl Iterator<Item = Removed> + use<> {
    let (trusts_nobody, starts_traces) = (settings.trusted_hops == 0, settings.starts_traces());
    let forwarding = FORWARDING.into_iter().filter(move |_| trusts_nobody);
    let traces = TRACES.into_iter().filter(move |_| starts_traces);
    ALWAYS.into_iter().chain(forwarding).chain(traces)
}

/// `early_header_mutation.header_mutation.v3.HeaderMutation`: before any filter.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct EarlyHeaderMutation {
    #[prost(message, repeated, tag = "1")]
    mutations: Vec<Mutation>,
}

/// `filters.http.header_mutation.v3.HeaderMutation`: a filter.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct MutationFilter {
    #[prost(message, optional, tag = "1")]
    mutations: Option<Mutations>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Mutations {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "is_unset")]
    request_mutations: Vec<Mutation>,
    #[prost(message, repeated, tag = "5")]
    #[serde(skip_serializing_if = "is_unset")]
    request_trailers_mutations: Vec<Mutation>,
}

/// `config.common.mutation_rules.v3.HeaderMutation`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Mutation {
    #[prost(oneof = "MutationKind", tags = "1, 2, 3")]
    #[serde(flatten)]
    kind: Option<MutationKind>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum MutationKind {
    #[prost(string, tag = "1")]
    Remove(String),
    #[prost(message, tag = "2")]
    Append(HeaderValueOption),
    #[prost(message, tag = "3")]
    RemoveOnMatch(RemoveOnMatch),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct RemoveOnMatch {
    #[prost(message, optional, tag = "1")]
    key_matcher: Option<StringMatcher>,
}

typed! {
    EarlyHeaderMutation =
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
    MutationFilter = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
}

/// The headers that are added unless they are present: the host and the port of the
/// client's request. Behind a trusted proxy, `port` is not the one that the client has
/// used. Envoy itself adds the scheme and the address of the client.
pub(crate) fn added(
    settings: &Settings,
    host: &str,
    port: u16,
) -> impl Iterator<Item = (&'static str, String)> {
    let Settings { trusted_hops, forwarded_host, .. } = *settings;
    let host = forwarded_host.then(|| ("x-forwarded-host", host.to_owned()));
    let knows_port = forwarded_host && trusted_hops == 0;
    let port = knows_port.then(|| ("x-forwarded-port", port.to_string()));
    host.into_iter().chain(port)
}

impl EarlyHeaderMutation {
    /// Removes headers that clients may not set, and adds those for upstreams, unless a
    /// trusted proxy has set them.
    pub(super) fn new(settings: &Settings, port: u16) -> Self {
        let added = added(settings, "%REQ(:AUTHORITY)%", port)
            .map(|(name, value)| MutationKind::Append(HeaderValueOption::if_absent(name, value)));
        let kinds = removed(settings).map(MutationKind::from).chain(added);
        Self { mutations: kinds.map(|kind| Mutation { kind: Some(kind) }).collect() }
    }
}

impl MutationFilter {
    /// Removes the header of the session, and all trailers of requests. `None` if neither
    /// is wanted.
    pub(super) fn of_requests(session: bool, trailers: bool) -> Option<Self> {
        let remove = |kind| Mutation { kind: Some(kind) };
        let header = session.then(|| remove(MutationKind::Remove(SESSION_HEADER.to_owned())));
        let all = trailers.then(|| remove(MutationKind::removing(StringMatcher::any())));
        let mutations = Mutations {
            request_mutations: header.into_iter().collect(),
            request_trailers_mutations: all.into_iter().collect(),
        };
        (session || trailers).then_some(Self { mutations: Some(mutations) })
    }
}

impl MutationKind {
    fn removing(names: StringMatcher) -> Self {
        Self::RemoveOnMatch(RemoveOnMatch { key_matcher: Some(names) })
    }
}

impl From<Removed> for MutationKind {
    fn from(removed: Removed) -> Self {
        match removed {
            Named(name) => Self::Remove(name.to_owned()),
            Prefixed(prefix) => Self::removing(StringMatcher::header_prefix(prefix)),
        }
    }
}
