//! Services: their ports, and the protocols of these.

mod session;
mod upstream_tls;

use std::sync::Arc;

use super::annotations::read_own;
use super::{Cursor, Read, Reading, is_dns_label, is_dns_subdomain};
use crate::finding::Code;
use crate::manifest::Object;

pub(crate) use upstream_tls::{Roots, SecretRef, UpstreamTls};

/// The parts of a Service that are needed to reach it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) residence: Residence,
    pub(crate) ports: Vec<ServicePort>,
    /// How to connect to ports that use TLS; `None` if its annotations are not valid.
    pub(crate) tls: Option<UpstreamTls>,
    /// The name of the cookie that keeps each client at one endpoint.
    pub(crate) session_cookie: Option<Box<str>>,
}

/// How a service is reached.
#[derive(Debug)]
pub(crate) enum Residence {
    InCluster,
    /// A headless one (`clusterIP: None`): its DNS name resolves to its pods, which listen
    /// on the target ports.
    Headless,
    /// One of type `ExternalName`, with its DNS name if that is valid.
    External(Option<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct ServicePort {
    /// The name; may be empty for a single port.
    pub(crate) name: String,
    pub(crate) port: u16,
    /// The port on which the pods listen.
    pub(crate) target: TargetPort,
    pub(crate) application: Application,
}

/// The port on which the pods of a service listen.
#[derive(Clone, Debug)]
pub(crate) enum TargetPort {
    Number(u16),
    /// The port with this name in each pod.
    Name(Box<str>),
}

/// The protocol of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Application {
    Plain(Http),
    Tls(Http),
    /// A protocol to which an HTTP ingress cannot forward.
    Other(String),
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    Http1,
    /// HTTP/1.1, with upgrades to WebSocket (KEP-3726).
    WebSocket,
    Http2,
    /// gRPC over HTTP/2, which browsers call as gRPC-Web.
    GrpcWeb,
}

/// The only protocol whose name has a hyphen, which otherwise begins a suffix.
const GRPC_WEB: &str = "grpc-web";

impl Service {
    /// Reads an object; `None` if its name cannot be part of a cluster's name.
    pub(crate) fn of(object: &Object) -> Arc<Read<Option<Self>>> {
        Read::once(object, Self::read)
    }

    fn read(reading: &Reading<'_>) -> Option<Self> {
        let (object, root) = (reading.object(), reading.root());
        if !is_dns_label(&object.namespace) {
            root.report_in(
                "metadata.namespace",
                Code::NameNotValid,
                "is not a valid DNS label; use lower-case letters, digits and -, 63 characters at most",
            );
            return None;
        }
        if !is_dns_label(&object.name) {
            root.report_in(
                "metadata.name",
                Code::NameNotValid,
                "is not a valid DNS label; use lower-case letters, digits and -, 63 characters at most",
            );
            return None;
        }
        let metadata = root.field("metadata");
        let annotations = metadata.as_ref().and_then(|metadata| metadata.field("annotations"));
        let own = annotations.as_ref().map(|annotations| {
            let known = [&upstream_tls::ANNOTATIONS[..], &[session::COOKIE]].concat();
            read_own(annotations, &known)
        });
        let own = own.unwrap_or_default();
        let session_cookie = session::cookie(&own);
        let Some(spec) = root.mapping("spec") else {
            let (residence, ports) = (Residence::InCluster, Vec::new());
            let tls = UpstreamTls::read(&own, false);
            return Some(Self { residence, ports, tls, session_cookie });
        };
        let residence = match spec.string("type") {
            Some("ExternalName") => Residence::External(external_name(&spec)),
            _ if spec.string("clusterIP") == Some("None") => Residence::Headless,
            _ => Residence::InCluster,
        };
        let ports: Vec<_> = spec
            .list("ports")
            .iter()
            .filter_map(|item| ServicePort::read(&item.cursor()))
            .collect();
        let tls = UpstreamTls::read(&own, ports.iter().any(ServicePort::has_tls));
        Some(Self { residence, ports, tls, session_cookie })
    }

    /// Whether any port uses TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.ports.iter().any(ServicePort::has_tls)
    }
}

/// Envoy rejects all clusters if one has no address.
fn external_name(spec: &Cursor<'_>) -> Option<String> {
    let field = spec.required("externalName", "give the DNS name this service stands for")?;
    let name = field.as_string()?;
    let is_name = is_dns_subdomain(name.strip_suffix('.').unwrap_or(name));
    if !is_name {
        let message = "is not a valid DNS name; use labels of lower-case letters, digits and -, joined by dots";
        field.report(Code::ExternalNameNotValid, message);
    }
    is_name.then(|| name.to_owned())
}

