//! `ingressctl explain`.

mod render;

use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::args::SettingsArgs;
use super::source::{NamespaceArgs, SourceArgs};
use super::{ensure_complete, print, report};
use crate::explain::{Request, explain, hints};

/// Show how a request is routed, and why
///
/// Runs the same module as Envoy, offline, with the route table of the
/// manifests, and lists each route and rule with the reason why it did not
/// match the request.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The URL of the request, such as foo.example.com/status/200
    url: String,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    part: NamespaceArgs,
    /// Use this method
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,
    /// Send this header, as 'name: value'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Use this client address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    client: IpAddr,
    /// Send this server name (SNI) in the TLS handshake; '' sends none
    /// [default: the host of the URL]
    #[arg(long, value_name = "HOST")]
    sni: Option<String>,
    /// Use this in place of random numbers: selects among weights; 0 selects no
    /// fault that applies only to a percentage of requests
    #[arg(long, value_name = "N", default_value_t = 0)]
    random: u64,
    /// Print the result in this format
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

impl Explain {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let request = Request::new(&self.method, &self.url, &self.headers)?
            .from_client(self.client)
            .with_random(Some(self.random));
        let request = match &self.sni {
            None => request,
            Some(host) => request.on_connection_to(host).context("--sni")?,
        };
        let settings = self.settings.resolve()?;
        let source = self.source.read(&self.part.namespaces, &settings)?;
        let compiled = source.compile(&settings);
        report(&compiled.findings);
        ensure_complete(source.manifests(), "nothing was explained")?;
        let mut explanation = explain(&compiled.gateway.table, &settings, &request)?;
        explanation.hints = hints(&compiled, source.has_all_secrets(), &request, &explanation);
        print(&match self.output {
            Output::Json => serde_json::to_string_pretty(&explanation)?,
            Output::Text => render::text(&request, &explanation),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
