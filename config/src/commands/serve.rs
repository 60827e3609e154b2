//! `ingressctl serve`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::args::{ADDRESSES, Input, ListenArgs, SettingsArgs};
use super::runtime::block_on;
use crate::envoy::{Listening, parse_listen_addr};
use crate::manifest::PathSpec;
use crate::rollout::Ready;
use crate::serve::{Options, serve};

/// Run Envoy with manifests, and apply changes without a restart
///
/// Prints `ready http=ADDR https=ADDR admin=ADDR` on standard output once Envoy
/// answers, without https if there is no certificate, and with health=ADDR if --health
/// is given. Findings go to standard error.
/// While a manifest cannot be read or parsed, the previous configuration stays in
/// use. Exits with Envoy's exit code, or with 0 after Ctrl-C.
///
/// Endpoints come from the Endpoints or EndpointSlices in the manifests; Envoy
/// resolves the DNS name of a Service without any.
#[derive(Debug, Args)]
#[command(after_help = ADDRESSES)]
pub(crate) struct Serve {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    listen: ListenArgs,
    /// Serve /healthz, /readyz and /metrics on this address
    #[arg(long, value_name = "ADDR", value_parser = parse_listen_addr, help_heading = "Listening")]
    health: Option<SocketAddr>,
    #[command(flatten)]
    run: RunArgs,
}

/// Options of serving, for any manifests.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    envoy: EnvoyArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Which Envoy to run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Envoy")]
struct EnvoyArgs {
    /// Run this Envoy [default: $ENVOY, then the PATH, then a downloaded and cached
    /// one]
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Run Envoy with this number of worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let options = self.run.options(self.input.specs(), self.listen.into())?;
        let options = Options { health: self.health, ..options };
        block_on(serve(&options, |ready, health| announce(&ready, health)))
    }
}

impl RunArgs {
    /// The options of serving `manifests`.
    pub(crate) fn options(
        self,
        manifests: Vec<PathSpec>,
        listening: Listening,
    ) -> anyhow::Result<Options> {
        let mut settings = self.settings.resolve()?;
        settings.http_port = settings.http_port.or(NonZeroU16::new(listening.http.port()));
        settings.https_port = settings.https_port.or(NonZeroU16::new(listening.https.port()));
        Ok(Options {
            manifests,
            health: None,
            settings,
            listening,
            envoy: self.envoy.envoy,
            concurrency: self.envoy.concurrency,
        })
    }
}

/// Prints the line that scripts wait for.
pub(crate) fn announce(ready: &Ready, health: Option<SocketAddr>) {
    let health = health.map(|health| format!(" health={health}")).unwrap_or_default();
    say(&format!("ready {}{health}", addresses(ready)));
}

/// The addresses that scripts read: HTTPS only if it is served.
pub(crate) fn addresses(Ready { http, https, admin }: &Ready) -> String {
    let https = https.map(|https| format!(" https={https}")).unwrap_or_default();
    format!("http={http}{https} admin={admin}")
}

/// Prints to standard output; a closed standard output is ignored.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
