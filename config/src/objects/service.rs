//! Services: their ports, and what is spoken there.

use super::{Cursor, Reading, is_dns_label};

/// A Service, as far as it matters for reaching it.
#[derive(Debug)]
pub(crate) struct Service {
    /// The DNS name that it stands for, if it is an `ExternalName`.
    pub(crate) external_name: Option<String>,
    pub(crate) ports: Vec<ServicePort>,
}

#[derive(Debug)]
pub(crate) struct ServicePort {
    /// Empty where the only port has none.
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) application: Application,
}

/// What is spoken at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Application {
    Http1,
    Http2,
    /// Something that an HTTP ingress cannot forward to.
    Other(String),
}

impl Service {
    /// Reads a Service. `None` where its name could not be part of a cluster's.
    pub(crate) fn read(reading: &Reading<'_>, name: &str) -> Option<Self> {
        let root = reading.root();
        if !is_dns_label(name) {
            root.error_in(
                "metadata.name",
                "is no DNS label: lower-case letters, digits and -, 63 at most",
            );
            return None;
        }
        let spec = reading.section(&root, "spec")?;
        let is_external = spec.string("type") == Some("ExternalName");
        let external_name =
            if is_external { spec.string("externalName").map(str::to_owned) } else { None };
        let ports = spec
            .list("ports")
            .iter()
            .filter_map(|item| ServicePort::read(&item.cursor()))
            .collect();
        Some(Self { external_name, ports })
    }
}

impl ServicePort {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        if !cursor.expect_mapping() {
            return None;
        }
        let Some(port) = cursor.field("port") else {
            cursor.error_in("port", "is missing; a service's port has a number");
            return None;
        };
        let port = port.as_port()?;
        let name = cursor.string("name").unwrap_or_default().to_owned();
        let application = match cursor.string("protocol") {
            None | Some("TCP") => Application::new(cursor.string("appProtocol"), &name),
            Some(other) => Application::Other(other.to_lowercase()),
        };
        Some(Self { name, port, application })
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
            "http" | "kubernetes.io/ws" => Some(Self::Http1),
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
        use Application::{Http1, Http2};
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
            (Some("kubernetes.io/ws"), "grpc", Http1),
            (Some("example.com/mine"), "grpc", Http2),
            (Some("kubernetes.io/wss"), "http", other("kubernetes.io/wss")),
        ] {
            assert_eq!(Application::new(app_protocol, name), expected, "{app_protocol:?} {name}");
        }
    }
}
