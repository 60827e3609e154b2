//! What several commands take.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::envoy::Listening;
use crate::finding::quote;
use crate::manifest::{self, Manifests, PathSpec};
use crate::settings::{HttpForTls, Mode, ObjectName, Settings, TimeLimit};

/// The manifests to work on.
#[derive(Clone, Debug, Args)]
pub(crate) struct Input {
    /// Manifests: a YAML or JSON file, a folder of them, or - for standard
    /// input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

impl Input {
    /// What the paths name.
    pub(crate) fn specs(&self) -> Vec<PathSpec> {
        self.paths.iter().cloned().map(PathSpec::from).collect()
    }

    /// Reads the manifests.
    pub(crate) fn read(&self) -> Manifests {
        manifest::read(&self.specs(), &mut std::io::stdin().lock())
    }
}

/// The settings: from a file, each overridden by its flag.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingsArgs {
    /// A YAML file with any of the following, in camelCase; a flag wins over it
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    /// Serve Ingresses annotated kubernetes.io/ingress.class: NAME [default: istio]
    #[arg(long, value_name = "NAME")]
    ingress_class: Option<String>,

    /// Serve only Ingresses of our class (strict), also those without one
    /// (default), or none (off) [default: strict]
    #[arg(long, value_name = "MODE", value_enum, hide_possible_values = true)]
    ingress_controller_mode: Option<ModeArg>,

    /// The spec.controller of IngressClasses that are ours
    /// [default: istio.io/ingress-controller]
    #[arg(long, value_name = "NAME")]
    controller_name: Option<String>,

    /// The name of this gateway, for match.source of RouteRules
    /// [default: istio-ingress]
    #[arg(long, value_name = "NAME")]
    gateway_name: Option<String>,

    /// The namespace of this gateway, likewise [default: istio-system]
    #[arg(long, value_name = "NAME")]
    gateway_namespace: Option<String>,

    /// The labels of this gateway, likewise [default: istio=ingress]
    #[arg(long, value_name = "K=V,…", value_parser = parse_labels)]
    gateway_labels: Option<BTreeMap<String, String>>,

    /// The DNS domain of the cluster [default: cluster.local]
    #[arg(long, value_name = "DOMAIN")]
    cluster_domain: Option<String>,

    /// The Secret with the certificate for clients that ask for no host, or for
    /// one without a certificate [default: istio-system/istio-ingress-certs]
    #[arg(long, value_name = "NAMESPACE/NAME")]
    default_certificate: Option<ObjectName>,

    /// Serve paths of Ingresses with TLS over plain HTTP too (serve), send
    /// clients to HTTPS (redirect), or answer 404 (refuse) [default: serve]
    #[arg(long, value_name = "WHAT", value_enum, hide_possible_values = true)]
    http_for_tls: Option<HttpForTlsArg>,

    /// The port at which clients reach HTTPS, for redirects there [default: 443,
    /// or where serve listens]
    #[arg(long, value_name = "PORT")]
    https_port: Option<NonZeroU16>,

    /// How long a request may take where no RouteRule says so, such as 15s
    /// [default: for ever]
    #[arg(long, value_name = "DURATION")]
    default_timeout: Option<TimeLimit>,

    /// Let RouteRules name services of other namespaces [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    cross_namespace_rules: Option<bool>,

    /// Take regular expressions in Ingress paths without a type of their own
    /// [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    regex_paths: Option<bool>,

    /// Follow services of type ExternalName, wherever they lead [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    external_name_services: Option<bool>,

    /// Proxies in front of this one whose x-forwarded-* headers are believed
    /// [default: 0]
    #[arg(long, value_name = "N")]
    trusted_hops: Option<u32>,

    /// Log each request as a line of JSON on standard output [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    access_log: Option<bool>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    Off,
    Default,
    Strict,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HttpForTlsArg {
    Serve,
    Redirect,
    Refuse,
}

impl SettingsArgs {
    /// The settings these flags and their file come to.
    ///
    /// # Errors
    /// Where the file cannot be read or holds something else.
    pub(crate) fn resolve(&self) -> anyhow::Result<Settings> {
        let mut settings = match &self.settings {
            None => Settings::default(),
            Some(path) => read_settings(path)?,
        };
        set(&mut settings.ingress_class, self.ingress_class.as_ref());
        set(&mut settings.controller_name, self.controller_name.as_ref());
        set(&mut settings.gateway.name, self.gateway_name.as_ref());
        set(&mut settings.gateway.namespace, self.gateway_namespace.as_ref());
        set(&mut settings.gateway.labels, self.gateway_labels.as_ref());
        settings.https_port = self.https_port.or(settings.https_port);
        settings.default_timeout = self.default_timeout.or(settings.default_timeout);
        set(&mut settings.cross_namespace_rules, self.cross_namespace_rules.as_ref());
        set(&mut settings.cluster_domain, self.cluster_domain.as_ref());
        set(&mut settings.default_certificate, self.default_certificate.as_ref());
        set(&mut settings.regex_paths, self.regex_paths.as_ref());
        set(&mut settings.external_name_services, self.external_name_services.as_ref());
        set(&mut settings.trusted_hops, self.trusted_hops.as_ref());
        set(&mut settings.access_log, self.access_log.as_ref());
        if let Some(mode) = self.ingress_controller_mode {
            settings.ingress_controller_mode = match mode {
                ModeArg::Off => Mode::Off,
                ModeArg::Default => Mode::Default,
                ModeArg::Strict => Mode::Strict,
            };
        }
        if let Some(http_for_tls) = self.http_for_tls {
            settings.http_for_tls = match http_for_tls {
                HttpForTlsArg::Serve => HttpForTls::Serve,
                HttpForTlsArg::Redirect => HttpForTls::Redirect,
                HttpForTlsArg::Refuse => HttpForTls::Refuse,
            };
        }
        settings.validate().map_err(anyhow::Error::msg)?;
        Ok(settings)
    }
}

fn set<T: Clone>(setting: &mut T, flag: Option<&T>) {
    if let Some(value) = flag {
        setting.clone_from(value);
    }
}

/// Labels as `kubectl` takes them: `istio=ingress,app=edge`.
fn parse_labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("{} is no label; write key=value", quote(pair)))?;
        Ok((key.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

fn read_settings(path: &Path) -> anyhow::Result<Settings> {
    let read = || -> anyhow::Result<Settings> {
        let text = fs::read_to_string(path)?;
        // A file that holds nothing, or only comments, is null.
        let settings: Option<Settings> = serde_saphyr::from_str(&text)
            .map_err(|error| anyhow::Error::msg(error.without_snippet().to_string()))?;
        let settings = settings.unwrap_or_default();
        settings.validate().map_err(anyhow::Error::msg)?;
        Ok(settings)
    };
    read().with_context(|| format!("settings file {}", path.display()))
}

/// The addresses to listen on.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct ListenArgs {
    /// Serve HTTP here; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,

    /// Serve HTTPS here, where there is any certificate; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub(crate) https: SocketAddr,

    /// Envoy's admin interface; whoever reaches it controls Envoy
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) admin: SocketAddr,
}

impl From<ListenArgs> for Listening {
    fn from(ListenArgs { http, https, admin }: ListenArgs) -> Self {
        Self { http, https, admin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs() {
        let labels = parse_labels("istio=ingress,app=").unwrap();
        assert_eq!(
            labels,
            BTreeMap::from([("istio".into(), "ingress".into()), ("app".into(), String::new())])
        );
        assert_eq!(parse_labels(""), Ok(BTreeMap::new()));
        assert!(parse_labels("istio").unwrap_err().contains("key=value"));
    }
}
