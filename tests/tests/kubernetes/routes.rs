//! The requirements of Kubernetes' Ingress conformance suite, except TLS: default
//! backends, hosts, paths, load balancing.

use std::collections::BTreeSet;

use ingress_tests::{ApiServer, Gateway, Service, Upstream, machine_ip, raw, wait_until};
use serde_json::json;

use crate::setup::{all_to, ingress, object, path, rule};

#[test]
fn a_default_backend_gets_every_request_as_it_is() {
    let api = ApiServer::shared();
    let namespace = api.namespace("default-backend");
    let upstream = Upstream::start_on(machine_ip(), "default");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &all_to("web")));
    let gateway = Gateway::start(&namespace);

    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
        for host in ["default.example", "a.b.c.example", "203.0.113.5", "x"] {
            for path in ["/", "/a/b", "/a/b/?c=d", "/A%20b"] {
                let end = "connection: close\r\ncontent-length: 0\r\n\r\n";
                let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{end}");
                let what = format!("{method} {host}{path}");
                assert_eq!(raw(gateway.http, request.as_bytes()).status, 200, "{what}");
                let received = upstream.take_received();
                let [received] = &received[..] else { panic!("{what}: {received:?}") };
                let hosts = received.values("host");
                assert_eq!(
                    (&*received.method, &*received.path, &hosts[..]),
                    (method, path, &[host.as_bytes()][..])
                );
            }
        }
    }
}

#[test]
fn the_most_specific_host_takes_a_request() {
    let api = ApiServer::shared();
    let namespace = api.namespace("hosts");
    let upstreams =
        ["exact", "wildcard", "named"].map(|name| Upstream::start_on(machine_ip(), name));
    let [exact, wildcard, named] = &upstreams;
    namespace.create(&Service::new("exact").at(exact).manifests());
    namespace.create(&Service::new("wildcard").at(wildcard).manifests());
    let ports = [("metrics", 9090), ("web-app", 8080)];
    namespace.create(&Service::with_ports("named", &ports).at(named).manifests());
    let by_number = |service| path("/", "Prefix", service);
    let mut by_name = path("/", "Prefix", "named");
    by_name["backend"]["service"]["port"] = json!({"name": "web-app"});
    let rules = json!([
        rule("foo.bar.com", &[by_number("exact")]),
        rule("*.foo.com", &[by_number("wildcard")]),
        rule("deep.x.foo.com", &[by_name.clone()]),
        rule("named.foo.com", &[by_name]),
    ]);
    namespace.create(&ingress("hosts", &json!({"rules": rules})));
    let gateway = Gateway::start(&namespace);

    for (host, expected) in [
        ("foo.bar.com", "exact"),
        ("FOO.bar.com", "exact"),
        ("foo.bar.com:80", "exact"),
        ("bar.com", "404"),
        ("x.foo.bar.com", "404"),
        ("bar.foo.com", "wildcard"),
        ("other.foo.com", "wildcard"),
        ("foo.com", "404"),
        ("baz.bar.foo.com", "404"),
        ("xfoo.com", "404"),
        ("named.foo.com", "named"),
        ("deep.x.foo.com", "named"),
        ("y.x.foo.com", "404"),
        ("", "404"),
    ] {
        assert_eq!(gateway.get(host, "/").by(), expected, "{host:?}");
    }
}

/// A host with paths: text, type and service of each.
struct Case {
    host: &'static str,
    paths: &'static [(&'static str, &'static str, &'static str)],
    /// Request paths, and the upstream that serves each.
    requests: &'static [(&'static str, &'static str)],
}

