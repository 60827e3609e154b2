//! Which of Envoy's statistics are served, and as which metrics.
//!
//! Envoy has a hundred statistics for each cluster; these are what a person on call, a
//! dashboard or an alert needs. Their number does not depend on requests.

use crate::envoy::STAT_PREFIX;

/// A metric, and the statistics from which it is computed.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    /// The names of the statistics in their scope, with the value of the label, if the
    /// metric has one.
    pub(super) stats: &'static [(&'static str, &'static str)],
    /// The name of the label.
    pub(super) label: &'static str,
    /// A unit of the statistic is so many units of the metric.
    pub(super) factor: f64,
    /// The value by which Envoy says that there is none.
    pub(super) none: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// The part of Envoy that a statistic describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The process.
    Process,
    /// HTTP of clients, on all listeners.
    Clients,
    /// The sum of all listeners.
    Listeners,
    /// Each cluster, in the label `upstream`.
    Clusters,
}

const fn counter(name: &'static str, help: &'static str, scope: Scope, stat: Stats) -> Metric {
    let (kind, label, factor, none) = (Kind::Counter, "", 1.0, None);
    Metric { name, help, kind, scope, stats: stat, label, factor, none }
}

const fn gauge(name: &'static str, help: &'static str, scope: Scope, stat: Stats) -> Metric {
    Metric { kind: Kind::Gauge, ..counter(name, help, scope, stat) }
}

type Stats = &'static [(&'static str, &'static str)];

/// All of them; docs/monitoring.md explains each.
pub(super) static METRICS: [Metric; 25] = [
    Metric {
        label: "decision",
        ..counter(
            "decisions",
            "Requests by the decision of the filter",
            Scope::Process,
            &[
                ("wasmcustom.ingress.requests.routed", "routed"),
                ("wasmcustom.ingress.requests.no_route", "no_route"),
                ("wasmcustom.ingress.requests.misdirected", "misdirected"),
                ("wasmcustom.ingress.requests.refused", "refused"),
            ],
        )
    },
    counter(
        "filter_restarts",
        "Restarts of the filter after it failed, including those that failed, too",
        Scope::Process,
        &[("wasm.ingress.vm_reload_success", ""), ("wasm.ingress.vm_reload_failure", "")],
    ),
    gauge(
        "envoy_uptime_seconds",
        "Time since Envoy started",
        Scope::Process,
        &[("server.uptime", "")],
    ),
    gauge(
        "envoy_memory_allocated_bytes",
        "Memory that Envoy uses of its heap",
        Scope::Process,
        &[("server.memory_allocated", "")],
    ),
    gauge(
        "envoy_memory_heap_bytes",
        "Size of the heap of Envoy",
        Scope::Process,
        &[("server.memory_heap_size", "")],
    ),
    Metric {
        factor: 0.01,
        ..gauge(
            "envoy_memory_pressure_ratio",
            "Fill level of the heap, by which Envoy sheds load; absent without envoyMemory",
            Scope::Process,
            &[("overload.envoy.resource_monitors.fixed_heap.pressure", "")],
        )
    },
    Metric {
        factor: 86_400.0,
        none: Some(4_294_967_295.0),
        ..gauge(
            "certificate_expiry_seconds",
            "Time until the first certificate expires, in whole days; absent without certificates",
            Scope::Process,
            &[("server.days_until_first_cert_expiring", "")],
        )
    },
    gauge(
        "connections",
        "Open connections of clients",
        Scope::Clients,
        &[("downstream_cx_active", "")],
    ),
    gauge(
        "tls_connections",
        "Open connections of clients with TLS",
        Scope::Clients,
        &[("downstream_cx_ssl_active", "")],
    ),
    counter(
        "connections_opened",
        "Connections that clients opened",
        Scope::Clients,
        &[("downstream_cx_total", "")],
    ),
    Metric {
        label: "status",
        ..counter(
            "responses",
            "Responses to clients by status class",
            Scope::Clients,
            &[
                ("downstream_rq_1xx", "1xx"),
                ("downstream_rq_2xx", "2xx"),
                ("downstream_rq_3xx", "3xx"),
                ("downstream_rq_4xx", "4xx"),
                ("downstream_rq_5xx", "5xx"),
            ],
        )
    },
    gauge(
        "requests_active",
        "Requests in progress",
        Scope::Clients,
        &[("downstream_rq_active", "")],
    ),
    counter(
        "received_bytes",
        "Bytes received from clients",
        Scope::Clients,
        &[("downstream_cx_rx_bytes_total", "")],
    ),
    counter(
        "sent_bytes",
        "Bytes sent to clients",
        Scope::Clients,
        &[("downstream_cx_tx_bytes_total", "")],
    ),
    counter(
        "requests_shed",
        "Requests that Envoy answered with 503 because it ran out of memory",
        Scope::Clients,
        &[("downstream_rq_overload_close", "")],
    ),
    Metric {
        label: "reason",
        ..counter(
            "connections_rejected",
            "Connections of clients that Envoy closed at once, by reason",
            Scope::Listeners,
            &[
                ("downstream_cx_overflow", "listener_limit"),
                ("downstream_global_cx_overflow", "limit"),
                ("downstream_cx_overload_reject", "memory"),
            ],
        )
    },
    counter(
        "tls_handshakes",
        "TLS handshakes with clients",
        Scope::Listeners,
        &[("ssl.handshake", "")],
    ),
    counter(
        "tls_errors",
        "Failed TLS handshakes with clients",
        Scope::Listeners,
        &[("ssl.connection_error", "")],
    ),
    gauge(
        "upstream_endpoints",
        "Endpoints of the upstream",
        Scope::Clusters,
        &[("membership_total", "")],
    ),
    gauge(
        "upstream_connections",
        "Open connections to the upstream",
        Scope::Clusters,
        &[("upstream_cx_active", "")],
    ),
    gauge(
        "upstream_requests_active",
        "Requests that wait for the upstream",
        Scope::Clusters,
        &[("upstream_rq_active", "")],
    ),
    counter(
        "upstream_connect_failures",
        "Connections to the upstream that failed",
        Scope::Clusters,
        &[("upstream_cx_connect_fail", "")],
    ),
    counter(
        "upstream_no_endpoint",
        "Requests to the upstream for which there was no endpoint",
        Scope::Clusters,
        &[("upstream_cx_none_healthy", "")],
    ),
    counter(
        "upstream_retries",
        "Requests to the upstream that were sent again",
        Scope::Clusters,
        &[("upstream_rq_retry", "")],
    ),
    counter(
        "upstream_overflows",
        "Requests to the upstream that exceeded a limit of connections or requests",
        Scope::Clusters,
        &[("upstream_rq_pending_overflow", ""), ("upstream_cx_overflow", "")],
    ),
];

