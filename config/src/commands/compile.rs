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

/// Write everything Envoy needs
///
/// Into DIR go bootstrap.json, the resources it names (lds.json, rds.json,
/// cds.json, ecds.json), the module `ingress_filter.wasm`, and the route table by
/// itself as route-table.json. Certificates and their keys go into the folder
/// certificates, readable for the owner alone: run Envoy as the same user. Start
/// it with `envoy -c DIR/bootstrap.json`.
///
/// What is wrong in the manifests is printed; the rest of them is written, and
/// the exit code is 1. If any of them cannot be read, or anything else is in the
/// way, nothing is written, and the exit code is 3.
#[derive(Debug, Args)]
#[command(after_help = ADDRESSES)]
pub(crate) struct Compile {
    #[command(flatten)]
    input: Input,
    /// The folder to write to; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Address on which Envoy serves HTTP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_listen_addr)]
    http: SocketAddr,
    /// Address on which Envoy serves HTTPS, if there is any certificate
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443", value_parser = parse_listen_addr)]
    https: SocketAddr,
    /// Envoy's admin interface, on a loopback address: its clients control Envoy
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
        let key_pairs = compiled.gateway.key_pairs();
        let write = || {
            write_certificates(&layout, &key_pairs)?;
            files.write(&layout)?;
            remove_other_certificates(&layout, &key_pairs)
        };
        write().with_context(|| format!("folder {}", folder.display()))?;
        if let Some(summary) = summary(&compiled.findings) {
            eprintln!("{summary}; the rest was written to {}", folder.display());
        }
        Ok(if compiled.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
