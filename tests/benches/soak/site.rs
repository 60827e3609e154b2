//! A gateway, a namespace under load, and a hostile one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use std::{io, thread};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ingress_tests::hostile::{self, KINDS};
use ingress_tests::ingresses::{host_to, ingress};
use ingress_tests::{
    Answer, ApiServer, Authority, Gateway, Issued, Namespace, Service, TlsClient, TlsConnection,
    Upstream, Writer, ask, machine_ip,
};
use serde_json::{Value, json};

use crate::limits::Limits;
use crate::load::{Edge, Shared, connect, lock};

const VICTIM: &str = "victim";
const HOSTILE: &str = "hostile";

/// The certificate of hosts without their own.
const DEFAULT: &str = "victim/default";

/// The host whose certificate is rotated, and its Secret.
const SECURE: &str = "secure.example";
const SECRET: &str = "secure";

pub(crate) struct Site<'a> {
    pub(crate) gateway: Gateway,
    pub(crate) hostile: Namespace<'a>,
    /// Writes the victim's objects.
    pub(crate) writer: Writer,
    pub(crate) client: TlsClient,
    authority: Authority,
    upstreams: Upstreams,
    shared: Arc<Shared>,
}

struct Upstreams {
    web: Upstream,
    left: Upstream,
    right: Upstream,
    v1: Upstream,
    v2: Upstream,
    hostile: Upstream,
}

impl Upstreams {
    fn start() -> Self {
        let start = |name| Upstream::forgetful(machine_ip(), name);
        Self {
            web: start("web"),
            left: start("left"),
            right: start("right"),
            v1: start("v1"),
            v2: start("v2"),
            hostile: start("hostile"),
        }
    }
}

