//! Services: their ports, and what is spoken there.

use std::sync::Arc;

use super::{Cursor, Read, Reading, is_dns_label, is_dns_subdomain};
use crate::finding::Code;
use crate::manifest::Object;

/// A Service, as far as it matters for reaching it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) residence: Residence,
    pub(crate) ports: Vec<ServicePort>,
}

/// Where a service is.
#[derive(Debug)]
pub(crate) enum Residence {
    InCluster,
    /// The same without an address of its own (`clusterIP: None`): its DNS name
    /// leads to its pods, which listen at the target ports.
    Headless,
    /// Of type `ExternalName`: at this DNS name, if it is one.
    External(Option<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct ServicePort {
    /// Empty where the only port has none.
    pub(crate) name: String,
    pub(crate) port: u16,
    /// Where the pods listen.
    pub(crate) target: TargetPort,
    pub(crate) application: Application,
}

/// Where the pods behind a port of a service listen.
#[derive(Clone, Debug)]
pub(crate) enum TargetPort {
    Number(u16),
    /// At the port of theirs that has this name.
    Name(Box<str>),
}

/// What is spoken at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Application {
    Http1,
    /// HTTP/1.1, and WebSocket for clients that want it (KEP-3726).
    WebSocket,
    Http2,
    /// Something that an HTTP ingress cannot forward to.
    Other(String),
}

impl Service {
    /// Reads an object; `None` where its name could not be part of a cluster's.
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
        let Some(spec) = root.mapping("spec") else {
            return Some(Self { residence: Residence::InCluster, ports: Vec::new() });
        };
        let residence = match spec.string("type") {
            Some("ExternalName") => Residence::External(external_name(&spec)),
            _ if spec.string("clusterIP") == Some("None") => Residence::Headless,
            _ => Residence::InCluster,
        };
        let ports = spec
            .list("ports")
            .iter()
            .filter_map(|item| ServicePort::read(&item.cursor()))
            .collect();
        Some(Self { residence, ports })
    }
}

/// Envoy refuses all clusters for the sake of one without an address.
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

    /// One that no Service lists, by its number.
    pub(crate) fn unlisted(port: u16) -> Self {
        let (name, target) = (String::new(), TargetPort::Number(port));
        Self { name, port, target, application: Application::Http1 }
    }
}

impl TargetPort {
    /// Whatever it is, it matters only where nothing else tells of endpoints.
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        let target = cursor.field("targetPort")?;
        let number = target.node().as_i64().and_then(|number| u16::try_from(number).ok());
        let number = number.filter(|number| *number > 0).map(Self::Number);
        number.or_else(|| target.node().as_str().map(|name| Self::Name(name.into())))
    }
}

impl Application {
    /// By `appProtocol`, else by Istio's convention for the port's name,
    /// `<protocol>[-suffix]`. What neither knows is HTTP.
    fn new(app_protocol: Option<&str>, port_name: &str) -> Self {
        let of_name = || port_name.split('-').next().and_then(Self::known);
        app_protocol.and_then(Self::known).or_else(of_name).unwrap_or(Self::Http1)
    }

    fn known(protocol: &str) -> Option<Self> {
        let protocol = protocol.to_ascii_lowercase();
        match protocol.as_str() {
            "http" => Some(Self::Http1),
            "kubernetes.io/ws" => Some(Self::WebSocket),
            "http2" | "grpc" | "h2c" | "kubernetes.io/h2c" => Some(Self::Http2),
            "tcp" | "udp" | "sctp" | "mongo" | "redis" | "mysql" | "https" | "tls" | "wss"
            | "kubernetes.io/wss" => Some(Self::Other(protocol)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_protocol_counts_before_the_ports_name() {
        use Application::{Http1, Http2, WebSocket};
        let other = |name: &str| Application::Other(name.into());
        for (app_protocol, name, expected) in [
            (None, "http", Http1),
            (None, "http-web", Http1),
            (None, "http2", Http2),
            (None, "grpc-api", Http2),
            (None, "", Http1),
            (None, "web", Http1),
            (None, "httpx", Http1),
            (None, "tcp-thing", other("tcp")),
            (None, "https", other("https")),
            (Some("grpc"), "http", Http2),
            (Some("kubernetes.io/h2c"), "web", Http2),
            (Some("kubernetes.io/ws"), "grpc", WebSocket),
            (Some("example.com/mine"), "grpc", Http2),
            (Some("kubernetes.io/wss"), "http", other("kubernetes.io/wss")),
        ] {
            assert_eq!(Application::new(app_protocol, name), expected, "{app_protocol:?} {name}");
        }
    }
}
