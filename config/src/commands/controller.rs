//! `ingressctl controller`.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::args::{ADDRESSES, ArgError, SettingsArgs, parse_namespace};
use super::runtime::{block_on, use_small_pages};
use super::serve::{addresses, say};
use crate::cluster::Access;
use crate::controller::{self, Options, Publish};
use crate::envoy::{Admin, Listening, parse_listen_addr};
use crate::objects::{is_dns_label, is_dns_subdomain, is_object_name};
use crate::settings::TimeLimit;

/// Watch the Kubernetes API and configure an Envoy
///
/// Envoy is a separate process that shares a folder with the controller, so it
/// continues to serve while the controller or the API is down:
///
///   ingressctl controller --folder DIR --prepare
///   envoy --config-path DIR/bootstrap.json --admin-address-path DIR/admin-address
///   ingressctl controller --folder DIR
///
/// Prints `ready http=ADDR admin=PATH health=ADDR` on standard output once Envoy
/// serves a complete table, which may be that of a previous controller. SIGTERM
/// drains and stops Envoy, and then the controller. Envoy's admin interface is the
/// socket admin.sock in the folder; its clients can control Envoy.
///
/// Needs the permissions in config/deploy, whose Deployment runs it.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = ADDRESSES)]
pub(crate) struct Controller {
    /// Share this folder with Envoy; created if it does not exist
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Only write the files that Envoy needs to start, and exit; existing files are
    /// kept
    #[arg(long)]
    prepare: bool,
    /// Log to standard error in this format; `RUST_LOG` sets the level
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    listen: ControllerListenArgs,
    /// Serve /healthz, /readyz and /metrics on this address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = parse_listen_addr, help_heading = "Listening")]
    health: SocketAddr,
    /// On SIGTERM, continue to serve for this time while readiness probes fail
    #[arg(long, value_name = "DURATION", default_value = "5s", help_heading = "Shutdown")]
    drain_delay: TimeLimit,
    /// Then drain Envoy, and stop it after this time at the latest
    #[arg(long, value_name = "DURATION", default_value = "20s", help_heading = "Shutdown")]
    drain_timeout: TimeLimit,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The listen addresses.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Listening")]
struct ControllerListenArgs {
    /// Let Envoy listen for HTTP on this address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_listen_addr)]
    http: SocketAddr,
    /// Let Envoy listen for HTTPS on this address, if there is any certificate
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443", value_parser = parse_listen_addr)]
    https: SocketAddr,
    /// Let Envoy serve /ready on this address: 200 once it has a complete table, even
    /// without the controller, and 503 while it drains
    #[arg(long, value_name = "ADDR", value_parser = parse_listen_addr)]
    probe: Option<SocketAddr>,
    /// Removed: Envoy's admin interface is a socket in the folder
    #[arg(long, value_name = "ADDR", hide = true, value_parser = refuse_admin)]
    admin: Option<Infallible>,
}

impl From<ControllerListenArgs> for Listening {
    fn from(ControllerListenArgs { http, https, probe, .. }: ControllerListenArgs) -> Self {
        Self { http, https, admin: Admin::Socket, probe }
    }
}

/// A route could reach any port of the pod.
fn refuse_admin(_: &str) -> Result<Infallible, ArgError> {
    Err(ArgError::AdminOfController)
}

/// Access to the API, and what is written to it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
struct ApiArgs {
    /// Use this kubeconfig file [default: as kubectl; in a pod, its service
    /// account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig file
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Watch only this namespace; may be repeated [default: all]
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = parse_namespace)]
    namespaces: Vec<String>,
    /// Write the address of this Service into the status of served Ingresses
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = parse_name)]
    publish_service: Option<(String, String)>,
    /// Write this address into the status of served Ingresses; may be repeated
    #[arg(long, value_name = "IP|HOST", conflicts_with = "publish_service", value_parser = parse_address)]
    publish_address: Vec<String>,
    /// Use this Lease for leader election; only the leader writes to the API
    /// [default: the gateway's name, istio-system/istio-ingress]
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = parse_name)]
    lease: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Controller {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        log_as(self.log_format);
        let is_only_preparing = self.prepare;
        let options = self.options()?;
        if is_only_preparing {
            controller::prepare(&options)?;
            return Ok(ExitCode::SUCCESS);
        }
        use_small_pages();
        block_on(async {
            controller::run(options, |ready, health| {
                say(&format!("ready {} health={health}", addresses(&ready)));
            })
            .await?;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn options(self) -> anyhow::Result<Options> {
        let settings = self.settings.resolve()?;
        let api = self.api;
        let publish = match api.publish_service {
            Some((namespace, name)) => Some(Publish::Service { namespace, name }),
            None if api.publish_address.is_empty() => None,
            None => Some(Publish::Addresses(api.publish_address)),
        };
        let gateway = &settings.gateway;
        let lease = api.lease.unwrap_or_else(|| (gateway.namespace.clone(), gateway.name.clone()));
        Ok(Options {
            access: Access { kubeconfig: api.kubeconfig, context: api.context },
            namespaces: api.namespaces,
            folder: self.folder,
            listening: self.listen.into(),
            health: self.health,
            publish,
            lease,
            drain_delay: duration(self.drain_delay),
            drain_timeout: duration(self.drain_timeout),
            settings,
        })
    }
}

fn duration(limit: TimeLimit) -> Duration {
    Duration::from_millis(limit.milliseconds().into())
}

/// The API client logs an error on every retry; the controller logs it once.
const LOGGED: &str = "info,kube_client=off,kube_runtime=off";

/// Logs the whole response if it cannot parse it, which may be a Secret with a private
/// key. Therefore it is never logged, whatever `RUST_LOG` contains.
const CLIENT_OF_SECRETS: &str = "kube_client::client";

/// Logs to standard error, because scripts read standard output.
fn log_as(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            let log = log.with_target(false).with_ansi(io::stderr().is_terminal());
            log.finish().with(without_secrets()).init();
        }
        LogFormat::Json => log.json().flatten_event(true).finish().with(without_secrets()).init(),
    }
}

fn without_secrets() -> FilterFn {
    filter_fn(|metadata| metadata.target() != CLIENT_OF_SECRETS)
}

/// `NAMESPACE/NAME`.
fn parse_name(text: &str) -> Result<(String, String), ArgError> {
    match text.split_once('/') {
        Some((namespace, name)) if is_dns_label(namespace) && is_object_name(name) => {
            Ok((namespace.into(), name.into()))
        }
        _ => Err(ArgError::ObjectName),
    }
}

fn parse_address(text: &str) -> Result<String, ArgError> {
    if text.parse::<std::net::IpAddr>().is_ok() || is_dns_subdomain(text) {
        return Ok(text.into());
    }
    Err(ArgError::Address)
}