impl ServicePort {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        if !cursor.expect_mapping() {
            return None;
        }
        let port = cursor.required("port", "a service's port has a number")?.as_port()?;
        let name = cursor.string("name").unwrap_or_default().to_owned();
        let application = match cursor.string("protocol") {
            None | Some("" | "TCP") => Application::new(cursor.string("appProtocol"), &name),
            Some(other) => Application::Other(other.to_lowercase()),
        };
        let target = TargetPort::read(cursor).unwrap_or(TargetPort::Number(port));
        Some(Self { name, port, target, application })
    }

    /// A port that no Service lists, by its number.
    pub(crate) fn unlisted(port: u16) -> Self {
        let (name, target) = (String::new(), TargetPort::Number(port));
        Self { name, port, target, application: Application::Plain(Http::Http1) }
    }

    /// Whether it uses TLS.
    pub(crate) fn has_tls(&self) -> bool {
        matches!(self.application, Application::Tls(_))
    }
}

impl TargetPort {
    /// The target port, which is used only without endpoints in the manifests.
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        let target = cursor.field("targetPort")?;
        let number = target.node().as_i64().and_then(|number| u16::try_from(number).ok());
        let number = number.filter(|number| *number > 0).map(Self::Number);
        number.or_else(|| target.node().as_str().map(|name| Self::Name(name.into())))
    }
}

impl Application {
    /// The protocol by `appProtocol`, or else by Istio's convention for names of ports,
    /// `<protocol>[-suffix]`. The default is HTTP.
    fn new(app_protocol: Option<&str>, port_name: &str) -> Self {
        let is_grpc_web = || {
            let suffix = port_name.strip_prefix(GRPC_WEB);
            suffix.is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('-'))
        };
        let of_name = || match port_name.split('-').next() {
            _ if is_grpc_web() => Some(Self::Plain(Http::GrpcWeb)),
            first => first.and_then(Self::known),
        };
        app_protocol.and_then(Self::known).or_else(of_name).unwrap_or(Self::Plain(Http::Http1))
    }

    fn known(protocol: &str) -> Option<Self> {
        let protocol = protocol.to_ascii_lowercase();
        match protocol.as_str() {
            "http" => Some(Self::Plain(Http::Http1)),
            "kubernetes.io/ws" => Some(Self::Plain(Http::WebSocket)),
            GRPC_WEB => Some(Self::Plain(Http::GrpcWeb)),
            "http2" | "grpc" | "h2c" | "kubernetes.io/h2c" => Some(Self::Plain(Http::Http2)),
            "https" => Some(Self::Tls(Http::Http1)),
            "wss" | "kubernetes.io/wss" => Some(Self::Tls(Http::WebSocket)),
            "grpcs" => Some(Self::Tls(Http::Http2)),
            "tcp" | "udp" | "sctp" | "mongo" | "redis" | "mysql" | "tls" => {
                Some(Self::Other(protocol))
            }
            _ => None,
        }
    }

    /// The version of HTTP, with or without TLS.
    pub(crate) fn http(&self) -> Option<Http> {
        match self {
            Self::Plain(http) | Self::Tls(http) => Some(*http),
            Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_protocol_counts_before_the_ports_name() {
        use Application::{Plain, Tls};
        use Http::{GrpcWeb, Http1, Http2, WebSocket};
        let other = |name: &str| Application::Other(name.into());
        for (app_protocol, name, expected) in [
            (None, "http", Plain(Http1)),
            (None, "http-web", Plain(Http1)),
            (None, "http2", Plain(Http2)),
            (None, "grpc-api", Plain(Http2)),
            (None, "grpc-web", Plain(GrpcWeb)),
            (None, "grpc-web-api", Plain(GrpcWeb)),
            (None, "grpc-website", Plain(Http2)),
            (None, "", Plain(Http1)),
            (None, "web", Plain(Http1)),
            (None, "httpx", Plain(Http1)),
            (None, "tcp-thing", other("tcp")),
            (None, "https", Tls(Http1)),
            (None, "https-web", Tls(Http1)),
            (None, "grpcs", Tls(Http2)),
            (None, "grpcs-api", Tls(Http2)),
            (None, "tls", other("tls")),
            (Some("grpc"), "http", Plain(Http2)),
            (Some("grpc-web"), "http", Plain(GrpcWeb)),
            (Some("grpc"), "grpc-web", Plain(Http2)),
            (Some("kubernetes.io/h2c"), "web", Plain(Http2)),
            (Some("kubernetes.io/ws"), "grpc", Plain(WebSocket)),
            (Some("example.com/mine"), "grpc", Plain(Http2)),
            (Some("https"), "http", Tls(Http1)),
            (Some("HTTPS"), "web", Tls(Http1)),
            (Some("grpcs"), "web", Tls(Http2)),
            (Some("wss"), "web", Tls(WebSocket)),
            (Some("kubernetes.io/wss"), "http", Tls(WebSocket)),
            (Some("http"), "https", Plain(Http1)),
        ] {
            assert_eq!(Application::new(app_protocol, name), expected, "{app_protocol:?} {name}");
        }
    }
}
