//! The kinds of routes and rules, each with a request.

use ingress_filter::RouteTable;
use ingress_filter::table::{PathMatch, Route};
use serde_json::{Value, json};

const HOST: &str = "shop.example.com";

/// A request, and its expected result.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    host: &'static str,
    path: String,
    header: Option<(&'static str, &'static str)>,
    pub(crate) filter_chain: Option<&'static str>,
    /// The status of the module's own response, if it sends one.
    pub(crate) status: Option<u32>,
    /// The budget, if there is one.
    pub(crate) host_calls: Option<&'static str>,
    pub(crate) needs_default_backend: bool,
}

impl Case {
    fn new(name: &'static str, path: &str) -> Self {
        Self {
            name,
            host: HOST,
            path: path.to_owned(),
            header: None,
            filter_chain: None,
            status: None,
            host_calls: None,
            needs_default_backend: false,
        }
    }

    /// The request headers that Envoy passes for a plain request from curl.
    pub(crate) fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = vec![
            (":authority", self.host),
            (":path", &self.path),
            (":method", "GET"),
            (":scheme", "http"),
            ("user-agent", "curl/7.88.1"),
            ("accept", "*/*"),
            ("x-forwarded-for", "192.0.2.2"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "0f6780aa-35b5-45af-af47-e3c5d82bd3f7"),
        ];
        headers.extend(self.header);
        headers
    }
}

/// All cases, at this number of paths.
pub(crate) fn cases(size: usize) -> Vec<Case> {
    [routes(size), rules()].into_iter().flatten().collect()
}

fn routes(size: usize) -> Vec<Case> {
    let plain = |name, path| Case { host_calls: Some("3"), ..Case::new(name, path) };
    let prefix = path(size / 2) + "/item/4711?x=y";
    vec![
        plain("prefix", &prefix),
        plain("exact path", "/kinds/exact"),
        plain("string prefix", "/kinds/string-prefix-and-more"),
        plain("regex path", "/kinds/v12/items"),
        Case { host: "a.wild.example.com", ..plain("wildcard host", "/x") },
        Case {
            host: "other.example",
            needs_default_backend: true,
            ..plain("default backend", "/x")
        },
        Case { status: Some(404), ..Case::new("404, no such path", "/nothing") },
        Case { host: "other.example", status: Some(404), ..Case::new("404, no such host", "/x") },
        Case {
            host: "tls.example.com",
            filter_chain: Some("ns/tls"),
            ..Case::new("TLS host", "/x")
        },
        Case { status: Some(308), ..Case::new("redirect to HTTPS", "/kinds/https") },
    ]
}

fn rules() -> Vec<Case> {
    let origin = Some(("origin", "https://a.example"));
    vec![
        Case { header: Some(("x-user", "jason")), ..Case::new("header rule", "/header") },
        Case::new("tenth of ten header rules", "/ten-headers"),
        Case::new("weights", "/weights"),
        Case { status: Some(302), ..Case::new("redirect", "/redirect") },
        Case::new("rewrite", "/rewrite"),
        Case { header: origin, ..Case::new("CORS", "/cors") },
        Case { status: Some(503), ..Case::new("fault: abort", "/abort") },
        Case::new("fault: delay", "/delay"),
        Case::new("timeout and retries", "/timeout"),
        Case::new("appended header", "/append"),
        Case::new("mirror", "/mirror"),
    ]
}

/// A table with this many paths, and the routes and backends of the cases.
pub(crate) fn table(size: usize, has_default: bool) -> RouteTable {
    let mut table: RouteTable = serde_json::from_value(kinds(has_default)).expect("a table");
    for service in 0..=size / 100 {
        let backend = json!({
            "name": format!("default/service-{service}:80"),
            "default": {"forward": {"cluster": format!("service-{service}.default.svc.cluster.local|80")}},
        });
        table.backends.push(serde_json::from_value(backend).expect("a backend"));
    }
    table.virtual_hosts[0].routes.extend((0..=size).map(|index| Route {
        path: PathMatch::Prefix(path(index)),
        backend: format!("default/service-{}:80", index / 100),
        port: None,
        source: format!("default/ingress-{}#0.{}", index / 100, index % 100),
        count_as: String::new(),
        plaintext: None,
    }));
    table
}

