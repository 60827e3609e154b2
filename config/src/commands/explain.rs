//! `ingressctl explain`.

mod hints;
mod render;

use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::args::SettingsArgs;
use super::source::{NamespaceArgs, SourceArgs};
use super::{ensure_complete, print, report};
use crate::explain::{Request, explain};

/// Say what happens to a request, and why
///
/// Runs the very module that Envoy runs, offline, on the route table of the
/// manifests, and lists every route and every rule with the reason why it does
/// not serve the request.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The URL, such as foo.example.com/status/200
    url: String,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    part: NamespaceArgs,
    /// The method
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header, as 'name: value'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The address of the client
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    client: IpAddr,
    /// The host that the client asks for when it connects by HTTPS; an empty one
    /// is none [default: that of the URL]
    #[arg(long, value_name = "HOST")]
    sni: Option<String>,
    /// Draw this in place of every random number: it picks among weights, and 0
    /// leaves out faults that hit only a part of the requests
    #[arg(long, value_name = "N", default_value_t = 0)]
    random: u64,
    /// How to print it
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
        explanation.hints = hints::hints(&source, &compiled, &request, &explanation);
        print(&match self.output {
            Output::Json => serde_json::to_string_pretty(&explanation)?,
            Output::Text => render::text(&request, &explanation),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
