//! Annotations of a Service about TLS to its endpoints.

use std::net::IpAddr;

use super::super::annotations::{Own, PREFIX};
use super::super::{Cursor, ObjectName, Place, is_dns_subdomain};
use crate::finding::{Code, quote};

const CA_SECRET: &str = "upstream-ca-secret";
const SERVER_NAME: &str = "upstream-server-name";
const CLIENT_SECRET: &str = "upstream-client-secret";
const VERIFY: &str = "upstream-verify";

pub(super) const ANNOTATIONS: [&str; 4] = [CA_SECRET, SERVER_NAME, CLIENT_SECRET, VERIFY];

/// How to connect to the ports of a service that use TLS.
#[derive(Debug, Default)]
pub(crate) struct UpstreamTls {
    pub(crate) roots: Roots,
    /// The name to verify, and to send as SNI, instead of that of the service.
    pub(crate) server_name: Option<Box<str>>,
    /// The certificate of the gateway.
    pub(crate) client: Option<SecretRef>,
}

/// The authorities that are trusted.
#[derive(Debug, Default)]
pub(crate) enum Roots {
    #[default]
    System,
    Secret(SecretRef),
    /// Certificates are not verified.
    Unverified,
}

/// A Secret of the same namespace, and the annotation that names it.
#[derive(Debug)]
pub(crate) struct SecretRef {
    pub(crate) name: ObjectName,
    pub(crate) place: Place,
}

impl UpstreamTls {
    /// Reads the annotations; `None` if one of them is not valid, because connections
    /// might be less safe than intended.
    pub(super) fn read(own: &Own<'_>, has_tls_port: bool) -> Option<Self> {
        if !has_tls_port {
            for field in ANNOTATIONS.iter().filter_map(|name| own.get(name)) {
                field.report(
                    Code::AnnotationWithoutEffect,
                    "has no effect, because no port of this service uses TLS; name the port https or grpcs, with an optional -suffix, or set its appProtocol",
                );
            }
            return Some(Self::default());
        }
        let ca = own.get(CA_SECRET).map(secret);
        let client = own.get(CLIENT_SECRET).map(secret);
        let server_name = own.get(SERVER_NAME).map(server_name);
        let is_verified = own.get(VERIFY).map_or(Some(true), is_verified);
        // All are read, so that all errors are reported.
        let (ca, client) = (optional(ca)?, optional(client)?);
        let (server_name, is_verified) = (optional(server_name)?, is_verified?);
        let roots = match (is_verified, ca) {
            (true, None) => Roots::System,
            (true, Some(secret)) => Roots::Secret(secret),
            (false, _) => {
                tell_unverified(own.get(VERIFY), own.get(CA_SECRET));
                Roots::Unverified
            }
        };
        Some(Self { roots, server_name, client })
    }

    /// The Secrets that it needs.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let ca = match &self.roots {
            Roots::Secret(secret) => Some(secret),
            Roots::System | Roots::Unverified => None,
        };
        ca.into_iter().chain(&self.client)
    }
}

/// An absent annotation is valid, so the result is `None` only for one that is not.
#[expect(clippy::option_option, reason = "absent is not wrong")]
fn optional<T>(annotation: Option<Option<T>>) -> Option<Option<T>> {
    match annotation {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

fn secret(field: &Cursor<'_>) -> Option<SecretRef> {
    let text = field.as_string()?;
    let name = ObjectName::new(&field.object().namespace, text);
    if name.is_none() {
        let message = format!(
            "{} is not the name of a Secret; write the name of one in the namespace of the service",
            quote(text)
        );
        field.report(Code::AnnotationNotValid, message);
    }
    Some(SecretRef { name: name?, place: field.place() })
}

fn server_name(field: &Cursor<'_>) -> Option<Box<str>> {
    let text = field.as_string()?;
    let is_name = is_dns_subdomain(text) && text.parse::<IpAddr>().is_err();
    if !is_name {
        let message = format!(
            "{} is not a DNS name; write one of the names in the certificate of the service, in lower case",
            quote(text)
        );
        field.report(Code::AnnotationNotValid, message);
    }
    is_name.then(|| text.into())
}

fn is_verified(field: &Cursor<'_>) -> Option<bool> {
    match field.as_string()? {
        "true" => Some(true),
        "false" => Some(false),
        other => {
            let message = format!("is {}, but must be \"true\" or \"false\"", quote(other));
            field.report(Code::AnnotationNotValid, message);
            None
        }
    }
}

fn tell_unverified(verify: Option<&Cursor<'_>>, ca: Option<&Cursor<'_>>) {
    if let Some(verify) = verify {
        let message = format!(
            "certificates of this service are not verified, so anyone between the gateway and its pods can read and change requests; name its authority with {PREFIX}{CA_SECRET} instead"
        );
        verify.report(Code::UpstreamNotVerified, message);
    }
    if let Some(ca) = ca {
        let message =
            format!("has no effect, because {PREFIX}{VERIFY} is \"false\"; remove one of the two");
        ca.report(Code::AnnotationWithoutEffect, message);
    }
}