impl<'a> Site<'a> {
    pub(crate) fn create(api: &'a ApiServer, limits: &Limits) -> Self {
        let (victim, hostile) = (api.namespace(VICTIM), api.namespace(HOSTILE));
        let upstreams = Upstreams::start();
        let authority = Authority::new();
        create_services(&victim, &upstreams);
        let secure = secure_ingress();
        victim.allow_secrets(std::slice::from_ref(&secure), DEFAULT);
        let writer = Writer::new(&victim);
        writer.apply(&secret("default", &authority.issue(&["default.example"])));
        writer.apply(&secret(SECRET, &authority.issue(&[SECURE])));
        create_ingresses(&victim, &secure);
        for service in ["ruled", "turned"] {
            writer.apply(&version_rule(service, "v2"));
        }
        let memory = format!("{}Mi", limits.envoy);
        let flags = ["--namespace", HOSTILE, "--default-certificate", DEFAULT];
        let flags = [&flags[..], &["--envoy-memory", &memory], &hostile::FLAGS].concat();
        let gateway = Gateway::start_with(&victim, &flags);
        let client = TlsClient::new(&authority, &[]);
        let shared = Arc::default();
        let site = Self { gateway, hostile, writer, client, authority, upstreams, shared };
        site.publish();
        site.wait_for_load();
        site
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Publishes the current addresses of the gateway.
    pub(crate) fn publish(&self) {
        let edge = Edge { http: self.gateway.http, https: self.gateway.https() };
        *lock(&self.shared.edge) = Some(edge);
        self.shared.envoy.store(self.gateway.envoy_pid(), Ordering::SeqCst);
        self.shared.controller.store(self.gateway.controller_pid(), Ordering::SeqCst);
    }

    /// Waits until the objects under load are served.
    fn wait_for_load(&self) {
        let hosts = ["steady.example", "ruled.example", "moving.example"];
        let all = || {
            hosts.iter().all(|host| self.status(host, "/") == 200)
                && self.status("victim.example", "/shop") == 200
                && self.by("ruled.example", "/") == "v2"
                && self.handshake().is_ok()
        };
        let served = until("the objects under load are served", Duration::from_secs(30), all);
        served.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The upstream that responds, or another description of the result.
    pub(crate) fn by(&self, host: &str, path: &str) -> String {
        self.ask(host, path).map_or_else(|error| error.to_string(), |answer| answer.by())
    }

    /// Whether the victim does not serve a host: it is not served, or by a default
    /// backend of the hostile namespace, which gets hosts without an owner.
    pub(crate) fn is_nobodys(&self, host: &str) -> bool {
        ["404", "hostile"].contains(&self.by(host, "/").as_str())
    }

    fn status(&self, host: &str, path: &str) -> u16 {
        self.ask(host, path).map_or(0, |answer| answer.status)
    }

    fn ask(&self, host: &str, path: &str) -> io::Result<Answer> {
        ask(&mut connect(self.gateway.http)?, host, path)
    }

    /// A new connection to the host whose certificate is rotated.
    fn handshake(&self) -> io::Result<TlsConnection> {
        self.client.handshake(connect(self.gateway.https())?, SECURE)
    }

    /// Whether a new connection gets that certificate and the service.
    pub(crate) fn serves(&self, issued: &Issued) -> bool {
        self.handshake().is_ok_and(|mut connection| {
            connection.certificate() == issued.der()
                && connection.ask(SECURE, "/").is_ok_and(|answer| answer.status == 200)
        })
    }

    /// Whether HTTPS is served.
    pub(crate) fn serves_https(&self) -> bool {
        self.handshake().is_ok()
    }

    /// Replaces the certificate in its Secret with a new one.
    pub(crate) fn rotate(&self) -> Issued {
        let issued = self.authority.issue(&[SECURE]);
        self.writer.apply(&secret(SECRET, &issued));
        issued
    }

    /// Moves a service to another upstream, and returns its name.
    pub(crate) fn move_service(&self, is_left: bool) -> &'static str {
        let Upstreams { left, right, .. } = &self.upstreams;
        let (upstream, name) = if is_left { (left, "left") } else { (right, "right") };
        self.writer.apply(&slice("moving", upstream));
        name
    }

    /// Creates a service, its endpoint and a host for it.
    pub(crate) fn create_host(&self, name: &str) {
        for object in [service(name), slice(name, &self.upstreams.web), host_of(name)] {
            self.writer.apply(&object);
        }
    }

    pub(crate) fn delete_host(&self, name: &str) {
        for object in [host_of(name), slice(name, &self.upstreams.web), service(name)] {
            self.writer.delete(&object);
        }
    }

    /// The additional objects of the hostile namespace.
    pub(crate) fn create_hostile(&self) {
        self.hostile.create(&Service::new("web").at(&self.upstreams.hostile).manifests());
        self.hostile.create(&ingress("own", &host_to("hostile.example", "web")));
    }

    pub(crate) fn delete_hostile(&self) {
        let deleted = self.hostile.run(&["delete", KINDS, "--all", "--wait=false"]);
        deleted.unwrap_or_else(|error| panic!("{error}"));
    }
}

fn create_services(victim: &Namespace<'_>, upstreams: &Upstreams) {
    let Upstreams { web, left, v1, v2, .. } = upstreams;
    victim.create(&Service::new("web").at(web).manifests());
    for name in ["ruled", "turned"] {
        let [one, two] = ["v1", "v2"].map(|version| format!("{name}-{version}"));
        let service = Service::new(name).at_pod(v1, &one, &[("version", "v1")]);
        victim.create(&service.at_pod(v2, &two, &[("version", "v2")]).manifests());
    }
    victim.create(&service("moving").to_string());
    victim.create(&slice("moving", left).to_string());
}

fn create_ingresses(victim: &Namespace<'_>, secure: &str) {
    victim.create(&hostile::victim());
    victim.create(secure);
    let hosts = [("steady", "web"), ("ruled", "ruled"), ("turned", "turned"), ("moving", "moving")];
    for (name, service) in hosts {
        victim.create(&ingress(name, &host_to(&format!("{name}.example"), service)));
    }
}

fn secure_ingress() -> String {
    let mut spec = host_to(SECURE, "web");
    spec["tls"] = json!([{"hosts": [SECURE], "secretName": SECRET}]);
    ingress("secure", &spec)
}

/// As [`Issued::secret`], but without `stringData`, whose changes server-side apply
/// does not detect.
fn secret(name: &str, issued: &Issued) -> Value {
    let mut secret = issued.secret(VICTIM, name);
    let [chain, key] = [&issued.chain, &issued.key].map(|text| BASE64_STANDARD.encode(text));
    secret["data"] = json!({"tls.crt": chain, "tls.key": key});
    secret.as_object_mut().expect("an object").remove("stringData");
    secret
}

/// An Ingress with a host named after its service.
pub(crate) fn host_of(name: &str) -> Value {
    value(&ingress(name, &host_to(&format!("{name}.example"), name)))
}

pub(crate) fn value(manifest: &str) -> Value {
    serde_json::from_str(manifest).expect("JSON")
}

/// A rule that sends all requests for a service to one of its versions.
pub(crate) fn version_rule(service: &str, version: &str) -> Value {
    json!({
        "apiVersion": "config.istio.io/v1alpha2", "kind": "RouteRule",
        "metadata": {"name": service},
        "spec": {"destination": {"name": service}, "route": [{"labels": {"version": version}}]},
    })
}

/// Headless, because the API server has few addresses to assign.
fn service(name: &str) -> Value {
    // Server-side apply of Kubernetes 1.20 also requires the protocol.
    let port = json!({"name": "http", "port": 80, "protocol": "TCP"});
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "ports": [port]},
    })
}

fn slice(service: &str, upstream: &Upstream) -> Value {
    let address = upstream.address;
    json!({
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": address.port()}],
        "endpoints": [{"addresses": [address.ip()], "conditions": {"ready": true}}],
    })
}

/// Waits until a condition is true, and returns how long that took.
pub(crate) fn until(
    what: &str,
    patience: Duration,
    mut holds: impl FnMut() -> bool,
) -> Result<Duration, String> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > patience {
            return Err(format!("not within {} s: {what}", patience.as_secs()));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(start.elapsed())
}
