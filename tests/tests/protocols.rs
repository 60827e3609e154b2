//! HTTP/2 on both sides, gRPC, bodies, and load balancing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use ingress_tests::{Edge, Serving, Upstream, raw, tool, wait_until};

/// An Ingress with a host for each of these services, `<service>.test`.
fn hosts(services: &[&str]) -> String {
    let rules = services.iter().map(|service| {
        format!(
            "{{host: {service}.test, http: {{paths: [{{path: /, pathType: Prefix, \
             backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}"
        )
    });
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n\
         metadata: {{name: hosts, annotations: {{kubernetes.io/ingress.class: istio}}}}\n\
         spec: {{rules: [{}]}}\n",
        rules.collect::<Vec<_>>().join(", ")
    )
}

/// The output of curl for an HTTP/2 request.
fn curl_http2(edge: &Edge, host: &str, flags: &[&str]) -> String {
    let output = Command::new(tool("curl"))
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--include"])
        .args(["--http2-prior-knowledge", "--header", &format!("host: {host}")])
        .args(flags)
        .arg(format!("http://{}/", edge.http))
        .output()
        .expect("curl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_ports_name_or_app_protocol_decides_what_is_spoken_to_the_upstream() {
    let ports = [
        ("plain", "http", "HTTP/1.1"),
        ("unknown", "web", "HTTP/1.1"),
        ("two", "http2", "HTTP/2.0"),
        ("grpc", "grpc-api", "HTTP/2.0"),
        ("told", "web", "HTTP/2.0"),
    ];
    let upstreams = ports.map(|(service, ..)| Upstream::start(service));
    let mut manifests = hosts(&ports.map(|(service, ..)| service));
    for (upstream, (service, port, _)) in upstreams.iter().zip(ports) {
        let service = upstream.manifests(service, port, 80);
        // Only the port of the Service has an endpoint with 80.
        let told = "port: 80, appProtocol: kubernetes.io/h2c}";
        manifests += &if service.contains("{name: told}") {
            service.replace("port: 80}", told)
        } else {
            service
        };
    }
    let serving = Serving::start(&manifests);
    for (upstream, (service, port, version)) in upstreams.iter().zip(ports) {
        let host = format!("{service}.test");
        assert_eq!(serving.get(&host, "/").by(), service);
        let answer = curl_http2(&serving, &host, &[]);
        assert!(answer.starts_with("HTTP/2 200"), "{answer}");
        for received in upstream.take_received() {
            assert_eq!(format!("{:?}", received.version), version, "{service}, port {port}");
        }
    }
}

/// Envoy then has a new cluster with the same name, which subscribes to endpoints
/// that the old one already has.
#[test]
fn a_port_that_speaks_something_else_from_now_on_is_served_on() {
    let upstream = Upstream::start("web");
    let manifests = |port: &str| hosts(&["web"]) + &upstream.manifests("web", port, 80);
    let serving = Serving::start(&manifests("http"));
    for (port, version) in [("http2", "HTTP/2.0"), ("http", "HTTP/1.1"), ("grpc", "HTTP/2.0")] {
        serving.replace(&manifests(port));
        wait_until(&format!("{version} is spoken"), || {
            assert_eq!(serving.get("web.test", "/").by(), "web");
            let received = upstream.take_received();
            received.last().is_some_and(|last| format!("{:?}", last.version) == version)
        });
    }
}

#[test]
fn http2_clients_are_served_by_the_hundred() {
    let upstream = Upstream::start("plain");
    let serving = Serving::start(&(upstream.manifests("plain", "http", 80) + &hosts(&["plain"])));
    let output = Command::new(tool("h2load"))
        .args(["-n", "500", "-c", "4", "-m", "20", "--header", ":authority: plain.test"])
        .arg(format!("http://{}/", serving.http))
        .output()
        .expect("h2load runs");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("Application protocol: h2c"), "{report}");
    assert!(report.contains("500 succeeded, 0 failed"), "{report}");
    assert!(report.contains("500 2xx"), "{report}");
    assert_eq!(upstream.take_received().len(), 500);
}

#[test]
fn a_grpc_request_without_a_route_is_told_so_in_grpc() {
    let serving = Serving::start(&hosts(&[]));
    let grpc = ["--header", "content-type: application/grpc", "--header", "te: trailers"];
    let answer = curl_http2(&serving, "any.test", &grpc);
    assert!(answer.starts_with("HTTP/2 200"), "{answer}");
    assert!(answer.contains("grpc-status: 12"), "{answer}");

    let other = curl_http2(&serving, "any.test", &["--request", "POST"]);
    assert!(other.starts_with("HTTP/2 404"), "{other}");
    assert!(!other.contains("grpc-status"), "{other}");
}

