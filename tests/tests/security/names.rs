//! Names that Envoy looks up.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use ingress_tests::{OwnEnvoy, Upstream, compiled, edit_json};
use serde_json::json;

/// The owner of a name under a search domain would get the requests.
#[test]
fn no_search_domain_is_asked_for_a_service() {
    let upstream = Upstream::start("web");
    let server = DnsServer::start();
    let manifests = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{name: http, port: {port}}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec: {{defaultBackend: {{service: {{name: web, port: {{number: {port}}}}}}}}}
",
        port = upstream.address.port()
    );
    let folder = compiled(&manifests);
    edit_json(&folder.path().join("cds.json"), |response| {
        response["resources"][0]["typed_dns_resolver_config"] = server.as_resolver();
    });
    // As the kubelet writes it into the resolv.conf of a pod.
    let environment = [("LOCALDOMAIN", "evil.example"), ("RES_OPTIONS", "ndots:5")];
    let envoy = OwnEnvoy::start_in(&folder.path().join("bootstrap.json"), &environment);
    envoy.wait_for("any.example", "/", 200);
    let mut asked = server.asked();
    asked.dedup();
    assert_eq!(asked, ["web.default.svc.cluster.local"]);
}

/// Answers each question with the loopback address.
struct DnsServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl DnsServer {
    fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = socket.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let names = Arc::clone(&asked);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((len, client)) = socket.recv_from(&mut query) {
                let (name, answer) = answer(&query[..len]);
                names.lock().expect("a healthy test").push(name);
                let _ = socket.send_to(&answer, client);
            }
        });
        Self { address, asked }
    }

    /// The names that were asked for so far.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a healthy test").clone()
    }

    fn as_resolver(&self) -> serde_json::Value {
        let (ip, port) = (self.address.ip(), self.address.port());
        json!({
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                "resolvers": [{"socket_address": {"address": ip, "port_value": port}}],
            },
        })
    }
}

/// The name in a query, and the answer (RFC 1035 section 4): the question again, and
/// 127.0.0.1 where an IPv4 address is asked for.
fn answer(query: &[u8]) -> (String, Vec<u8>) {
    let mut name = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    let question = &query[12..at + 5];
    let is_ipv4 = query[at + 1..at + 3] == [0, 1];
    let head = [query[0], query[1], 0x84, 0, 0, 1, 0, is_ipv4.into(), 0, 0, 0, 0];
    // The name of the question, A, IN, 60 seconds, 4 bytes.
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];
    let record = if is_ipv4 { &record[..] } else { &[] };
    (name.join("."), [&head[..], question, record].concat())
}
