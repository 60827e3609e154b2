//! What an edge must survive: hostile requests to a real Envoy with the
//! configuration that `ingressctl` writes.

use ingress_tests::{
    Answer, Edge, Offline, OwnEnvoy, Received, Serving, Upstream, compiled, edit_json, h2_request,
    raw,
};
use ingressctl::compile::compile;
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;
use serde_json::{Value, json};

/// Three upstreams: `/admin` has one of its own, and one has a host of its own,
/// `victim.example`.
struct Upstreams {
    open: Upstream,
    admin: Upstream,
    victim: Upstream,
}

/// What names the victim's cluster to Envoy.
const VICTIM: &str = "victim.default.svc.cluster.local|80";

const ROUTES: &str = "
apiVersion: v1
kind: Service
metadata: {name: down}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: down}
subsets: []
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: routes, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: paths.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: open, port: {number: 80}}}}
      - {path: /admin, pathType: Prefix, backend: {service: {name: admin, port: {number: 80}}}}
  - host: foo.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: open, port: {number: 80}}}}]}
  - host: '*.wild.example'
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: open, port: {number: 80}}}}]}
  - host: victim.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: victim, port: {number: 80}}}}]}
  - host: states.example
    http:
      paths:
      - {path: /matched, pathType: Exact, backend: {service: {name: open, port: {number: 80}}}}
      - {path: /missing, pathType: Exact, backend: {service: {name: missing, port: {number: 80}}}}
      - {path: /down, pathType: Exact, backend: {service: {name: down, port: {number: 80}}}}
";

impl Upstreams {
    fn start() -> Self {
        let [open, admin, victim] = ["open", "admin", "victim"].map(Upstream::start);
        Self { open, admin, victim }
    }

    fn manifests(&self) -> String {
        self.open.manifests("open", "http", 80)
            + &self.admin.manifests("admin", "http", 80)
            + &self.victim.manifests("victim", "http", 80)
            + ROUTES
    }

    /// What has reached any of them since the last call.
    fn take_received(&self) -> Vec<Received> {
        let all = [&self.open, &self.admin, &self.victim];
        all.into_iter().flat_map(Upstream::take_received).collect()
    }
}

fn start() -> (Upstreams, Serving) {
    let upstreams = Upstreams::start();
    let serving = Serving::start(&upstreams.manifests());
    (upstreams, serving)
}

/// A request of these parts, of which each may be hostile.
fn request(method: &str, target: &[u8], host: &[u8], headers: &[u8]) -> Vec<u8> {
    [method.as_bytes(), b" ", target, b" HTTP/1.1\r\nhost: ", host, b"\r\n", headers, b"\r\n"]
        .concat()
}

fn get_with(edge: &Edge, host: &str, target: &str, headers: &[u8]) -> Answer {
    raw(edge.http, &request("GET", target.as_bytes(), host.as_bytes(), headers))
}

/// After all that: it serves, and the module has never been started anew.
#[track_caller]
fn assert_unharmed(edge: &Edge) {
    let answer = edge.get("foo.example.com", "/");
    assert_eq!((answer.by().as_str(), answer.header("server")), ("open", Some("envoy")));
    for name in ["vm_reload", "vm_reload_backoff", "vm_reload_success", "vm_reload_failure"] {
        assert_eq!(edge.stat(&format!("wasm.ingress.{name}")), 0, "{name}");
    }
}

/// What serves a target, and which path it gets; or the status of a refusal.
type Outcome<'a> = Result<(&'a str, &'a str), u16>;