#[test]
fn ready_endpoints_share_the_load_and_others_get_none() {
    const NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let upstreams = NAMES.map(Upstream::start);
    let unready = Upstream::start("unready");
    let mut manifests = hosts(&["many"]);
    manifests += "---\napiVersion: v1\nkind: Service\nmetadata: {name: many}\n\
                  spec: {ports: [{name: http, port: 80}]}\n";
    for (index, upstream) in upstreams.iter().chain([&unready]).enumerate() {
        let ready = index < upstreams.len();
        write!(
            manifests,
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: many-{index}, labels: {{kubernetes.io/service-name: many}}}}\n\
             addressType: IPv4\nports: [{{name: http, port: {}}}]\n\
             endpoints: [{{addresses: [{}], conditions: {{ready: {ready}}}}}]\n",
            upstream.address.port(),
            upstream.address.ip(),
        )
        .expect("a string");
    }
    let serving = Serving::start(&manifests);
    let seen: BTreeSet<_> = (0..100).map(|_| serving.get("many.test", "/").by()).collect();
    assert_eq!(seen, NAMES.map(str::to_owned).into());
    for upstream in &upstreams {
        let share = upstream.take_received().len();
        assert!((5..=20).contains(&share), "{share} of 100 requests");
    }
}

/// KEP-1669: terminating pods serve until their endpoints are removed.
#[test]
fn endpoints_that_end_are_used_where_no_ready_one_is_left() {
    let (ending, ready) = (Upstream::start("ending"), Upstream::start("ready"));
    let slice = |upstream: &Upstream, conditions: &str| {
        format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: web-{port}, labels: {{kubernetes.io/service-name: web}}}}\n\
             addressType: IPv4\nports: [{{name: http, port: {port}}}]\n\
             endpoints: [{{addresses: [{}], conditions: {conditions}}}]\n",
            upstream.address.ip(),
            port = upstream.address.port(),
        )
    };
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
                   spec: {ports: [{name: http, port: 80}]}\n";
    let ends = slice(&ending, "{ready: false, serving: true, terminating: true}");
    let manifests = hosts(&["web"]) + service + &ends;
    let serving = Serving::start(&manifests);
    assert_eq!(serving.get("web.test", "/").by(), "ending");

    serving.replace(&(manifests.clone() + &slice(&ready, "{ready: null}")));
    wait_until("the ready one", || serving.get("web.test", "/").by() == "ready");
    for _ in 0..20 {
        assert_eq!(serving.get("web.test", "/").by(), "ready");
    }
    serving.replace(&(manifests + &slice(&ready, "{ready: false, serving: false}")));
    wait_until("the ending one", || serving.get("web.test", "/").by() == "ending");
}

#[test]
fn what_kubernetes_takes_for_a_port_is_one() {
    let upstream = Upstream::start("web");
    let port = upstream.address.port();
    let endpoints = upstream.manifests("listed", "http", 80);
    // Go writes an unset protocol as an empty string.
    let listed = endpoints.replace("port: 80}", "port: 80, protocol: ''}");
    assert_ne!(listed, endpoints);
    let manifests = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: outside}}
spec: {{type: ExternalName, externalName: localhost}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec:
  rules:
  - http:
      paths:
      - {{path: /outside, pathType: Prefix, backend: {{service: {{name: outside, port: {{number: {port}}}}}}}}}
      - {{path: /number, pathType: Prefix, backend: {{service: {{name: listed, port: {{name: '', number: 80}}}}}}}}
      - {{path: /name, pathType: Prefix, backend: {{service: {{name: listed, port: {{name: http, number: 0}}}}}}}}
{listed}"
    );
    let flags = ["--external-name-services", "--access-log=false"];
    let serving = Serving::start_with(&manifests, &flags);
    for path in ["/outside", "/number", "/name"] {
        serving.wait_for("any.test", path, 200);
    }
}

#[test]
fn a_body_reaches_the_upstream_unchanged() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let serving = Serving::start(
        &(one.manifests("one", "http", 80)
            + &two.manifests("two", "http2", 80)
            + &hosts(&["one", "two"])),
    );
    // Larger than any buffer on the way, with every byte value.
    let body: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
    let by_length = [format!("content-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    let chunks = body
        .chunks(7_000)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    let chunked: Vec<u8> = b"transfer-encoding: chunked\r\n\r\n"
        .iter()
        .copied()
        .chain(chunks)
        .chain(*b"0\r\n\r\n")
        .collect();
    for (upstream, name) in [(&one, "one"), (&two, "two")] {
        for rest in [&by_length, &chunked] {
            let head = format!("POST /upload HTTP/1.1\r\nhost: {name}.test\r\n");
            let answer = raw(serving.http, &[head.as_bytes(), rest].concat());
            assert_eq!(answer.by(), name);
            let [received] = &upstream.take_received()[..] else { panic!("one request") };
            assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/upload"));
            assert!(received.body == body, "{} bytes arrived", received.body.len());
        }
    }
}
