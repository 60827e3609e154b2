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

/// Watch a Kubernetes API and keep the Envoy beside it right
///
/// Envoy runs on its own, on the folder that both share, so it goes on serving
/// while this is restarted or the API is away:
///
///   ingressctl controller --folder DIR --prepare
///   envoy --config-path DIR/bootstrap.json --admin-address-path DIR/admin-address
///   ingressctl controller --folder DIR
///
/// Prints `ready http=ADDR admin=PATH health=ADDR` on standard output once Envoy
/// serves a complete table, be it that of a process before this one. SIGTERM
/// drains Envoy, ends it, and then this. Envoy's admin interface is the socket
/// admin.sock in the folder: its clients control Envoy.
///
/// Needs the rights in config/deploy; the deployment there runs it.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = ADDRESSES)]
pub(crate) struct Controller {
    /// The folder that Envoy shares; made if it is not there
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Only make the folder such that Envoy can start on it; one that is filled
    /// already stays as it is
    #[arg(long)]
    prepare: bool,
    /// How to log, on standard error; what, says the variable `RUST_LOG`
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    listen: ControllerListenArgs,
    /// Serve /healthz, /readyz and /metrics here
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = parse_listen_addr, help_heading = "Listening")]
    health: SocketAddr,
    /// Once asked to end, how long to serve on without being ready
    #[arg(long, value_name = "DURATION", default_value = "5s", help_heading = "Ending")]
    drain_delay: TimeLimit,
    /// Then, how long clients may take to go away
    #[arg(long, value_name = "DURATION", default_value = "20s", help_heading = "Ending")]
    drain_timeout: TimeLimit,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The addresses to listen on.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Listening")]
struct ControllerListenArgs {
    /// Serve HTTP here
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_listen_addr)]
    http: SocketAddr,
    /// Serve HTTPS here, where there is any certificate
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443", value_parser = parse_listen_addr)]
    https: SocketAddr,
    /// Have Envoy answer /ready here: 200 once it serves a complete table, with or
    /// without this, and 503 while it drains
    #[arg(long, value_name = "ADDR", value_parser = parse_listen_addr)]
    probe: Option<SocketAddr>,
    /// Where Envoy's admin interface was, before it had a socket in the folder
    #[arg(long, value_name = "ADDR", hide = true, value_parser = refuse_admin)]
    admin: Option<Infallible>,
}

impl From<ControllerListenArgs> for Listening {
    fn from(ControllerListenArgs { http, https, probe, .. }: ControllerListenArgs) -> Self {
        Self { http, https, admin: Admin::Socket, probe }
    }
}

/// Every port of a pod can be an upstream of somebody.
fn refuse_admin(_: &str) -> Result<Infallible, ArgError> {
    Err(ArgError::AdminOfController)
}

/// The API, and what is written to it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
struct ApiArgs {
    /// Credentials; without it as kubectl finds them, in a pod those of its
    /// service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig file
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Watch this namespace only; may be repeated [default: all]
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = parse_namespace)]
    namespaces: Vec<String>,
    /// Write the address of this Service into the status of served Ingresses
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = parse_name)]
    publish_service: Option<(String, String)>,
    /// Write this address into the status of served Ingresses; may be repeated
    #[arg(long, value_name = "IP|HOST", conflicts_with = "publish_service", value_parser = parse_address)]
    publish_address: Vec<String>,
    /// The Lease that says which replica writes to the API
    /// [default: that of the gateway, istio-system/istio-ingress]
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

/// What a client of the API says of its troubles, at each try, we say once.
const LOGGED: &str = "info,kube_client=off,kube_runtime=off";

/// Logs the whole answer where it does not understand one, and that may be a
/// Secret with a private key: not to be logged whatever the variable says.
const SECRETIVE: &str = "kube_client::client";

/// On standard error, so that standard output is for scripts.
fn log_as(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            let log = log.with_target(false).with_ansi(io::stderr().is_terminal());
            log.finish().with(unsecretive()).init();
        }
        LogFormat::Json => log.json().flatten_event(true).finish().with(unsecretive()).init(),
    }
}

fn unsecretive() -> FilterFn {
    filter_fn(|metadata| metadata.target() != SECRETIVE)
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
