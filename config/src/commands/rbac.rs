//! `ingressctl rbac`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::args::{SettingsArgs, parse_namespace};
use super::source::SourceArgs;
use super::{ensure_complete, print, report, summary};
use crate::finding::Severity;
use crate::rbac;

/// Print the rights that the controller needs for these manifests, and no others
///
/// A service account, Roles and their bindings, for `kubectl apply`:
///
///   ingressctl rbac -f manifests/ | kubectl apply -f -
///
/// It may read Ingresses, IngressClasses, RouteRules, Services, endpoints and
/// Pods, write the status of Ingresses, Events and its own Lease. Of Secrets it
/// may read those that Ingresses of our class name in spec.tls, and the default
/// certificate, each by its name. An Ingress that names another takes a new run.
///
/// With --namespace it may read in these namespaces only, but for IngressClasses,
/// which are in none, and Events; start the controller with the same flags.
///
/// What is wrong with the manifests is printed on standard error, and the exit
/// code is 1. If any of them cannot be read, no rights are printed.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Rbac {
    #[command(flatten)]
    source: SourceArgs,
    /// How to print them; json is one List
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Output,
    /// For a controller that watches this namespace only; may be repeated
    /// [default: all]
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
        ensure_complete(manifests, "no rights were printed")?;
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
