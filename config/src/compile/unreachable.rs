//! The reasons why a port of a service is unreachable.

use thiserror::Error;

use crate::finding::{Code, quote};

/// The reason why a port is unreachable. Services are written `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Unreachable {
    #[error(
        "there is no service {} in namespace {namespace}; add it, or correct the name",
        quote(name)
    )]
    NoService { namespace: String, name: String },
    #[error(
        "service {0} is of type ExternalName, which can name any host; allow it with --external-name-services"
    )]
    ExternalNotAllowed(String),
    #[error(
        "service {0} is of type ExternalName without a DNS name; correct its spec.externalName"
    )]
    ExternalWithoutName(String),
    #[error("service {service} has no such port; it has {ports}{remedy}")]
    NoSuchPort { service: String, ports: String, remedy: &'static str },
    #[error(
        "service {service} has no port{} with number {number}, which the Ingress uses; it has {ports}",
        nor_named(name)
    )]
    NoPortLike { service: String, name: String, number: u16, ports: String },
    #[error(
        "service {service} is headless, and its port {port} targets port {} of its pods, whose number is not known; add its Endpoints or EndpointSlices, or set targetPort to a number",
        quote(name)
    )]
    NamedTargetPort { service: String, port: u16, name: String },
    #[error(
        "port {port} of service {service} speaks {protocol}, not HTTP; if it does speak HTTP, name the port http, http2, grpc, https or grpcs, with an optional -suffix, or set its appProtocol"
    )]
    NotHttp { port: u16, service: String, protocol: String },
    #[error(
        "TLS to port {port} of service {service} is not possible as its annotations ask; correct what the findings about the service and its Secrets name"
    )]
    TlsNotUsable { port: u16, service: String },
}

/// The subject of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Service,
    Port,
}

impl Unreachable {
    pub(super) fn code(&self) -> Code {
        match self {
            Self::NoService { .. } => Code::ServiceNotFound,
            Self::ExternalNotAllowed(_) => Code::ExternalNameOff,
            Self::ExternalWithoutName(_) => Code::ExternalNameNotValid,
            Self::NoSuchPort { .. } | Self::NoPortLike { .. } => Code::ServicePortNotFound,
            Self::NamedTargetPort { .. } => Code::TargetPortUnknown,
            Self::NotHttp { .. } => Code::PortNotHttp,
            Self::TlsNotUsable { .. } => Code::UpstreamTlsNotUsable,
        }
    }

    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::NoService { .. } | Self::ExternalNotAllowed(_) | Self::ExternalWithoutName(_) => {
                Subject::Service
            }
            Self::NoSuchPort { .. }
            | Self::NoPortLike { .. }
            | Self::NamedTargetPort { .. }
            | Self::NotHttp { .. }
            | Self::TlsNotUsable { .. } => Subject::Port,
        }
    }
}

fn nor_named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" named {} nor one", quote(name)) }
}
