//! `ingressctl explain` predicts the behaviour of a real Envoy.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::process::{Command, Output, Stdio};

use ingress_tests::{Received, Serving, Upstream, ingressctl, is_added_by_envoy, raw};
use ingressctl::compile::{Compiled, compile};
use ingressctl::explain::{Explanation, Request, explain};
use ingressctl::manifest::read_text;
use ingressctl::settings::{EscapedSlashes, Settings};

const ROUTES: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: routes, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: h.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: open, port: {number: 80}}}}
      - {path: /admin, pathType: Prefix, backend: {service: {name: admin, port: {number: 80}}}}
      - {path: /missing, pathType: Prefix, backend: {service: {name: missing, port: {number: 80}}}}
  - host: '*.wild.example'
    http: {paths: [{path: /exact, pathType: Exact, backend: {service: {name: open, port: {number: 80}}}}]}
";

/// The result of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Answered(u16),
    Forwarded { to: String, host: String, path: String, headers: BTreeMap<String, String> },
}

/// A method, a URL, and headers.
type Case<'a> = (&'a str, &'a str, &'a [&'a str]);

/// An Envoy with its upstream, and the input of `explain` for it.
struct Both {
    upstreams: [Upstream; 2],
    serving: Serving,
    settings: Settings,
    compiled: Compiled,
}

impl Both {
    fn start(trusted_hops: u32) -> Self {
        let settings = Settings { trusted_hops, ..Settings::default() };
        Self::with(settings, &["--trusted-hops", &trusted_hops.to_string()])
    }

    /// The gateway with `flags`, which mean the same as `settings`.
    fn with(settings: Settings, flags: &[&str]) -> Self {
        let upstreams = ["open", "admin"].map(Upstream::start);
        let [open, admin] = &upstreams;
        let manifests =
            open.manifests("open", "http", 80) + &admin.manifests("admin", "http", 80) + ROUTES;
        let flags = [&["--access-log=false"], flags].concat();
        Self {
            serving: Serving::start_with(&manifests, &flags),
            compiled: compile(&read_text("manifests.yaml", &manifests), &settings),
            upstreams,
            settings,
        }
    }

    /// Fails if `explain` and Envoy differ for any of these requests.
    #[track_caller]
    fn assert_agreement(&self, cases: &[Case<'_>]) {
        let differences: Vec<_> = cases
            .iter()
            .map(|case| (case, self.explained(*case), self.observed(*case)))
            .filter(|(_, explained, observed)| explained != observed)
            .map(|(case, explained, observed)| {
                format!("{case:?}\n  explain: {explained:?}\n  Envoy:   {observed:?}")
            })
            .collect();
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    fn explain(&self, request: &Request) -> Explanation {
        explain(&self.compiled.gateway.table, &self.settings, request).expect("the module runs")
    }

    fn explained(&self, case: Case<'_>) -> Outcome {
        let explanation = self.explain(&request(case));
        match explanation.status {
            Some(status) => {
                assert_eq!(explanation.cluster, None, "{case:?}");
                Outcome::Answered(status)
            }
            None => Outcome::Forwarded {
                to: service(&explanation.cluster.expect("a cluster")),
                host: explanation.host,
                path: explanation.path,
                headers: explanation
                    .request_headers
                    .into_iter()
                    .filter(|(name, _)| !is_added_by_envoy(name))
                    .collect(),
            },
        }
    }

    fn observed(&self, case: Case<'_>) -> Outcome {
        let answer = raw(self.serving.http, &bytes_of(case));
        let mut received: Vec<_> =
            self.upstreams.iter().flat_map(Upstream::take_received).collect();
        match (answer.header("x-upstream"), received.pop()) {
            (None, None) => Outcome::Answered(answer.status),
            (Some(to), Some(received)) => Outcome::Forwarded {
                to: to.to_owned(),
                host: text(&received.values("host").join(&b',')),
                path: received.path.clone(),
                headers: headers_of(&received),
            },
            (by, received) => panic!("{case:?}: answered by {by:?}, received {received:?}"),
        }
    }
}

fn request((method, url, headers): Case<'_>) -> Request {
    let headers: Vec<_> = headers.iter().map(ToString::to_string).collect();
    Request::new(method, url, &headers).expect("a request")
}

/// The request in bytes.
fn bytes_of(case: Case<'_>) -> Vec<u8> {
    let Request { method, authority, target, .. } = request(case);
    let target = if target.is_empty() { &authority } else { &target };
    let is_host = |header: &str| header.to_ascii_lowercase().starts_with("host:");
    let headers: String = case
        .2
        .iter()
        .filter(|header| !is_host(header))
        .flat_map(|header| [header, "\r\n"])
        .collect();
    format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\n{headers}\r\n").into_bytes()
}

/// The service of a cluster.
fn service(cluster: &str) -> String {
    cluster.split('.').next().unwrap_or_default().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Joins repeated headers as `explain` does.
fn headers_of(received: &Received) -> BTreeMap<String, String> {
    let names = received.header_names().into_iter().filter(|name| *name != "host");
    names
        .map(|name| (name.to_owned(), text(&received.values(name).join(&b','))))
        .filter(|(name, _)| !is_added_by_envoy(name))
        .collect()
}

#[test]
fn it_agrees_with_envoy_about_targets() {
    let targets = [
        "",
        "?x",
        "/",
        "//",
        "///",
        "//?x",
        "//.",
        "//..",
        "///..",
        "/admin",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/..",
        "/..",
        "/a/./b/.",
        "/a//../b",
        "/%61dmin",
        "/%2e%2e/admin",
        "/x\\..\\admin",
        "/x/..;/admin",
        "/x/.;y/admin",
        "/x/..;y?z",
        "/x/%2e%2e;/admin",
        "/x\\..;/admin",
        "/x/..;y\\admin",
        "/x/..;%2f",
        "/admin;x",
        "/admin;/../x",
        "/%2561dmin",
        "/%2%66",
        "/%%36%31",
        "/%%36b",
        "/%a%62%63",
        "/%2%67",
        "/%zz/%",
        "/%+f",
        "/%c0%af",
        "/%20",
        "/%7E%2a",
        "/\"<>^`{|}",
        "/!$&'()*+,;=:@[]~",
        "/x?^`{|}//..%2f",
        "/a%2fb",
        "/a%5Cb",
        "/a%2f%2Fb",
        "/admin%2fx",
        "/admin/x%2fy",
        "/%2fadmin",
        "/x%2f..%2fadmin",
        "/x/..;y%5cz",
        "/a%00",
        "/a b",
        "/a\u{e9}",
        "/a\tb",
        "/x#y",
        "/x://y",
        "/missing",
        "/missing/x",
        "/ADMIN",
        "/adminx",
    ];
    let urls = targets.map(|target| format!("h.example{target}"));
    let cases: Vec<Case<'_>> = urls.iter().map(|url| ("GET", url.as_str(), &[][..])).collect();
    Both::start(0).assert_agreement(&cases);
    keeping_slashes().assert_agreement(&cases);
}

fn keeping_slashes() -> Both {
    let settings = Settings { escaped_slashes: EscapedSlashes::Keep, ..Settings::default() };
    Both::with(settings, &["--escaped-slashes", "keep"])
}

#[test]
fn it_agrees_with_envoy_about_hosts_and_methods() {
    let both = Both::start(0);
    let hosts = [
        "H.Example",
        "h.example.",
        "h.example:80",
        "h.example:",
        "h.example:65536",
        "h.example:123456",
        "h.example:abc",
        "h.example..",
        "x@h.example",
        "a b",
        "h/x",
        "h\\x",
        "h\"x",
        "h^x",
        "h%41",
        "h,x",
        "[::1]:80",
        "[::1",
        "",
        ":80",
        "x.wild.example",
        "x.y.wild.example",
        "*.wild.example",
        "\u{e9}.example",
        "other.example",
    ];
    let headers = hosts.map(|host| [format!("Host: {host}")]);
    let headers: Vec<_> = headers.iter().map(|[host]| [host.as_str()]).collect();
    let cases: Vec<Case<'_>> =
        headers.iter().map(|host| ("GET", "HTTP://x/exact", &host[..])).collect();
    both.assert_agreement(&cases);

    let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PURGE",
        "MSEARCH", "PROPFIND", "FOO", "get", "G(T", "QUERY", "UPDATE",
    ];
    for url in ["h.example/x", "h.example/missing", "x.wild.example/x"] {
        both.assert_agreement(&methods.map(|method| (method, url, &[][..])));
    }
    both.assert_agreement(&[("TRACE", "a..b/x", &[])]);
    both.assert_agreement(
        &["h.example:80", "h.example", "h.example:", "[::1]:80", "a^:80"]
            .map(|url| ("CONNECT", url, &[][..])),
    );
}

#[test]
fn it_agrees_with_envoy_about_headers() {
    let cases: &[&[&str]] = &[
        &["X-Own: a", "x-own: b", "accept: a", "accept: b", "cookie: a=b"],
        &["x-empty:", "x-padded: \t a b\t "],
        &["x y: z"],
        &["x-y : z"],
        &["x_y: z"],
        &["x(y: z"],
        &["x!#$%&'*+.^`|~: z"],
        &["x: \u{1}"],
        &["x: a\tb"],
        &["x: \u{7f}"],
        &["x: \u{e9}"],
        &["te: trailers"],
        &["te: gzip"],
        &["te: gzip, trailers"],
        &["te: trailers;q=1"],
        &["keep-alive: 5", "proxy-connection: keep-alive"],
        &["connection: close"],
        &["connection: X-A, close", "x-a: 1", "x-b: 2"],
        &["connection: x-a", "connection: x-b", "x-a: 1", "x-b: 2"],
        &["connection: te", "te: trailers"],
        &["connection: http2-settings", "http2-settings: x"],
        &["connection: host"],
        &["connection: x-forwarded-for"],
        &["connection: x-forwarded-port"],
        &["connection: :path"],
        &["connection: a,b,c,d,e,f,g,h,i"],
        &["connection: a,b,c,d,e,f,g,h,i,j"],
        &["upgrade: websocket"],
        &["upgrade: websocket", "connection: upgrade"],
        &["Upgrade: foo", "Connection: keep-alive, Upgrade"],
        &["upgrade: foo", "connection: upgrade, host"],
        &["upgrade: foo", "connection: upgrade", "host: other.example"],
        &["upgrade: h2c", "connection: upgrade, http2-settings", "http2-settings: x"],
        &["upgrade: h2c, websocket", "connection: upgrade"],
        &["upgrade: foo", "connection: close"],
        &["transfer-encoding: gzip"],
        &["transfer-encoding: gzip", "x_y: z"],
        &["transfer-encoding: gzip", "host: a b"],
        &["content-length: 0"],
        &["content-length: x"],
        &["content-length: -1"],
        &["content-length: 0", "content-length: 0"],
        &["content-length:"],
        &["content-length: 99999999999999999999"],
        &["content-length: 0", "transfer-encoding: chunked"],
        &["x-ingress-cluster: admin.default.svc.cluster.local|80", "x-envoy-retry-on: 5xx"],
        &["x-request-id: own", "x-forwarded-client-cert: x", "via: x", "x-forwarded-path: /x"],
    ];
    let cases: Vec<Case<'_>> =
        cases.iter().map(|headers| ("GET", "h.example/x", *headers)).collect();
    Both::start(0).assert_agreement(&cases);
}

#[test]
fn it_agrees_with_envoy_about_trusted_proxies() {
    let headers = [
        "x-forwarded-host: a",
        "x-forwarded-port: 1",
        "x-real-ip: 1.2.3.4",
        "forwarded: for=x",
        "x-forwarded-proto: https",
        "x-envoy-original-path: /x",
        "x-ingress-cluster: x",
    ];
    for hops in [0, 1] {
        Both::start(hops).assert_agreement(&[("GET", "h.example/x", &headers)]);
        let forwarded_host = true;
        let settings = Settings { trusted_hops: hops, forwarded_host, ..Settings::default() };
        let flags = ["--forwarded-host", "--trusted-hops", &hops.to_string()];
        let both = Both::with(settings, &flags);
        both.assert_agreement(&[("GET", "h.example/x", &headers), ("GET", "h.example/x", &[])]);
    }
}

#[test]
fn what_envoy_refuses_by_itself_is_no_route_s_doing() {
    let both = Both::start(0);
    let explanation = both.explain(&request(("GET", "h.example/%2f", &[])));
    assert!(explanation.reason.starts_with("Envoy rejects it before the filter: "));
    assert!(explanation.candidates.is_empty());
    let explanation = keeping_slashes().explain(&request(("GET", "h.example/x%2f..%2fadmin", &[])));
    assert_eq!(explanation.status, Some(400));
    assert!(explanation.reason.starts_with("an upstream that decodes the encoded slash"));
    let explanation = both.explain(&request(("TRACE", "h.example/", &[])));
    assert_eq!((explanation.status, explanation.ingress), (Some(405), None));
    assert!(explanation.candidates.iter().all(|candidate| !candidate.chosen));
}

/// Runs `ingressctl explain` on manifests without an Envoy.
fn run(flags: &[&str], stdout: Stdio) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("manifests.yaml");
    let upstream = Upstream::start("open");
    std::fs::write(&path, upstream.manifests("open", "http", 80) + ROUTES).expect("a file");
    let mut command = Command::new(ingressctl());
    command.args(["explain", "-f"]).arg(path).args(flags).stdout(stdout).stderr(Stdio::piped());
    command.spawn().and_then(std::process::Child::wait_with_output).expect("ingressctl runs")
}

#[test]
fn its_json_is_what_was_promised() {
    let output = run(&["-o", "json", "h.example/x"], Stdio::piped());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (key, expected) in [
        ("status", serde_json::json!(null)),
        ("cluster", "open.default.svc.cluster.local|80".into()),
        ("host", "h.example".into()),
        ("path", "/x".into()),
        ("location", serde_json::json!(null)),
        ("timeout_ms", serde_json::json!(null)),
        ("retries", serde_json::json!(null)),
        ("request_headers", serde_json::json!({"x-forwarded-proto": "http"})),
        ("ingress", serde_json::json!({"name": "default/routes", "rule": 0, "path": 0})),
        ("route_rule", serde_json::json!(null)),
    ] {
        assert_eq!(json.get(key), Some(&expected), "{key}");
    }
}

#[test]
fn an_output_that_takes_nothing_is_no_panic() {
    let full: File = OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let output = run(&["h.example/x"], full.into());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ingressctl: standard output: ") && !said.contains("panicked"), "{said}");

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = run(&["h.example/x"], writer.into());
    assert_eq!(output.status.code(), Some(0));
    assert!(!text(&output.stderr).contains("standard output"));
}
