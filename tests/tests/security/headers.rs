//! Headers with which a client might claim what only Envoy and the filter may set.

use hyper::Version;
use ingress_tests::{
    Edge, Offline, OwnEnvoy, Received, Serving, Upstream, compiled, edit_json,
    h2_request_with_trailers, raw,
};
use ingressctl::compile::compile;
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;
use serde_json::{Value, json};

use crate::setup::{Upstreams, VICTIM, assert_unharmed, get_with, request, start};

/// Headers with which a client might reach services of others. `VICTIM` stands for
/// the cluster.
pub(crate) const SPOOFED: &[&str] = &[
    "x-ingress-cluster: VICTIM",
    "x-ingress-cluster: VICTIM\r\nx-ingress-cluster: VICTIM",
    "X-INGRESS-CLUSTER: VICTIM",
    "x-ingress-cluster: VICTIM\r\nconnection: x-ingress-cluster",
    "connection: keep-alive, x-ingress-cluster",
    "x-ingress-cluster:",
    "x-ingress-mirror: VICTIM",
    "x-ingress-: 1\r\nX-Ingress-Anything: 1\r\nx-ingress-anything: 2",
    "x-envoy-attempt-count: 9",
    "x-envoy-decorator-operation: victim",
    "x-envoy-downstream-service-cluster: victim",
    "x-envoy-expected-rq-timeout-ms: 1",
    "x-envoy-external-address: 10.0.0.1",
    "x-envoy-fault-abort-request: 418\r\nx-envoy-fault-abort-request-percentage: 100",
    "x-envoy-fault-delay-request: 5000",
    "x-envoy-force-trace: true",
    "x-envoy-internal: true",
    "x-envoy-ip-tags: victim",
    "x-envoy-is-timeout-retry: true",
    "x-envoy-max-retries: 9\r\nx-envoy-retry-on: 5xx,gateway-error,reset\r\nx-envoy-retry-grpc-on: internal",
    "x-envoy-original-dst-host: 127.0.0.1:9901",
    "x-envoy-original-host: victim.example",
    "x-envoy-original-path: /admin",
    "x-envoy-peer-metadata: victim\r\nx-envoy-peer-metadata-id: victim",
    "x-envoy-upstream-alt-stat-name: victim",
    "x-envoy-upstream-rq-per-try-timeout-ms: 1",
    "x-envoy-upstream-rq-timeout-ms: 1\r\nX-Envoy-Upstream-Rq-Timeout-Ms: 1",
    "x-envoy-upstream-stream-duration-ms: 1",
    "x-envoy-anything: 1",
    "x-forwarded-host: victim.example\r\nx-forwarded-port: 1",
    "x-forwarded-for: 10.0.0.1",
    "x-forwarded-for: 10.0.0.1, 10.0.0.2\r\nX-Forwarded-For: 10.0.0.3",
    "x-forwarded-proto: https",
    "x-forwarded-ssl: on\r\nx-forwarded-scheme: https\r\nx-forwarded-uri: /admin\r\nx-forwarded-method: PUT",
    "x-forwarded-prefix: /admin\r\nx-forwarded-client-cert: By=victim",
    "front-end-https: on\r\nx-scheme: https",
    "x-real-ip: 10.0.0.1",
    "x-client-ip: 10.0.0.1\r\nx-cluster-client-ip: 10.0.0.1\r\ntrue-client-ip: 10.0.0.1",
    "forwarded: for=10.0.0.1;host=victim.example",
    "x-original-forwarded-for: 10.0.0.1\r\nx-original-host: victim.example\r\nx-original-method: PUT",
    "X-Original-URL: /admin",
    "x-rewrite-url: /admin",
    "proxy: http://victim.example",
    "Proxy: a\r\nproxy: b",
];