const CASES: [Case; 8] = [
    Case {
        host: "exact.example",
        paths: &[("/foo", "Exact", "one")],
        requests: &[
            ("/foo", "one"),
            ("/foo?a=b", "one"),
            ("/foo/", "404"),
            ("/FOO", "404"),
            ("/foo/bar", "404"),
            ("/foobar", "404"),
            ("/", "404"),
        ],
    },
    Case {
        host: "exact-slash.example",
        paths: &[("/foo/", "Exact", "one")],
        requests: &[("/foo/", "one"), ("/foo", "404"), ("/foo/bar", "404")],
    },
    Case {
        host: "prefix.example",
        paths: &[("/foo", "Prefix", "one")],
        requests: &[
            ("/foo", "one"),
            ("/foo/", "one"),
            ("/foo/bar", "one"),
            ("/foobar", "404"),
            ("/Foo", "404"),
            ("/", "404"),
        ],
    },
    Case {
        host: "prefix-slash.example",
        paths: &[("/aaa/bbb/", "Prefix", "one")],
        requests: &[
            ("/aaa/bbb", "one"),
            ("/aaa/bbb/", "one"),
            ("/aaa/bbb/ccc", "one"),
            ("/aaa/bbbxyz", "404"),
            ("/aaa", "404"),
        ],
    },
    Case {
        host: "nested.example",
        paths: &[
            ("/", "Prefix", "one"),
            ("/aaa", "Prefix", "two"),
            ("/aaa/bbb", "Prefix", "three"),
        ],
        requests: &[
            ("/aaa/bbb/ccc", "three"),
            ("/aaa/bbb", "three"),
            ("/aaa/ccc", "two"),
            ("/aaaccc", "one"),
            ("/ccc", "one"),
            ("/", "one"),
        ],
    },
    Case {
        host: "mixed.example",
        paths: &[("/foo", "Prefix", "one"), ("/foo", "Exact", "two")],
        requests: &[("/foo", "two"), ("/foo/", "one"), ("/foo/x", "one")],
    },
    Case {
        host: "mixed-slash.example",
        paths: &[
            ("/foo/", "Prefix", "one"),
            ("/foo", "Exact", "two"),
            ("/foo/x", "Exact", "three"),
        ],
        requests: &[("/foo", "two"), ("/foo/", "one"), ("/foo/x", "three"), ("/foo/x/", "one")],
    },
    Case {
        host: "istio.example",
        paths: &[
            ("/status/.*", "ImplementationSpecific", "one"),
            ("/exact", "ImplementationSpecific", "two"),
        ],
        requests: &[
            ("/status/200", "one"),
            ("/status", "404"),
            ("/exact", "two"),
            ("/exact/x", "404"),
        ],
    },
];

#[test]
fn the_most_specific_path_takes_a_request() {
    const SERVICES: [&str; 3] = ["one", "two", "three"];
    let api = ApiServer::shared();
    let namespace = api.namespace("paths");
    let upstreams = SERVICES.map(|name| Upstream::start_on(machine_ip(), name));
    for (name, upstream) in SERVICES.iter().zip(&upstreams) {
        namespace.create(&Service::new(name).at(upstream).manifests());
    }
    let rules = CASES.map(|Case { host, paths, .. }| {
        let paths = paths.iter().map(|(text, kind, service)| path(text, kind, service));
        rule(host, &paths.collect::<Vec<_>>())
    });
    namespace.create(&ingress("paths", &json!({"rules": rules})));
    let gateway = Gateway::start(&namespace);
    for Case { host, requests, .. } in CASES {
        for (path, expected) in requests {
            assert_eq!(gateway.get(host, path).by(), *expected, "{host}{path}");
        }
    }
}

#[test]
fn all_endpoints_get_their_share() {
    const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let api = ApiServer::shared();
    let namespace = api.namespace("load-balancing");
    let upstreams = NAMES.map(|name| Upstream::start_on(machine_ip(), name));
    let all = upstreams.iter().fold(Service::new("web"), Service::at);
    namespace.create(&all.manifests());
    namespace.create(&ingress("web", &all_to("web")));
    let gateway = Gateway::start(&namespace);
    let seen = || (0..100).map(|_| gateway.get("web.example", "/").by()).collect::<BTreeSet<_>>();
    assert_eq!(seen(), NAMES.map(String::from).into());

    // If one endpoint is removed, the others are still served.
    namespace.delete("endpointslice", "web-0");
    wait_until("the removed endpoint gets no requests", || !seen().contains("a"));
    assert_eq!(seen(), NAMES[1..].iter().map(ToString::to_string).collect());
}

#[test]
fn versions_are_pods_by_their_labels() {
    let api = ApiServer::shared();
    let namespace = api.namespace("versions");
    let [v1, v2] = ["v1", "v2"].map(|name| Upstream::start_on(machine_ip(), name));
    let service = Service::new("web").at_pod(&v1, "web-1", &[("version", "v1")]).at_pod(
        &v2,
        "web-2",
        &[("version", "v2")],
    );
    namespace.create(&service.manifests());
    namespace.create(&ingress("web", &all_to("web")));
    let gateway = Gateway::start(&namespace);
    let answers = || (0..10).map(|_| gateway.get("web.example", "/").by()).collect::<BTreeSet<_>>();
    let only = |version: &str| {
        let route = json!([{"labels": {"version": version}}]);
        let spec = json!({"destination": {"name": "web"}, "route": route});
        let metadata = json!({"name": "only"});
        namespace.apply(&object("config.istio.io/v1alpha2", "RouteRule", &metadata, &spec));
        wait_until(version, || answers() == BTreeSet::from([version.to_owned()]));
    };
    only("v1");
    only("v2");

    // A pod whose labels change belongs to another version.
    namespace.run(&["label", "--overwrite", "pod", "web-1", "version=v2"]).unwrap();
    let both = BTreeSet::from(["v1".to_owned(), "v2".to_owned()]);
    let answers = || (0..10).map(|_| gateway.get("web.example", "/").by()).collect::<BTreeSet<_>>();
    wait_until("both are v2", || answers() == both);
}
