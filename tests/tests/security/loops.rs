//! Endpoints that are the gateway itself.

use ingress_tests::{Serving, Upstream, raw};

const INGRESS: &str = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: web.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
";

/// Without a limit, the loop would use all connections and streams.
#[test]
fn a_request_that_comes_round_and_round_is_ended() {
    let upstream = Upstream::start("web");
    let manifests = upstream.manifests("web", "http", 80) + INGRESS;
    let serving = Serving::start(&manifests);
    serving.wait_for("web.example", "/", 200);

    let ask = |names: usize| {
        let header = format!("cdn-loop: {}\r\n", vec!["ingressctl"; names].join(", "));
        let header = if names == 0 { "" } else { &header };
        raw(serving.http, format!("GET / HTTP/1.1\r\nhost: web.example\r\n{header}\r\n").as_bytes())
            .status
    };
    upstream.take_received();
    assert_eq!([0, 5, 6].map(ask), [200, 200, 508]);
    let received = upstream.take_received();
    let rounds = received.iter().map(|it| it.values("cdn-loop").join(&b',')).collect::<Vec<_>>();
    assert_eq!(rounds[0], b"ingressctl", "one iteration");
    assert_eq!(String::from_utf8_lossy(&rounds[1]).matches("ingressctl").count(), 6);

    let before = format!("port: {}}}", upstream.address.port());
    let itself = format!("port: {}}}", serving.http.port());
    serving.replace(&manifests.replace(&before, &itself));
    serving.wait_for("web.example", "/", 508);
    upstream.take_received();
    assert_eq!(ask(0), 508);
    assert_eq!(upstream.take_received().len(), 0);
}