#[test]
fn what_decides_is_the_path_that_the_upstream_gets() {
    let (upstreams, serving) = start();
    let cases: &[(&[u8], Outcome<'_>)] = &[
        (b"/admin", Ok(("admin", "/admin"))),
        (b"//admin", Ok(("admin", "/admin"))),
        (b"///admin", Ok(("admin", "/admin"))),
        (b"/./admin", Ok(("admin", "/admin"))),
        (b"/x/../admin", Ok(("admin", "/admin"))),
        (b"/../admin", Ok(("admin", "/admin"))),
        (b"/%61dmin", Ok(("admin", "/admin"))),
        (b"/%2e%2e/admin", Ok(("admin", "/admin"))),
        (b"/x\\..\\admin", Ok(("admin", "/admin"))),
        (b"\\admin", Err(400)),
        (b"http://paths.example/admin", Ok(("admin", "/admin"))),
        (b"/admin?x=/../y", Ok(("admin", "/admin?x=/../y"))),
        (b"/admin/..", Ok(("open", "/"))),
        (b"/admin/%2e%2e/x", Ok(("open", "/x"))),
        (b"/x%2f..%2fadmin", Err(400)),
        (b"/x%5c..%5cadmin", Err(400)),
        (b"/admin%2f", Err(400)),
        (b"/admin%2F", Err(400)),
        (b"/admin%00", Err(400)),
        // Never decoded a second time.
        (b"/%2561dmin", Ok(("open", "/%2561dmin"))),
        (b"/x/%252e%252e/admin", Ok(("open", "/x/%252e%252e/admin"))),
        (b"/admin%23f", Ok(("open", "/admin%23f"))),
        (b"/admin%3fx", Ok(("open", "/admin%3fx"))),
        (b"/admin%20", Ok(("open", "/admin%20"))),
        (b"/admin%c0%af", Ok(("open", "/admin%c0%af"))),
        (b"/%zz", Ok(("open", "/%zz"))),
        (b"/%", Ok(("open", "/%"))),
        (b"/admin;x=1", Ok(("open", "/admin;x=1"))),
        (b"/ADMIN", Ok(("open", "/ADMIN"))),
        // The query takes no part.
        (b"/x?y=/admin", Ok(("open", "/x?y=/admin"))),
        (b"/x?/../admin", Ok(("open", "/x?/../admin"))),
        (b"/?/admin", Ok(("open", "/?/admin"))),
        (b"/admin\x01", Err(400)),
        (b"/admin\tx", Err(400)),
        (b"/admin\x7f", Err(400)),
        (b"/admin\x80", Err(400)),
        (b"/admin\xff", Err(400)),
        (b"/admin#f", Err(400)),
        (b"/x?#/admin", Err(400)),
        (b"admin", Err(400)),
        (b"", Err(400)),
        // Envoy merges the slashes of every path but this one.
        (b"//", Ok(("open", "//"))),
    ];
    for (target, expected) in cases {
        let answer = raw(serving.http, &request("GET", target, b"paths.example", b""));
        let received = upstreams.take_received();
        let outcome = match &received[..] {
            [] => Err(answer.status),
            [one] => Ok((answer.by(), one.path.clone())),
            several => panic!("{several:?}"),
        };
        let expected = expected.map(|(by, path)| (by.to_owned(), path.to_owned()));
        assert_eq!(outcome, expected, "{}", target.escape_ascii());
    }
    assert_unharmed(&serving);
}

#[test]
fn a_malformed_host_is_nobodys() {
    let (upstreams, serving) = start();
    let cases: &[(&[u8], &str)] = &[
        (b"foo.example.com", "open"),
        (b"FOO.Example.COM", "open"),
        (b"foo.example.com:8443", "open"),
        (b"foo.example.com.", "open"),
        (b"foo.example.com..", "404"),
        (b"foo.example.com:abc", "404"),
        (b"foo.example.com:80:80", "404"),
        (b":abc", "404"),
        (b":", "404"),
        (b"", "404"),
        (b"a b", "400"),
        (b"x@foo.example.com", "404"),
        (b"foo.example.com, victim.example", "400"),
        (b"foo.example.com,victim.example", "404"),
        (b"foo.example.com\r\nhost: victim.example", "404"),
        (b"victim.example\r\nhost: foo.example.com", "404"),
        (b"foo%2eexample.com", "404"),
        (b"foo.example.com/", "400"),
        (b"foo.example.com#", "400"),
        (b"foo.example.com\x80", "400"),
        (b"foo.example.com\x00", "400"),
        (b"[::1", "404"),
        (b"a.wild.example", "open"),
        (b"a.b.wild.example", "404"),
        (b".wild.example", "404"),
        (b"..wild.example", "404"),
        (b"*.wild.example", "404"),
        (b"wild.example", "404"),
    ];
    for (host, expected) in cases {
        let answer = raw(serving.http, &request("GET", b"/", host, b""));
        assert_eq!(answer.by(), *expected, "{}", host.escape_ascii());
        assert_eq!(upstreams.victim.take_received().len(), 0, "{}", host.escape_ascii());
    }
    // The host of an absolute target counts, whatever the header says.
    let absolute = request("GET", b"http://victim.example/", b"foo.example.com", b"");
    assert_eq!(raw(serving.http, &absolute).by(), "victim");
    assert_unharmed(&serving);
}

#[test]
fn what_is_no_request_for_a_path_is_refused() {
    let (upstreams, serving) = start();
    let long = [b"/".to_vec(), vec![b'a'; 70_000]].concat();
    let many = b"a: b\r\n".repeat(101);
    let large = [&b"a: "[..], &vec![b'b'; 61 * 1024], b"\r\n"].concat();
    let cases: &[(&str, &[u8], &[u8], u16)] = &[
        ("TRACE", b"/", b"", 405),
        ("TRACE", b"/admin", b"", 405),
        ("trace", b"/", b"", 400),
        ("OPTIONS", b"*", b"", 404),
        ("GET", b"*", b"", 400),
        ("CONNECT", b"paths.example:80", b"", 404),
        ("CONNECT", b"/", b"", 400),
        ("CONNECT", b"127.0.0.1:9901", b"", 404),
        ("PRI", b"*", b"", 400),
        ("GET", &long, b"", 431),
        ("GET", b"/", &many, 431),
        ("GET", b"/", &large, 431),
    ];
    for (method, target, headers, status) in cases {
        let answer = raw(serving.http, &request(method, target, b"paths.example", headers));
        let what = format!("{method} {}", target[..target.len().min(20)].escape_ascii());
        assert_eq!(answer.status, *status, "{what}");
        assert_eq!(upstreams.take_received().len(), 0, "{what}");
    }
    assert_unharmed(&serving);
}

#[test]
fn a_message_whose_end_is_ambiguous_is_refused() {
    let (upstreams, serving) = start();
    let cases: &[&[u8]] = &[
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: +5\r\n",
        b"content-length: 5, 5\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding : chunked\r\n",
        b"no colon\r\n",
        b": no name\r\n",
        b"a: b\x00\r\n",
    ];
    for headers in cases {
        let smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nhost: paths.example\r\n\r\n";
        let first = request("POST", b"/", b"paths.example", headers);
        let status = raw(serving.http, &[&first, &smuggled[..]].concat()).status;
        assert!(matches!(status, 400 | 501), "{}: {status}", headers.escape_ascii());
        let received = upstreams.take_received();
        assert_eq!(received.len(), 0, "{}", headers.escape_ascii());
    }
    assert_unharmed(&serving);
}

#[test]
fn header_values_are_bytes_and_pass_unchanged() {
    let (upstreams, serving) = start();
    let high: Vec<u8> = (0x80..=0xff).collect();
    let large = vec![b'b'; 59 * 1024];
    for values in [&[&high[..]][..], &[b""], &[&large], &[b"a", b"", &high, b"a"]] {
        let headers: Vec<u8> =
            values.iter().flat_map(|value| [b"x-bytes: ", *value, b"\r\n"].concat()).collect();
        let answer = get_with(&serving, "paths.example", "/", &headers);
        assert_eq!(answer.by(), "open");
        let [received] = &upstreams.take_received()[..] else { panic!("one request") };
        assert_eq!(received.values("x-bytes"), values);
    }
    assert_unharmed(&serving);
}

#[test]
fn a_header_name_that_is_none_is_refused_before_the_filter() {
    let (upstreams, serving) = start();
    let names: [&[u8]; 7] = [
        b"x\x80",
        b"x\xc3\xa9",
        b"\xff",
        b"x-ingress-\xff",
        b"x y",
        b"x\x00",
        b"x_ingress_cluster",
    ];
    for name in names {
        let status = get_with(&serving, "paths.example", "/", &[name, b": 1\r\n"].concat()).status;
        assert_eq!(status, 400, "{}", name.escape_ascii());

        let status = h2_get(&serving, "paths.example", &[(name, b"1")]);
        assert!(matches!(status, None | Some(400)), "{}: {status:?}", name.escape_ascii());
        assert_eq!(upstreams.take_received().len(), 0, "{}", name.escape_ascii());
    }
    assert_eq!(h2_get(&serving, "paths.example", &[(b"x-good", b"\x80\xff")]), Some(200));
    assert_unharmed(&serving);
}

fn h2_get(edge: &Edge, host: &str, headers: &[(&[u8], &[u8])]) -> Option<u16> {
    let pseudo: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", host.as_bytes()),
        (b":path", b"/"),
    ];
    h2_request(edge.http, &[&pseudo, headers].concat())
}