impl Scope {
    /// The name of the statistic without its scope, if `name` is in this scope.
    pub(super) fn strip(self, name: &str) -> Option<&str> {
        match self {
            Self::Process => Some(name),
            Self::Clients => {
                name.strip_prefix("http.")?.strip_prefix(STAT_PREFIX)?.strip_prefix('.')
            }
            Self::Listeners => name.strip_prefix("listener."),
            Self::Clusters => name.strip_prefix("cluster."),
        }
    }

    /// The expression for Envoy's statistics `stat`, as Envoy's admin interface reads it.
    /// A dot also matches any other character, which saves an escape.
    fn pattern(self, stat: &str) -> String {
        match self {
            Self::Process => stat.to_owned(),
            Self::Clients => format!("http.{STAT_PREFIX}.{stat}"),
            Self::Listeners => format!("listener.*.{stat}"),
            Self::Clusters => format!("cluster.*.{stat}"),
        }
    }
}

/// The statistics that are not of upstreams. Envoy tells only those that it has used, because
/// comparing the names of all others takes most of the time.
pub(super) fn of_gateway() -> String {
    used(METRICS.iter().filter(|metric| metric.scope != Scope::Clusters))
}

/// The statistics of the traffic to upstreams that were used.
pub(super) fn of_upstreams() -> String {
    used(METRICS.iter().filter(|metric| metric.is_of_traffic()))
}

/// The number of endpoints of all upstreams, because Envoy does not set it if there are none.
pub(super) const ENDPOINTS: &str = "/stats?type=Gauges&filter=^cluster.*.membership_total$";

impl Metric {
    /// Whether it is of an upstream, other than the number of its endpoints.
    pub(super) fn is_of_traffic(&self) -> bool {
        self.scope == Scope::Clusters && self.name != "upstream_endpoints"
    }
}

fn used(metrics: impl Iterator<Item = &'static Metric>) -> String {
    let patterns =
        metrics.flat_map(|metric| metric.stats.iter().map(|(stat, _)| metric.scope.pattern(stat)));
    format!("/stats?usedonly&filter=^({})$", patterns.collect::<Vec<_>>().join("|"))
}
