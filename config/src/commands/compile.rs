//! `ingressctl compile`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::args::{ADDRESSES, Input, SettingsArgs};
use super::{ensure_complete, report, summary};
use crate::compile::compile;
use crate::envoy::{
    Admin, EnvoyFiles, Layout, Listening, LoopbackAddr, parse_listen_addr,
    remove_other_certificates, write_certificates,
};

/// Write all files that Envoy needs
///
/// Writes to DIR: bootstrap.json, the xDS resources that it names (lds.json, rds.json,
/// cds.json, ecds.json), the module `ingress_filter.wasm`, and the route table as
/// route-table.json. Certificates and keys are written to the folder certificates,
/// which only the owner can read: run Envoy as the same user. Start it with
/// `envoy -c DIR/bootstrap.json`.
///
/// If manifests have errors, prints them, writes the rest and exits with 1. If a
/// manifest cannot be read, or the files cannot be written, writes nothing and exits
/// with 3.
#[derive(Debug, Args)]
#[command(after_help = ADDRESSES)]
pub(crate) struct Compile {
    #[command(flatten)]
    input: Input,
    /// Write to this folder; created if it does not exist
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Let Envoy listen for HTTP on this address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_listen_addr)]
    http: SocketAddr,
    /// Let Envoy listen for HTTPS on this address, if there is any certificate
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443", value_parser = parse_listen_addr)]
    https: SocketAddr,
    /// Bind Envoy's admin interface, whose clients can control Envoy, to this
    /// loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9901")]
    admin: LoopbackAddr,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl Compile {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings.resolve()?;
        let manifests = self.input.read();
        let compiled = compile(&manifests, &settings);
        report(&compiled.findings);
        ensure_complete(&manifests, "nothing was written")?;

        let folder = &self.output;
        fs::create_dir_all(folder).with_context(|| format!("folder {}", folder.display()))?;
        let layout = Layout::new(fs::canonicalize(folder)?);
        let admin = Admin::Loopback(self.admin);
        let listening = Listening { http: self.http, https: self.https, admin, probe: None };
        let files = EnvoyFiles::new(&compiled.gateway, &settings, listening, &layout)?;
        let write = || {
            write_certificates(&layout, &compiled.gateway)?;
            files.write(&layout)?;
            remove_other_certificates(&layout, &compiled.gateway)
        };
        write().with_context(|| format!("folder {}", folder.display()))?;
        if let Some(summary) = summary(&compiled.findings) {
            eprintln!("{summary}; the rest was written to {}", folder.display());
        }
        Ok(if compiled.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