/// Headers by which a client might reach what is not for it. `VICTIM` stands
/// for the cluster.
const SPOOFED: &[&str] = &[
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
    "x-forwarded-proto: https",
    "x-real-ip: 10.0.0.1",
    "forwarded: for=10.0.0.1;host=victim.example",
];

#[test]
fn what_a_client_sends_under_our_names_and_envoys_is_neither_obeyed_nor_forwarded() {
    let (upstreams, serving) = start();
    // What answers, and all headers that reached any upstream.
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

/// The headers of a request, sorted, but the one that is another one each time.
fn without_request_id(received: Received) -> Vec<(String, Vec<u8>)> {
    let mut headers = received.headers;
    headers.retain(|(name, _)| name != "x-request-id");
    headers.sort();
    headers
}

/// Envoy on what `ingressctl compile` writes, the listener changed by `edit`.
fn envoy_with(upstreams: &Upstreams, edit: impl FnOnce(&mut Value)) -> OwnEnvoy {
    let folder = compiled(&upstreams.manifests());
    edit_json(&folder.path().join("lds.json"), |response| {
        let listener = &mut response["resources"][0];
        edit(&mut listener["filter_chains"][0]["filters"][0]["typed_config"]);
    });
    OwnEnvoy::start(&folder.path().join("bootstrap.json"))
}

/// Takes a field out of the connection manager, which has it.
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
    // It is this that keeps it.
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
    assert_eq!(in_a_hurry(&envoy_with(&upstreams, not_removed)), "open", "nobody is internal");
    let internal_range = json!([{"address_prefix": "127.0.0.0", "prefix_len": 8}]);
    let internal = |manager: &mut Value| {
        manager["internal_address_config"]["cidr_ranges"] = internal_range.clone();
    };
    assert_eq!(in_a_hurry(&envoy_with(&upstreams, internal)), "open", "they are removed");
    // With neither, whoever is internal is obeyed.
    let obeyed = envoy_with(&upstreams, |manager| {
        not_removed(manager);
        internal(manager);
    });
    assert_eq!(in_a_hurry(&obeyed), "504");
}

