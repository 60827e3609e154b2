//! gRPC, with the client and the server of Python's grpcio.

use std::io::Write;

use ingress_tests::ingresses::{host_to, unclassed};
use ingress_tests::{Authority, Server, Service, Serving, python};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{program, run};

const HOST: &str = "grpc.example";
const FLAGS: [&str; 2] = ["--ingress-controller-mode", "default"];

pub(crate) fn server(name: &str) -> Server {
    Server::start(python().arg(program("grpc_server.py")).arg(name))
}

/// A service `grpc` with a version for each of these servers, its Ingress, and other objects.
fn manifests(servers: &[(&str, &Server)], others: &str) -> String {
    manifests_for(&host_to(HOST, "grpc"), servers, others)
}

fn manifests_for(ingress: &Value, servers: &[(&str, &Server)], others: &str) -> String {
    let service = Service::with_ports("grpc", &[("grpc", 80)]);
    let service = servers.iter().fold(service, |service, (version, server)| {
        service.at_pod_address(server.address, version, &[("version", version)])
    });
    let ingress = unclassed("grpc", ingress);
    format!("{}\n---\n{ingress}\n{others}", service.manifests())
}

/// A rule for calls with this `x-case`.
fn rule(case: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {{name: {case}}}\n\
         spec: {{destination: {{name: grpc}}, match: {{request: {{headers: {{x-case: {case}}}}}}}, {spec}}}\n"
    )
}

fn serve(manifests: &str) -> Serving {
    Serving::start_with(manifests, &FLAGS)
}

