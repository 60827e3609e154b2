//! Upstreams with TLS.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;

use hyper::Version;
use ingress_tests::ingresses::{host_to, unclassed};
use ingress_tests::{
    Authority, EchoServer, Issued, OwnEnvoy, Serving, TlsFront, Upstream, compiled_with, raw,
    upgrade, wait_until,
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tungstenite::Message;

/// The full DNS name of the service `web`.
const FULL_NAME: &str = "web.default.svc.cluster.local";

/// The service `web` at a port with TLS, and an Ingress for `web.example`.
struct Site {
    port: Value,
    annotations: Value,
    address: SocketAddr,
    secrets: Vec<Value>,
}

impl Site {
    fn new(address: SocketAddr) -> Self {
        let port = json!({"name": "https", "port": 80});
        Self { port, annotations: json!({}), address, secrets: Vec::new() }
    }

    fn annotated(mut self, name: &str, value: &str) -> Self {
        self.annotations[format!("ingressctl/{name}")] = json!(value);
        self
    }

    /// Trusts this authority, by a Secret.
    fn trusting(mut self, authority: &Authority) -> Self {
        self.secrets.push(authority.secret("default", "web-ca"));
        self.annotated("upstream-ca-secret", "web-ca")
    }

    /// Shows this certificate.
    fn showing(mut self, certificate: &Issued) -> Self {
        self.secrets.push(certificate.secret("default", "web-client"));
        self.annotated("upstream-client-secret", "web-client")
    }

    fn manifests(&self) -> String {
        let Self { port, annotations, address, secrets } = self;
        let name = port["name"].clone();
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "annotations": annotations}, "spec": {"ports": [port]},
        });
        let endpoints = json!({
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"},
            "subsets": [{
                "addresses": [{"ip": address.ip()}],
                "ports": [{"name": name, "port": address.port()}],
            }],
        });
        let ingress = unclassed("web", &host_to("web.example", "web"));
        let objects = [&service, &endpoints].into_iter().chain(secrets);
        objects.fold(ingress, |mut text, object| {
            write!(text, "\n---\n{object}\n").expect("text");
            text
        })
    }

    fn serve(&self) -> Serving {
        serve(&self.manifests(), &[])
    }

    fn serve_with_roots(&self, roots: &NamedTempFile) -> Serving {
        let path = roots.path().to_str().expect("a path");
        serve(&self.manifests(), &["--upstream-ca-file", path])
    }
}

fn serve(manifests: &str, flags: &[&str]) -> Serving {
    let mode = ["--ingress-controller-mode", "default", "--concurrency", "1"];
    Serving::start_with(manifests, &[&mode, flags].concat())
}

/// A file with the authorities of the system.
fn roots(authority: &Authority) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    fs::write(file.path(), authority.pem()).expect("it is written");
    file
}

fn answer(serving: &Serving) -> String {
    serving.get("web.example", "/").by()
}

/// An upstream with a certificate of a new authority for these names.
fn upstream(names: &[&str]) -> (Authority, Upstream, TlsFront) {
    let (authority, web) = (Authority::new(), Upstream::start("web"));
    let front = TlsFront::start(&authority.issue(names), web.address);
    (authority, web, front)
}

#[test]
fn certificates_are_verified_with_the_roots_of_the_system_and_the_names_of_the_service() {
    for name in [FULL_NAME, "web.default.svc", "*.default.svc.cluster.local"] {
        let (authority, web, front) = upstream(&[name]);
        let serving = Site::new(front.address).serve_with_roots(&roots(&authority));
        assert_eq!(answer(&serving), "web", "{name}");
        let [handshake] = &front.take_handshakes()[..] else { panic!("one handshake") };
        assert_eq!(handshake.server_name.as_deref(), Some(FULL_NAME));
        assert_eq!(handshake.protocol.as_deref(), Some("http/1.1"));
        assert_eq!(web.take_received()[0].version, Version::HTTP_11);
    }
    for name in ["web", "web.default", "other.default.svc.cluster.local", "*.svc.cluster.local"] {
        let (authority, web, front) = upstream(&[name]);
        let serving = Site::new(front.address).serve_with_roots(&roots(&authority));
        assert_eq!(answer(&serving), "503", "{name}");
        assert_eq!(web.take_received().len(), 0);
    }
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let (authority, web, front) = upstream(&[FULL_NAME]);
    // The roots of this machine, which Envoy has.
    let serving = Site::new(front.address).serve();
    assert_eq!(answer(&serving), "503");
    let serving = Site::new(front.address).trusting(&Authority::new()).serve();
    assert_eq!(answer(&serving), "503");
    assert_eq!(web.take_received().len(), 0);
    let serving = Site::new(front.address).trusting(&authority).serve();
    assert_eq!(answer(&serving), "web");
}