#[test]
fn the_filter_alone_removes_all_of_a_clients_internal_headers() {
    let manifests = read_text("manifests.yaml", &Upstreams::start().manifests());
    let mut table = compile(&manifests, &Settings::default()).table;
    table.sanitized_by_envoy = false;
    let filter = Offline::of_table(&serde_json::to_string(&table).unwrap());
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

#[test]
fn nothing_is_tunnelled_where_no_rule_allows_it() {
    let (upstreams, serving) = start();
    for (headers, status) in [
        ("connection: upgrade\r\nupgrade: websocket", 403),
        ("Connection: Upgrade\r\nUpgrade: WebSocket", 403),
        ("connection: upgrade\r\nupgrade: h2c, websocket", 403),
        ("connection: upgrade\r\nupgrade: websocket, h2c", 403),
        ("connection: upgrade\r\nupgrade: TLS/1.2", 403),
        // Envoy leaves the upgrade out and serves the request without.
        ("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk", 200),
        ("upgrade: websocket", 200),
    ] {
        let answer = get_with(&serving, "paths.example", "/", format!("{headers}\r\n").as_bytes());
        assert_eq!(answer.status, status, "{headers}");
        for received in upstreams.take_received() {
            for name in ["upgrade", "connection", "http2-settings"] {
                assert_eq!(received.values(name).len(), 0, "{name} of {headers}");
            }
        }
    }
    for path in ["/missing", "/unmatched"] {
        let headers = b"connection: upgrade\r\nupgrade: websocket\r\n";
        let status = get_with(&serving, "states.example", path, headers).status;
        assert!(matches!(status, 403 | 404 | 503), "{path}: {status}");
    }
    for protocol in ["websocket", "connect-udp"] {
        let fields: [(&[u8], &[u8]); 5] = [
            (b":method", b"CONNECT"),
            (b":protocol", protocol.as_bytes()),
            (b":scheme", b"http"),
            (b":authority", b"paths.example"),
            (b":path", b"/"),
        ];
        assert_ne!(h2_request(serving.http, &fields), Some(200), "{protocol}");
        assert_eq!(upstreams.take_received().len(), 0, "{protocol}");
    }
    assert_eq!(serving.stat("http.ingress_http.downstream_cx_upgrades_total"), 0);
    assert_unharmed(&serving);
}

#[test]
fn the_scheme_is_what_the_listener_says() {
    let (upstreams, serving) = start();
    for scheme in ["javascript", "https", "http"] {
        let fields: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":scheme", scheme.as_bytes()),
            (b":authority", b"paths.example"),
            (b":path", b"/"),
        ];
        h2_request(serving.http, &fields);
        for received in upstreams.take_received() {
            assert_eq!(received.values("x-forwarded-proto"), [b"http"], "{scheme}");
        }
    }
    assert_unharmed(&serving);
}