/// What the client prints for a call over plaintext.
#[track_caller]
pub(crate) fn call(serving: &Serving, host: &str, call: &str) -> Vec<String> {
    let mut client = python();
    client.arg(program("grpc_client.py")).arg(serving.http.to_string()).args([host, call]);
    lines(&run(&mut client))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// The calls, and what the client gets without a gateway in between.
const CALLS: [(&str, &[&str]); 9] = [
    ("say", &["b'\\x00\\xff'", "one a b True", "a b True"]),
    ("join", &["b'a,,c'"]),
    ("count", &["1000 b'0' b'999'"]),
    ("chat", &["100 in turn, 0 more"]),
    (
        "fail",
        &[
            "NOT_FOUND café 100% closed",
            "asked",
            "UNAUTHENTICATED café 100% closed",
            "asked",
            "INTERNAL café 100% closed",
            "asked",
            "RESOURCE_EXHAUSTED café 100% closed",
            "asked",
        ],
    ),
    ("large", &["True", "True"]),
    ("cancel", &["b'waiting'", "b'yes'"]),
    ("deadline", &["DEADLINE_EXCEEDED", "b'yes'"]),
    ("health", &["SERVING", "NOT_SERVING", "SERVING", "NOT_FOUND ", "SERVING"]),
];

#[test]
fn calls_of_all_kinds_get_what_the_server_sends() {
    let server = server("one");
    let serving = serve(&manifests(&[("v1", &server)], ""));
    for (name, expected) in CALLS {
        assert_eq!(call(&serving, HOST, name), expected, "{name}");
    }
}

#[test]
fn calls_over_tls_get_the_same() {
    let server = server("one");
    let authority = Authority::new();
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(authority.pem().as_bytes()).expect("an authority is written");
    let mut spec = host_to(HOST, "grpc");
    spec["tls"] = json!([{"hosts": [HOST], "secretName": "pair"}]);
    let secret = authority.issue(&[HOST]).secret("default", "pair");
    let serving = serve(&manifests_for(&spec, &[("v1", &server)], &format!("---\n{secret}\n")));
    for (name, expected) in CALLS {
        let mut client = python();
        client.arg(program("grpc_client.py")).arg(serving.https().to_string());
        client.args([HOST, name]).arg(file.path());
        assert_eq!(lines(&run(&mut client)), expected, "{name}");
    }
}

#[test]
fn the_server_sees_the_clients_deadline_and_nothing_internal() {
    let server = server("one");
    let serving = serve(&manifests(&[("v1", &server)], ""));
    let [seen] = &call(&serving, HOST, "seen")[..] else { panic!("one line") };
    let (has_deadline, metadata) = seen.split_once(' ').expect("two parts");
    assert_eq!(has_deadline, "True");
    let names: Vec<_> = metadata.split(',').collect();
    assert!(names.contains(&"x-case") && names.contains(&"x-request-id"), "{names:?}");
    let is_internal = |name: &&str| name.starts_with("x-ingress-");
    assert!(!names.iter().any(is_internal), "{names:?}");
}

/// <https://grpc.github.io/grpc/core/md_doc_http-grpc-status-mapping.html>
#[test]
fn a_call_that_reaches_no_server_gets_a_status_of_grpc() {
    let stopped = server("one").address;
    let service = Service::with_ports("grpc", &[("grpc", 80)]).at_address(stopped);
    let empty = Service::with_ports("empty", &[("grpc", 80)]);
    let manifests = format!(
        "{}\n---\n{}\n---\n{}\n---\n{}\n",
        service.manifests(),
        empty.manifests(),
        unclassed("grpc", &host_to(HOST, "grpc")),
        unclassed("empty", &host_to("empty.example", "empty")),
    );
    let serving = serve(&manifests);
    assert_eq!(call(&serving, "other.example", "one"), ["UNIMPLEMENTED "]);
    for host in [HOST, "empty.example"] {
        let [status] = &call(&serving, host, "one")[..] else { panic!("one line") };
        assert!(status.starts_with("UNAVAILABLE "), "{host}: {status}");
    }
}

#[test]
fn rules_apply_to_calls() {
    let servers = ["one", "two"].map(server);
    let rules = [
        (
            "split",
            "route: [{labels: {version: v1}, weight: 90}, {labels: {version: v2}, weight: 10}]",
        ),
        ("second", "route: [{labels: {version: v2}}]"),
        ("grpc", "httpFault: {abort: {percent: 100, grpcStatus: RESOURCE_EXHAUSTED}}"),
        ("http", "httpFault: {abort: {percent: 100, httpStatus: 429}}"),
        (
            "limit",
            "route: [{labels: {version: v1}}], httpReqTimeout: {simpleTimeout: {timeout: 1s}}",
        ),
        ("retry", "route: [{labels: {version: v1}}], httpReqRetries: {simpleRetry: {attempts: 2}}"),
        ("none", "route: [{labels: {version: v1}}]"),
    ];
    let rules = rules.map(|(case, spec)| rule(case, spec)).concat();
    let serving = serve(&manifests(&[("v1", &servers[0]), ("v2", &servers[1])], &rules));
    let by_server = |case: &str| call(&serving, HOST, &format!("who:{case}"));

    // All calls are on one connection.
    for (case, first) in [("any", 30..=70), ("split", 75..=99)] {
        let [one, two] = &by_server(case)[..] else { panic!("both servers") };
        let count = |line: &str, name| line.strip_prefix(name)?.parse::<u32>().ok();
        let counts = (count(one, "one "), count(two, "two "));
        let (Some(one), Some(two)) = counts else { panic!("{one}, {two}") };
        assert!(first.contains(&one) && one + two == 100, "{case}: {one}, {two}");
    }
    assert_eq!(by_server("second"), ["two 100"]);
    assert_eq!(by_server("grpc"), ["RESOURCE_EXHAUSTED  100"]);
    assert_eq!(by_server("http"), ["UNAVAILABLE  100"]);

    // Once a stream has begun, Envoy can only reset it.
    let limited = [
        "DEADLINE_EXCEEDED upstream request timeout",
        "b'yes'",
        "b'waiting'",
        "INTERNAL",
        "b'yes'",
    ];
    assert_eq!(call(&serving, HOST, "hang:limit"), limited);

    let retried = call(&serving, HOST, "flaky:retry");
    assert_eq!(retried, ["b'1'", "OK", "b'3'", "OK", "UNAVAILABLE not yet"]);
    let not_retried = call(&serving, HOST, "flaky:none");
    assert_eq!(not_retried, ["b'1'", "OK", "UNAVAILABLE not yet", "UNAVAILABLE not yet"]);
}