#[test]
fn what_a_client_sends_under_our_names_and_envoys_is_neither_obeyed_nor_forwarded() {
    let (upstreams, serving) = start();
    // The upstream that responded, and all headers that reached any upstream.
    let served_by = |host: &str, path: &str, headers: &[u8]| {
        let answer = get_with(&serving, host, path, headers);
        let received = upstreams.take_received();
        (answer.by(), received.into_iter().map(without_request_id).collect::<Vec<_>>())
    };
    for (host, path, expected) in [
        ("states.example", "/matched", "open"),
        ("states.example", "/unmatched", "404"),
        ("unknown.example", "/", "404"),
        ("states.example", "/missing", "503"),
        ("states.example", "/down", "503"),
        ("victim.example", "/", "victim"),
    ] {
        let plain = served_by(host, path, b"");
        assert_eq!(plain.0, expected);
        assert_eq!(plain.1.len(), usize::from(expected.parse::<u16>().is_err()));
        for spoofed in SPOOFED {
            let headers = spoofed.replace("VICTIM", VICTIM) + "\r\n";
            let outcome = served_by(host, path, headers.as_bytes());
            assert_eq!(outcome, plain, "{spoofed} to {host}{path}");
        }
    }
    assert_unharmed(&serving);
}

/// The gateway trusts a proxy in front for the client's address and scheme, not for
/// headers that the gateway or an upstream would treat as a decision.
#[test]
fn behind_a_trusted_proxy_paths_and_internal_headers_are_removed_too() {
    let upstreams = Upstreams::start();
    let flags = ["--trusted-hops", "1", "--access-log=false"];
    let serving = Serving::start_with(&upstreams.manifests(), &flags);
    let headers = "x-original-url: /admin\r\nx-rewrite-url: /admin\r\nproxy: http://a.example\r\n\
                   x-envoy-anything: 1\r\nx-ingress-anything: 1\r\nx-real-ip: 192.0.2.1\r\n";
    let answer = get_with(&serving, "states.example", "/matched", headers.as_bytes());
    assert_eq!(answer.by(), "open");
    let received = upstreams.take_received().remove(0);
    let has = |header: &str| received.headers.iter().any(|(name, _)| name == header);
    assert!(has("x-real-ip"));
    let removed =
        ["x-original-url", "x-rewrite-url", "proxy", "x-envoy-anything", "x-ingress-anything"];
    assert_eq!(removed.map(has), [false; 5], "{:?}", received.headers);
}

const TRAILERS: [(&[u8], &[u8]); 7] = [
    (b"host", b"victim.example"),
    (b"x-ingress-cluster", VICTIM.as_bytes()),
    (b"x-envoy-retry-on", b"5xx"),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"x-original-url", b"/admin"),
    (b"authorization", b"Basic YTph"),
    (b"x-checksum", b"1"),
];

/// A server may treat them as headers.
#[test]
fn no_trailer_of_a_request_is_forwarded() {
    let upstream = Upstream::start("web");
    let manifests = upstream.manifests("one", "http", 80)
        + &upstream.manifests("two", "grpc", 80)
        + "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - http:
      paths:
      - {path: /one, pathType: Prefix, backend: {service: {name: one, port: {number: 80}}}}
      - {path: /two, pathType: Prefix, backend: {service: {name: two, port: {number: 80}}}}
";
    let serving = Serving::start(&manifests);
    for (path, version) in [("/one", Version::HTTP_11), ("/two", Version::HTTP_2)] {
        let fields: [(&[u8], &[u8]); 4] = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.as_bytes()),
            (b":authority", b"any.example"),
        ];
        let over_http2 = h2_request_with_trailers(serving.http, &fields, &TRAILERS);
        let trailers = TRAILERS.map(|(name, value)| [name, b": ", value, b"\r\n"].concat());
        let chunked = [
            request("POST", path.as_bytes(), b"any.example", b"transfer-encoding: chunked\r\n"),
            b"1\r\na\r\n0\r\n".to_vec(),
            trailers.concat(),
            b"\r\n".to_vec(),
        ];
        let over_http1 = raw(serving.http, &chunked.concat()).status;
        assert_eq!((over_http2, over_http1), (Some(200), 200), "{path}");
        let received = upstream.take_received();
        let received: Vec<_> = received
            .iter()
            .map(|request| (request.version, &*request.body, &*request.trailers))
            .collect();
        assert_eq!(received, [(version, &b""[..], &[][..]), (version, b"a", &[])], "{path}");
    }
}

/// The headers of a request, sorted, except the one that is always different.
pub(crate) fn without_request_id(received: Received) -> Vec<(String, Vec<u8>)> {
    let mut headers = received.headers;
    headers.retain(|(name, _)| name != "x-request-id");
    headers.sort();
    headers
}

