//! TLS to upstreams: the transport socket of a cluster.
//!
//! The authorities and the certificate of the gateway come from SDS, so that changing
//! them does not change a cluster, which would close its connections.

use prost::{Enumeration, Message};
use serde::Serialize;

use super::certificates::{AuthoritiesFile, CertificateFiles};
use super::core::{DataSource, StringMatcher};
use super::message::{is_unset, json_names, typed};
use super::tls::{CommonTlsContext, SdsSecretConfig, TlsCertificate, TlsSource};
use crate::model::{Protocol, Roots, UpstreamTls, Verification};
use crate::settings::TlsVersion;

/// `transport_sockets.tls.v3.UpstreamTlsContext`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct UpstreamTlsContext {
    #[prost(message, optional, tag = "1")]
    common_tls_context: Option<CommonTlsContext>,
    #[prost(string, tag = "2")]
    sni: String,
}

/// `transport_sockets.tls.v3.CertificateValidationContext`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ValidationContext {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "is_unset")]
    trusted_ca: Option<DataSource>,
    #[prost(message, repeated, tag = "15")]
    #[serde(skip_serializing_if = "is_unset")]
    match_typed_subject_alt_names: Vec<SanMatcher>,
}

/// `CommonTlsContext.CombinedCertificateValidationContext`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct CombinedValidationContext {
    #[prost(message, optional, tag = "1")]
    default_validation_context: Option<ValidationContext>,
    #[prost(message, optional, tag = "2")]
    validation_context_sds_secret_config: Option<SdsSecretConfig>,
}

/// `transport_sockets.tls.v3.SubjectAltNameMatcher`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct SanMatcher {
    #[prost(enumeration = "SanType", tag = "1")]
    #[serde(serialize_with = "SanType::json")]
    san_type: i32,
    #[prost(message, optional, tag = "2")]
    matcher: Option<StringMatcher>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum SanType {
    Unspecified = 0,
    Dns = 2,
}

json_names!(SanType { Unspecified = "SAN_TYPE_UNSPECIFIED", Dns = "DNS" });

typed! {
    UpstreamTlsContext = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
}

impl UpstreamTlsContext {
    pub(super) fn new(tls: &UpstreamTls, protocol: Protocol, source: TlsSource<'_>) -> Self {
        let protocols = match protocol {
            Protocol::Http1 => &["http/1.1"],
            Protocol::Http2 => &["h2"],
        };
        let mut context = CommonTlsContext::new(protocols, TlsVersion::V12);
        if let Some(verification) = &tls.verification {
            context.verify(verification, source);
        }
        if let Some(client) = &tls.client {
            context.show(client, source);
        }
        Self { common_tls_context: Some(context), sni: tls.server_name.clone() }
    }

    /// The names of the secrets that come from the stream.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let context = self.common_tls_context.iter();
        context.flat_map(|context| {
            let certificates = context.tls_certificate_sds_secret_configs.iter();
            let combined = context.combined_validation_context.iter();
            let roots = combined.filter_map(|it| it.validation_context_sds_secret_config.as_ref());
            certificates.chain(roots).map(SdsSecretConfig::name)
        })
    }
}

impl CommonTlsContext {
    fn verify(&mut self, Verification { roots, names }: &Verification, source: TlsSource<'_>) {
        let names = ValidationContext {
            trusted_ca: None,
            match_typed_subject_alt_names: names.iter().map(|name| SanMatcher::dns(name)).collect(),
        };
        let file = |file| Some(ValidationContext { trusted_ca: Some(file), ..names.clone() });
        match (roots, source) {
            (Roots::File(path), _) => {
                self.validation_context = file(DataSource::file(path.as_ref()));
            }
            (Roots::Secret(name), TlsSource::Stream) => {
                self.combined_validation_context = Some(CombinedValidationContext {
                    default_validation_context: Some(names),
                    validation_context_sds_secret_config: Some(SdsSecretConfig::stream(name)),
                });
            }
            (Roots::Secret(name), TlsSource::Files(layout, secrets)) => {
                // Without authorities, every certificate would be accepted.
                let fingerprint = secrets.authorities.get(name).map(|it| it.fingerprint());
                let path = AuthoritiesFile::new(layout, name, fingerprint.unwrap_or("missing"));
                self.validation_context = file(DataSource::file(&path.0));
            }
        }
    }

    fn show(&mut self, name: &str, source: TlsSource<'_>) {
        match source {
            TlsSource::Stream => {
                self.tls_certificate_sds_secret_configs = vec![SdsSecretConfig::stream(name)];
            }
            TlsSource::Files(layout, secrets) => {
                let pair = secrets.clients.get(name);
                let files = pair.map(|pair| CertificateFiles::new(layout, name, pair));
                let certificate = files.map(|files| TlsCertificate::of_files(&files));
                self.tls_certificates = certificate.into_iter().collect();
            }
        }
    }
}

impl ValidationContext {
    /// Trusts these authorities, in PEM.
    pub(super) fn trusting(authorities: &str) -> Self {
        Self { trusted_ca: Some(DataSource::inline(authorities)), ..Self::default() }
    }
}

impl SanMatcher {
    /// A DNS name, or a wildcard that includes it.
    fn dns(name: &str) -> Self {
        Self { san_type: SanType::Dns.into(), matcher: Some(StringMatcher::exact(name)) }
    }
}