#[test]
fn a_secret_replaces_the_roots_of_the_system() {
    let (authority, _web, front) = upstream(&[FULL_NAME]);
    let others = roots(&authority);
    assert_eq!(answer(&Site::new(front.address).trusting(&authority).serve()), "web");
    let serving = Site::new(front.address).trusting(&Authority::new()).serve_with_roots(&others);
    assert_eq!(answer(&serving), "503");
}

#[test]
fn another_name_is_verified_and_sent_if_the_service_says_so() {
    let (authority, _web, front) = upstream(&["shop.example"]);
    let site = Site::new(front.address).trusting(&authority);
    assert_eq!(answer(&site.serve()), "503");
    front.take_handshakes();
    let site = site.annotated("upstream-server-name", "shop.example");
    assert_eq!(answer(&site.serve()), "web");
    assert_eq!(front.take_handshakes()[0].server_name.as_deref(), Some("shop.example"));
    // The names of the service do not count then.
    let (authority, _web, front) = upstream(&[FULL_NAME]);
    let site = Site::new(front.address).trusting(&authority);
    let site = site.annotated("upstream-server-name", "shop.example");
    assert_eq!(answer(&site.serve()), "503");
}

#[test]
fn a_client_certificate_is_shown_only_where_the_service_names_one() {
    let (authority, clients, web) = (Authority::new(), Authority::new(), Upstream::start("web"));
    let certificate = authority.issue(&[FULL_NAME]);
    let front = TlsFront::for_clients_of(&clients, &certificate, web.address);
    let site = Site::new(front.address).trusting(&authority);
    assert_eq!(answer(&site.serve()), "503");
    assert_eq!(web.take_received().len(), 0);
    let own = clients.issue(&["gateway"]);
    assert_eq!(answer(&site.showing(&own).serve()), "web");
    assert_eq!(front.take_handshakes()[0].client, Some(own.der()));
}

#[test]
fn what_is_not_verified_is_served_only_if_the_service_says_so() {
    let (_, _web, front) = upstream(&["anything.example"]);
    let site = Site::new(front.address);
    assert_eq!(answer(&site.serve()), "503");
    let site = site.annotated("upstream-verify", "false");
    assert_eq!(answer(&site.serve()), "web");
}

#[test]
fn what_cannot_be_verified_as_asked_is_not_served() {
    let (authority, web, front) = upstream(&[FULL_NAME]);
    let new = || Site::new(front.address);
    let mut empty = new().annotated("upstream-ca-secret", "web-ca");
    empty.secrets.push(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-ca"},
        "stringData": {"tls.crt": authority.pem()},
    }));
    let broken_key = authority.issue(&["gateway"]).with_strange_key();
    let roots = roots(&authority);
    for site in [
        new().annotated("upstream-ca-secret", "missing"),
        new().annotated("upstream-client-secret", "missing"),
        new().annotated("upstream-ca-secret", "other/web-ca"),
        new().annotated("upstream-verify", "no"),
        new().annotated("upstream-server-name", "https://web"),
        new().showing(&broken_key),
        empty,
    ] {
        let serving = site.serve_with_roots(&roots);
        assert_eq!(answer(&serving), "503", "{}", site.annotations);
    }
    assert_eq!(front.take_handshakes(), []);
    assert_eq!(web.take_received().len(), 0);
    assert_eq!(answer(&new().serve_with_roots(&roots)), "web");
}

#[test]
fn http2_over_tls_is_for_grpc() {
    for port in [
        json!({"name": "grpcs", "port": 80}),
        json!({"name": "grpcs-api", "port": 80}),
        json!({"name": "https", "port": 80, "appProtocol": "grpcs"}),
    ] {
        let (authority, web, front) = upstream(&[FULL_NAME]);
        let mut site = Site::new(front.address).trusting(&authority);
        site.port = port;
        assert_eq!(answer(&site.serve()), "web", "{}", site.port);
        assert_eq!(front.take_handshakes()[0].protocol.as_deref(), Some("h2"));
        let received = &web.take_received()[0];
        assert_eq!(received.version, Version::HTTP_2);
        // Strict servers compare it with their connection.
        assert_eq!(received.scheme.as_deref(), Some("https"));
    }
}

#[test]
fn websocket_over_tls_is_allowed_by_the_port() {
    let (authority, echo) = (Authority::new(), EchoServer::start());
    let front = TlsFront::start(&authority.issue(&[FULL_NAME]), echo.address);
    let mut site = Site::new(front.address).trusting(&authority);
    assert_eq!(upgrade(site.serve().http, "web.example", "/chat").err(), Some(403));
    for protocol in ["wss", "kubernetes.io/wss"] {
        site.port = json!({"name": "web", "port": 80, "appProtocol": protocol});
        let serving = site.serve();
        let mut socket = upgrade(serving.http, "web.example", "/chat").expect("an upgrade");
        socket.send(Message::text("one")).expect("a message is sent");
        assert_eq!(socket.read().expect("a message").to_text().expect("text"), "/chat one");
    }
}