/// Envoy with the output of `ingressctl compile`, whose listener is changed by
/// `edit`.
fn envoy_with(upstreams: &Upstreams, edit: impl FnOnce(&mut Value)) -> OwnEnvoy {
    let folder = compiled(&upstreams.manifests());
    edit_json(&folder.path().join("lds.json"), |response| {
        let listener = &mut response["resources"][0];
        edit(&mut listener["filter_chains"][0]["filters"][0]["typed_config"]);
    });
    OwnEnvoy::start(&folder.path().join("bootstrap.json"))
}

/// Removes a field of the connection manager, which must have it.
fn without(manager: &mut Value, field: &str) {
    manager.as_object_mut().unwrap().remove(field).expect(field);
}

const EARLY_MUTATION: &str = "early_header_mutation_extensions";

#[test]
fn envoy_alone_keeps_a_clients_cluster_header_from_its_route() {
    let upstreams = Upstreams::start();
    let hijack = |edge: &Edge| {
        let header = format!("x-ingress-cluster: {VICTIM}\r\n");
        get_with(edge, "any.example", "/", header.as_bytes()).by()
    };
    let without_filter = |manager: &mut Value| {
        manager["http_filters"].as_array_mut().unwrap().remove(0);
    };
    assert_eq!(hijack(&envoy_with(&upstreams, without_filter)), "503");
    // This mutation is what protects the header.
    let neither = envoy_with(&upstreams, |manager| {
        without_filter(manager);
        without(manager, EARLY_MUTATION);
    });
    assert_eq!(hijack(&neither), "victim");
}

#[test]
fn envoys_headers_from_a_client_are_ignored_twice_over() {
    let upstreams = Upstreams::start();
    let in_a_hurry = |edge: &Edge| {
        let headers = b"x-delay-ms: 500\r\nx-envoy-upstream-rq-timeout-ms: 50\r\n";
        get_with(edge, "foo.example.com", "/", headers).by()
    };
    assert_eq!(in_a_hurry(&envoy_with(&upstreams, |_| {})), "open");
    let not_removed = |manager: &mut Value| without(manager, EARLY_MUTATION);
    assert_eq!(in_a_hurry(&envoy_with(&upstreams, not_removed)), "open", "no client is internal");
    let internal_range = json!([{"address_prefix": "127.0.0.0", "prefix_len": 8}]);
    let internal = |manager: &mut Value| {
        manager["internal_address_config"]["cidr_ranges"] = internal_range.clone();
    };
    assert_eq!(in_a_hurry(&envoy_with(&upstreams, internal)), "open", "the headers are removed");
    // Without both protections, headers of internal clients take effect.
    let obeyed = envoy_with(&upstreams, |manager| {
        not_removed(manager);
        internal(manager);
    });
    assert_eq!(in_a_hurry(&obeyed), "504");
}

#[test]
fn the_filter_alone_removes_all_of_a_clients_internal_headers() {
    let manifests = read_text("manifests.yaml", &Upstreams::start().manifests());
    let compiled = compile(&manifests, &Settings::default());
    let mut table = (**compiled.gateway.table).clone();
    table.sanitized_by_envoy = false;
    let filter = Offline::of_table(&table);
    let request = |path: &str| {
        filter.request(&[
            (":method", b"GET"),
            ("x-ingress-cluster", VICTIM.as_bytes()),
            (":authority", b"states.example"),
            ("x-ingress-mirror", VICTIM.as_bytes()),
            (":path", path.as_bytes()),
            ("x-ingress-cluster", b"\xff"),
            ("X-Ingress-Cluster", VICTIM.as_bytes()),
            ("x-ingress-", b""),
            ("x-other", b"\x80"),
            ("x-ingress-mirror", b"2"),
        ])
    };
    let forwarded = request("/matched").request.headers;
    let internal: Vec<_> =
        forwarded.iter().filter(|(name, _)| name.starts_with(b"x-ingress-")).collect();
    let cluster = b"open.default.svc.cluster.local|80";
    assert_eq!(internal, [(&b"x-ingress-cluster"[..], &cluster[..])]);
    assert_eq!(forwarded.get("x-other"), Some(&b"\x80"[..]));

    for (path, status) in [("/unmatched", 404), ("/missing", 503)] {
        let record = request(path);
        assert_eq!(record.local_reply.expect("the filter answers").status, status, "{path}");
        assert!(!record.request.headers.contains("x-ingress-cluster"), "{path}");
    }
}
