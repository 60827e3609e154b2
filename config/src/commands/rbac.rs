//! `ingressctl rbac`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::args::{SettingsArgs, parse_namespace};
use super::source::SourceArgs;
use super::{ensure_complete, print, report, summary};
use crate::finding::Severity;
use crate::rbac;

/// Print the least RBAC permissions that the controller needs for these manifests
///
/// Prints a service account, Roles and bindings, for `kubectl apply`:
///
///   ingressctl rbac -f manifests/ | kubectl apply -f -
///
/// The account may read Ingresses, IngressClasses, RouteRules, Services, endpoints
/// and Pods, and write the status of Ingresses, Events and its own Lease. It may read
/// only the Secrets that served Ingresses name in spec.tls, and their Services in
/// annotations, and the default certificate, each by name. Run this again when an
/// Ingress or a Service names a new Secret.
///
/// With --namespace, the account may read only these namespaces, and IngressClasses,
/// which have no namespace. Start the controller with the same flags.
///
/// If manifests have errors, prints them to standard error and exits with 1. If a
/// manifest cannot be read, prints no permissions.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Rbac {
    #[command(flatten)]
    source: SourceArgs,
    /// Print the permissions in this format; json is one List
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Output,
    /// Print permissions for a controller that watches only this namespace; may be
    /// repeated [default: all]
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = parse_namespace)]
    namespaces: Vec<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Yaml,
    Json,
}

impl Rbac {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings.resolve()?;
        let source = self.source.read(&self.namespaces, &settings)?;
        let manifests = source.manifests();
        let (secrets, findings) = rbac::named_secrets(manifests, &settings, &self.namespaces);
        report(&findings);
        ensure_complete(manifests, "no permissions were printed")?;
        let grants = rbac::grants(&settings, &self.namespaces, &secrets);
        print(&match self.output {
            Output::Yaml => rbac::to_yaml(&grants)?,
            Output::Json => rbac::to_json(&grants)?,
        })?;
        if let Some(summary) = summary(&findings) {
            eprintln!("{summary}");
        }
        let has_errors = findings.iter().any(|finding| finding.severity == Severity::Error);
        Ok(if has_errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