#[test]
fn an_external_name_is_verified_and_sent() {
    for (name, expected) in [("localhost", "web"), (FULL_NAME, "503")] {
        let (authority, _web, front) = upstream(&[name]);
        let port = front.address.port();
        let mut site = Site::new(front.address).trusting(&authority);
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "annotations": site.annotations},
            "spec": {
                "type": "ExternalName", "externalName": "localhost",
                "ports": [{"name": "https", "port": port}],
            },
        });
        site.secrets.push(service);
        let ingress = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": port}}}},
        });
        site.secrets.push(ingress);
        let objects: Vec<_> = site.secrets.iter().map(ToString::to_string).collect();
        let serving = serve(&objects.join("\n---\n"), &["--external-name-services"]);
        assert_eq!(answer(&serving), expected, "{name}");
        if expected == "web" {
            assert_eq!(front.take_handshakes()[0].server_name.as_deref(), Some("localhost"));
        }
    }
}

/// The same, on a connection that the upstream then closes, so that the next request is
/// on a new one.
fn last_answer(serving: &Serving) -> String {
    let request = "GET / HTTP/1.1\r\nhost: web.example\r\nx-answer-connection: close\r\n\r\n";
    raw(serving.http, request.as_bytes()).by()
}

#[test]
fn new_authorities_and_client_certificates_do_not_change_the_cluster() {
    let (old, new, clients) = (Authority::new(), Authority::new(), Authority::new());
    let web = Upstream::start("web");
    let front = TlsFront::for_clients_of(&clients, &old.issue(&[FULL_NAME]), web.address);
    let site = |authority, own| Site::new(front.address).trusting(authority).showing(own);
    let own = clients.issue(&["gateway"]);
    let serving = site(&old, &own).serve();
    assert_eq!(last_answer(&serving), "web");
    let clusters = || serving.stat("cluster_manager.cluster_modified");
    let before = clusters();

    serving.replace(&site(&new, &own).manifests());
    wait_until("the old authority is not trusted", || last_answer(&serving) == "503");
    serving.replace(&site(&old, &own).manifests());
    wait_until("the authority is trusted again", || last_answer(&serving) == "web");

    front.take_handshakes();
    let renewed = clients.issue(&["gateway"]);
    serving.replace(&site(&old, &renewed).manifests());
    wait_until("the new client certificate is shown", || {
        assert_eq!(last_answer(&serving), "web");
        front.take_handshakes().iter().any(|it| it.client == Some(renewed.der()))
    });
    assert_eq!(clusters(), before);

    let site = site(&old, &renewed).annotated("upstream-server-name", "web.example");
    serving.replace(&site.manifests());
    wait_until("another name is verified", || last_answer(&serving) == "503");
    assert_eq!(clusters(), before + 1);
}

/// Files for an Envoy that `ingressctl` does not start.
#[test]
fn compiled_files_have_the_authorities_and_the_client_certificate() {
    let (authority, clients, web) = (Authority::new(), Authority::new(), Upstream::start("web"));
    let certificate = authority.issue(&[FULL_NAME]);
    let front = TlsFront::for_clients_of(&clients, &certificate, web.address);
    let own = clients.issue(&["gateway"]);
    let site = Site::new(front.address).trusting(&authority).showing(&own);
    let flags = ["--ingress-controller-mode", "default"];
    let answer = |site: &Site| {
        let folder = compiled_with(&site.manifests(), &flags);
        let envoy = OwnEnvoy::start(&folder.path().join("bootstrap.json"));
        envoy.get("web.example", "/").by()
    };
    assert_eq!(answer(&site), "web");
    assert_eq!(front.take_handshakes()[0].client, Some(own.der()));
    assert_eq!(answer(&Site::new(front.address).trusting(&Authority::new()).showing(&own)), "503");
}

#[test]
fn without_the_file_of_the_system_only_the_ports_that_need_it_are_not_served() {
    let (authority, web, front) = upstream(&[FULL_NAME]);
    let plain = Upstream::start("plain");
    let other = plain.manifests("plain", "http", 80)
        + &unclassed("plain", &host_to("plain.example", "plain"));
    let site = Site::new(front.address);
    let manifests = site.manifests() + "\n---\n" + &other;
    let serving = serve(&manifests, &["--upstream-ca-file", "/nonexistent/roots.pem"]);
    assert_eq!(serving.get("plain.example", "/").by(), "plain");
    assert_eq!(answer(&serving), "503");
    serving.replace(&(site.trusting(&authority).manifests() + "\n---\n" + &other));
    wait_until("the port is served", || answer(&serving) == "web");
    assert_eq!(web.take_received().len(), 1);
}
