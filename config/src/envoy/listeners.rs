//! Listeners (LDS): one for HTTP, and one for HTTPS with a filter chain per
//! certificate.

use std::net::SocketAddr;

use prost::{Enumeration, Message};
use serde::Serialize;

use super::core::Address;
use super::manager::{ConnectionManagerOptions, HttpConnectionManager};
use super::message::{Duration, Filter, Socket, any_message, is_unset, json_names, typed};
use super::proxies::{AddressFilter, ProxyProtocol};
use super::tls::{ChainMatcher, DownstreamTlsContext, TlsSource};
use super::{HTTP_LISTENER, HTTPS_LISTENER, PROBE_LISTENER};
use crate::model::Https;

/// The buffer limit of a connection.
const BUFFER_LIMIT: u32 = 32 * 1024;

/// `listener.v3.Listener`.
#[expect(clippy::struct_field_names, reason = "these are Envoy's names")]
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Listener {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    address: Option<Address>,
    #[prost(message, optional, tag = "5")]
    per_connection_buffer_limit_bytes: Option<u32>,
    /// Connections are closed when listeners are drained, not when probes fail: until
    /// load balancers have noticed, clients would reconnect to this Envoy.
    #[prost(enumeration = "DrainType", tag = "8")]
    #[serde(serialize_with = "DrainType::json")]
    drain_type: i32,
    #[prost(message, repeated, tag = "9")]
    #[serde(skip_serializing_if = "is_unset")]
    listener_filters: Vec<ListenerFilter>,
    #[prost(message, repeated, tag = "3")]
    filter_chains: Vec<FilterChain>,
    #[prost(message, optional, tag = "32")]
    #[serde(skip_serializing_if = "is_unset")]
    filter_chain_matcher: Option<ChainMatcher>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum DrainType {
    Default = 0,
    ModifyOnly = 1,
}

json_names!(DrainType { Default = "DEFAULT", ModifyOnly = "MODIFY_ONLY" });

#[derive(Clone, PartialEq, Message, Serialize)]
struct FilterChain {
    /// Empty for the chain for plain HTTP, which is how the filter recognises it.
    #[prost(string, tag = "7")]
    #[serde(skip_serializing_if = "is_unset")]
    name: String,
    #[prost(message, repeated, tag = "3")]
    filters: Vec<NetworkFilter>,
    #[prost(message, optional, tag = "6")]
    #[serde(skip_serializing_if = "is_unset")]
    transport_socket: Option<Socket<DownstreamTlsContext>>,
    /// The timeout of a TLS handshake.
    #[prost(message, optional, tag = "9")]
    #[serde(skip_serializing_if = "is_unset")]
    transport_socket_connect_timeout: Option<Duration>,
}

/// `listener.v3.ListenerFilter`, for the filters that are used.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum ListenerFilter {
    Tls(Socket<TlsInspector>),
    Proxy(Socket<ProxyProtocol>),
}

any_message!(ListenerFilter { Tls(Socket<TlsInspector>), Proxy });

/// `listener.v3.Filter`, for the filters that are used.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are the largest")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum NetworkFilter {
    Http(Filter<HttpConnectionManager>),
    Addresses(Filter<AddressFilter>),
}

any_message!(NetworkFilter { Http(Filter<HttpConnectionManager>), Addresses });

/// `listener.tls_inspector.v3.TlsInspector`: reads the SNI before a chain is
/// selected.
#[derive(Clone, PartialEq, Message, Serialize)]
struct TlsInspector {}

typed! {
    Listener = "envoy.config.listener.v3.Listener",
    TlsInspector = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
}

impl Listener {
    pub(super) fn http(address: SocketAddr, options: &ConnectionManagerOptions<'_>) -> Self {
        let chain = FilterChain::plain(options, options.settings.public_http_port());
        Self {
            listener_filters: proxy_protocol(options).collect(),
            ..Self::new(HTTP_LISTENER, address, vec![chain])
        }
    }

    /// Responds to `/ready` with 200, or with 503 once the health check fails,
    /// and to other paths with 404.
    pub(super) fn probe(address: SocketAddr) -> Self {
        let manager = HttpConnectionManager::answering_probes();
        Self::new(PROBE_LISTENER, address, vec![FilterChain::of(manager)])
    }

    /// One filter chain per certificate.
    pub(super) fn https(
        address: SocketAddr,
        https: &Https,
        options: &ConnectionManagerOptions<'_>,
        source: TlsSource<'_>,
    ) -> Self {
        let chains = https.chains().map(|(name, certificates)| {
            let context = DownstreamTlsContext::new(
                &certificates,
                source,
                options.settings.tls_minimum_version,
            );
            FilterChain {
                name: name.to_owned(),
                transport_socket: Some(Socket::new("envoy.transport_sockets.tls", context)),
                transport_socket_connect_timeout: Some(Duration::seconds(10)),
                ..FilterChain::plain(options, options.settings.public_https_port())
            }
        });
        let inspector = Socket::new("envoy.filters.listener.tls_inspector", TlsInspector {});
        Self {
            // The PROXY protocol precedes the handshake.
            listener_filters: proxy_protocol(options)
                .chain([ListenerFilter::Tls(inspector)])
                .collect(),
            filter_chain_matcher: Some(ChainMatcher::new(https)),
            ..Self::new(HTTPS_LISTENER, address, chains.collect())
        }
    }

    fn new(name: &str, address: SocketAddr, filter_chains: Vec<FilterChain>) -> Self {
        Self {
            name: name.to_owned(),
            address: Some(address.into()),
            per_connection_buffer_limit_bytes: Some(BUFFER_LIMIT),
            drain_type: DrainType::ModifyOnly.into(),
            filter_chains,
            ..Self::default()
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

fn proxy_protocol(options: &ConnectionManagerOptions<'_>) -> impl Iterator<Item = ListenerFilter> {
    let filter = || ListenerFilter::Proxy(ProxyProtocol::listener_filter());
    options.settings.proxy_protocol.then(filter).into_iter()
}

impl FilterChain {
    fn plain(options: &ConnectionManagerOptions<'_>, port: u16) -> Self {
        let mut chain = Self::of(HttpConnectionManager::new(options, port));
        if options.settings.proxy_protocol {
            let trusted = AddressFilter::only_from(&options.settings.trusted_proxies);
            chain.filters.insert(0, NetworkFilter::Addresses(trusted));
        }
        chain
    }

    fn of(manager: HttpConnectionManager) -> Self {
        Self {
            filters: vec![NetworkFilter::Http(Filter::new(
                "envoy.filters.network.http_connection_manager",
                manager,
            ))],
            ..Self::default()
        }
    }
}