#[test]
fn the_compiler_refuses_just_the_characters_that_never_arrive_literally() {
    let (upstreams, serving) = start();
    let printable = (b' '..=b'~').map(|byte| char::from(byte).to_string());
    let escapes = (0..=u8::MAX).flat_map(|byte| [format!("%{byte:02x}"), format!("%{byte:02X}")]);
    let mut wrong = Vec::new();
    for text in printable.chain(escapes) {
        let path = format!("/a{text}b");
        raw(serving.http, &request("GET", path.as_bytes(), b"paths.example", b""));
        let received = upstreams.take_received();
        // The path ends before the query.
        let arrives = received.iter().any(|one| one.path.split('?').next() == Some(&path));
        if arrives != is_compiled(&path) {
            wrong.push((text, received.into_iter().map(|one| one.path).collect::<Vec<_>>()));
        }
    }
    assert!(
        wrong.is_empty(),
        "refused but arriving, or arriving changed but not refused: {wrong:?}"
    );
}

/// Whether an Ingress may have this path, of type `Exact`.
fn is_compiled(path: &str) -> bool {
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "path", "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"rules": [{"http": {"paths": [{
            "path": path,
            "pathType": "Exact",
            "backend": {"service": {"name": "missing", "port": {"number": 80}}}
        }]}}]}
    });
    let manifests = read_text("path.json", &ingress.to_string());
    let table = compile(&manifests, &Settings::default()).table;
    table.virtual_hosts.iter().any(|host| !host.routes.is_empty())
}