fn path(index: usize) -> String {
    format!("/tenant-{:04}/service-{:02}", index / 100, index % 100)
}

fn kinds(has_default: bool) -> Value {
    let actions = actions();
    let backends = actions.iter().map(|(name, rules)| {
        json!({"name": name, "rules": rules, "default": {"forward": {"cluster": "web"}}})
    });
    let of_action = actions
        .iter()
        .map(|(name, _)| json!({"match": {"prefix": format!("/{name}")}, "backend": name}));
    let mut routes = vec![
        json!({"match": {"exact": "/kinds/exact"}, "backend": "plain"}),
        json!({"match": {"string_prefix": "/kinds/string-"}, "backend": "plain"}),
        json!({"match": {"regex": "/kinds/v[0-9]+/.*"}, "backend": "plain"}),
        json!({"match": {"prefix": "/kinds/https"}, "backend": "plain", "plaintext": "redirect"}),
    ];
    routes.extend(of_action);
    let all = json!([{"match": {"prefix": "/"}, "backend": "plain"}]);
    let mut table = json!({
        "version": 1,
        "sanitized_by_envoy": true,
        "fixed_random": 0,
        "backends": backends.collect::<Vec<_>>(),
        "virtual_hosts": [
            {"hosts": [HOST], "routes": routes},
            {"hosts": ["*.wild.example.com"], "routes": all},
            {"hosts": ["tls.example.com"], "routes": all},
        ],
        "tls_hosts": [{"hosts": ["tls.example.com"], "certificate": "ns/tls"}],
    });
    if has_default {
        table["default_backend"] = json!({"backend": "plain"});
    }
    table
}

/// The rules of the backends, by name.
fn actions() -> Vec<(&'static str, Value)> {
    let forward = |field: &str, value: Value| {
        let mut forward = json!({"cluster": "web"});
        forward[field] = value;
        json!([{"action": {"forward": forward}}])
    };
    let with_header = |name: &str, value: &str| {
        json!({
            "match": {"headers": [{"name": name, "value": {"exact": value}}]},
            "action": {"forward": {"cluster": "matched"}},
        })
    };
    let ten: Vec<_> =
        (0..9).map(|index| with_header("user-agent", &format!("bot-{index}"))).collect();
    let ten = [ten, vec![with_header("user-agent", "curl/7.88.1")]].concat();
    let weights = json!([{"cluster": "a", "weight": 75}, {"cluster": "b", "weight": 25}]);
    let timeout = json!([{"action": {"forward":
        {"cluster": "web", "timeout": {"ms": 4_000}, "retries": {"attempts": 2}}}}]);
    let header = json!([{"name": "x-added", "value": "yes"}]);
    let always = 1_000_000;
    vec![
        ("plain", json!([])),
        ("header", json!([with_header("x-user", "jason")])),
        ("ten-headers", json!(ten)),
        ("weights", forward("cluster", weights)),
        ("redirect", json!([{"action": {"redirect": {"path": "/new"}}}])),
        ("rewrite", forward("rewrite", json!({"path": "/new"}))),
        ("cors", forward("cors", json!({"allow_origins": ["https://a.example"]}))),
        (
            "abort",
            forward("fault", json!({"abort": {"per_million": always, "status": {"http": 503}}})),
        ),
        ("delay", forward("fault", json!({"delay": {"per_million": always, "ms": 5}}))),
        ("timeout", timeout),
        ("append", forward("append_headers", header)),
        ("mirror", forward("mirror", json!("copy"))),
    ]
}
