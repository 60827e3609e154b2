//! Envoy's routes (RDS): few, whatever the manifests say. Whatever the filter
//! lets through goes to the cluster it named.

use std::collections::BTreeSet;

use ingress_filter::table::{Action, RouteTable};
use ingress_filter::{CLUSTER_HEADER, MIRROR_HEADER, WEBSOCKET_HEADER};
use serde::Serialize;

use super::ROUTE_CONFIGURATION;
use super::wire::{Seconds, messages};

/// What the filter says to Envoy, and is nobody's business upstream. The router
/// itself removes what it obeys, the fault filter does not.
const HEADERS_TO_REMOVE: [&str; 6] = [
    CLUSTER_HEADER,
    MIRROR_HEADER,
    WEBSOCKET_HEADER,
    "x-envoy-fault-abort-grpc-request",
    "x-envoy-fault-abort-request",
    "x-envoy-fault-delay-request",
];

/// `route.v3.RouteConfiguration`.
#[derive(Debug, Serialize)]
pub(super) struct RouteConfiguration {
    name: &'static str,
    virtual_hosts: [VirtualHost; 1],
}

#[derive(Debug, Serialize)]
struct VirtualHost {
    name: &'static str,
    domains: [&'static str; 1],
    routes: Vec<Route>,
}

#[derive(Debug, Serialize)]
struct Route {
    #[serde(rename = "match")]
    matches: RouteMatch,
    #[serde(flatten)]
    action: RouteOrResponse,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    request_headers_to_remove: &'static [&'static str],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum RouteOrResponse {
    Route(RouteAction),
    DirectResponse(DirectResponse),
}

#[derive(Debug, Serialize)]
struct RouteMatch {
    prefix: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderMatcher>,
}

#[derive(Debug, Serialize)]
struct HeaderMatcher {
    name: &'static str,
    #[serde(flatten)]
    specifier: Specifier,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Specifier {
    StringMatch(ExactMatch),
    PresentMatch(bool),
}

#[derive(Debug, Serialize)]
struct ExactMatch {
    exact: String,
}

#[derive(Debug, Serialize)]
struct DirectResponse {
    status: u16,
}

#[derive(Debug, Serialize)]
struct RouteAction {
    cluster_header: &'static str,
    timeout: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_mirror_policies: Option<[RequestMirrorPolicy; 1]>,
}

#[derive(Debug, Serialize)]
struct RequestMirrorPolicy {
    cluster: String,
}

messages! {
    RouteConfiguration = "envoy.config.route.v3.RouteConfiguration",
}

impl RouteConfiguration {
    /// The routes for `table`: one for each cluster that gets copies, since
    /// Envoy cannot take the name of that from a header without passing the
    /// header on.
    pub(super) fn new(table: &RouteTable) -> Self {
        let mirrors = mirrors(table);
        let mut routes = vec![Route::refusing_trace(), Route::refusing_upgrades()];
        if !mirrors.is_empty() {
            // Looks at one header, not at all of the mirrors.
            routes.push(Route::forwarding(vec![HeaderMatcher::absent(MIRROR_HEADER)], None));
        }
        routes.extend(mirrors.iter().map(|cluster| {
            Route::forwarding(vec![HeaderMatcher::exact(MIRROR_HEADER, cluster)], Some(cluster))
        }));
        routes.push(Route::forwarding(Vec::new(), None));
        Self {
            name: ROUTE_CONFIGURATION,
            virtual_hosts: [VirtualHost { name: "ingress", domains: ["*"], routes }],
        }
    }
}

/// The clusters that get copies of requests.
fn mirrors(table: &RouteTable) -> BTreeSet<&str> {
    let actions = table.backends.iter().flat_map(|backend| {
        backend.rules.iter().map(|rule| &rule.action).chain([&backend.default])
    });
    actions.filter_map(mirror).collect()
}

fn mirror(action: &Action) -> Option<&str> {
    match action {
        Action::Forward(forward) => forward.mirror.as_deref(),
        Action::Redirect(_) | Action::Respond(_) => None,
    }
}

impl Route {
    /// There is no timeout but the one the filter asks for, and the idle ones.
    fn forwarding(headers: Vec<HeaderMatcher>, mirror: Option<&str>) -> Self {
        Self {
            matches: RouteMatch { prefix: "/", headers },
            action: RouteOrResponse::Route(RouteAction {
                cluster_header: CLUSTER_HEADER,
                timeout: Seconds(0),
                request_mirror_policies: mirror
                    .map(|cluster| [RequestMirrorPolicy { cluster: cluster.to_owned() }]),
            }),
            request_headers_to_remove: &HEADERS_TO_REMOVE,
        }
    }

    fn refusing(headers: Vec<HeaderMatcher>, status: u16) -> Self {
        Self {
            matches: RouteMatch { prefix: "/", headers },
            action: RouteOrResponse::DirectResponse(DirectResponse { status }),
            request_headers_to_remove: &[],
        }
    }

    /// TRACE would show a client the headers added on its way.
    fn refusing_trace() -> Self {
        Self::refusing(vec![HeaderMatcher::exact(":method", "TRACE")], 405)
    }

    /// Upgrades that the filter has let through without a word. Before it has
    /// run, when Envoy decides whether it can upgrade at all, no cluster is
    /// named yet.
    fn refusing_upgrades() -> Self {
        let headers = vec![
            HeaderMatcher::present("upgrade"),
            HeaderMatcher::present(CLUSTER_HEADER),
            HeaderMatcher::absent(WEBSOCKET_HEADER),
        ];
        Self::refusing(headers, 403)
    }
}

impl HeaderMatcher {
    fn exact(name: &'static str, value: &str) -> Self {
        Self { name, specifier: Specifier::StringMatch(ExactMatch { exact: value.to_owned() }) }
    }

    fn present(name: &'static str) -> Self {
        Self { name, specifier: Specifier::PresentMatch(true) }
    }

    fn absent(name: &'static str) -> Self {
        Self { name, specifier: Specifier::PresentMatch(false) }
    }
}
