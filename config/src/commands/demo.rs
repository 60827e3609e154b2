//! `ingressctl demo`.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;
use tokio::net::TcpListener;

use super::args::ADDRESSES;
use super::runtime::block_on;
use super::serve::{RunArgs, announce, say};
use crate::envoy::{Admin, Listening, LoopbackAddr, parse_listen_addr};
use crate::manifest::PathSpec;
use crate::rollout::Ready;
use crate::serve::serve;
use crate::settings::ObjectName;
use crate::upstream;

/// The sample Ingresses of the documentation.
const INGRESS: &str = include_str!("../../samples/simple-ingress/ingress.yaml");
const SECURE_INGRESS: &str = include_str!("../../samples/secure-ingress/ingress.yaml");
const HTTPBIN: &str = include_str!("../../samples/simple-ingress/httpbin.yaml");

/// The RouteRule of the documentation, and its file name: it is next to the manifests,
/// under a name that is not read.
const RULE: &str = include_str!("../../samples/status-route/status-route.yaml");
const UNREAD_RULE: &str = "status-route.yaml.off";

/// A sample without its first line, which names a schema for editors by a path of the
/// repository.
fn without_schema(sample: &str) -> &str {
    match sample.split_once('\n') {
        Some((first, rest)) if first.starts_with("# yaml-language-server:") => rest,
        _ => sample,
    }
}

/// The part of the sample's Endpoints that has httpbin's port.
const SAMPLE_ENDPOINT: &str = "  ports:\n  - name: http\n    port: 8000\n";

/// The host of the documentation's certificate.
const HOST: &str = "foo.bar.com";

/// How long the certificate is valid.
const VALIDITY: Duration = Duration::from_hours(30 * 24);

/// Run Envoy with a sample Ingress and upstream, to try it out
///
/// Starts an upstream like httpbin and an Envoy in front of it, and prints commands
/// to try. With --https, creates a key and a certificate for foo.bar.com and
/// serves the secure Ingress of the documentation. The first run downloads Envoy
/// (37 MB) if there is none. Ctrl-C stops all processes and removes their files.
#[derive(Debug, Args)]
#[command(after_help = ADDRESSES)]
pub(crate) struct Demo {
    #[command(flatten)]
    listen: DemoListenArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// The listen addresses.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Listening")]
struct DemoListenArgs {
    /// Listen for HTTP on this address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_listen_addr)]
    http: SocketAddr,

    /// Also listen for HTTPS, with a generated certificate; on 127.0.0.1:8443 if
    /// ADDR is omitted
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:8443", value_parser = parse_listen_addr)]
    https: Option<SocketAddr>,

    /// Bind Envoy's admin interface, whose clients can control Envoy, to this
    /// loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    admin: LoopbackAddr,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let DemoListenArgs { http, https, admin } = self.listen;
        // Without a certificate, Envoy does not listen there.
        let unused = SocketAddr::from(([127, 0, 0, 1], 0));
        let listening = Listening {
            http,
            https: https.unwrap_or(unused),
            admin: Admin::Loopback(admin),
            probe: None,
        };
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            // It may contain a private key.
            let private = fs::Permissions::from_mode(0o700);
            let folder = tempfile::Builder::new()
                .prefix("ingressctl-demo-")
                .permissions(private)
                .tempdir()?;
            let manifests = vec![PathSpec::Path(folder.path().to_owned())];
            let options = self.run.options(manifests, listening)?;
            write_upstream(folder.path(), listener.local_addr()?.port())?;
            fs::write(folder.path().join(UNREAD_RULE), without_schema(RULE))?;
            if https.is_some() {
                fs::write(folder.path().join("ingress.yaml"), without_schema(SECURE_INGRESS))?;
                write_secret(folder.path(), &options.settings.default_certificate)?;
            } else {
                fs::write(folder.path().join("ingress.yaml"), without_schema(INGRESS))?;
            }
            let upstream = tokio::spawn(upstream::serve(listener));
            let code = serve(&options, |ready, health| {
                announce(&ready, health);
                print_hints(&ready, folder.path());
            })
            .await;
            upstream.abort();
            code
        })
    }
}

/// Writes the sample's Service, with the port of the upstream.
fn write_upstream(folder: &Path, port: u16) -> io::Result<()> {
    let endpoint = SAMPLE_ENDPOINT.replace("8000", &port.to_string());
    let httpbin = without_schema(HTTPBIN);
    let (services, _) = httpbin.rsplit_once(SAMPLE_ENDPOINT).unwrap_or((httpbin, ""));
    fs::write(folder.join("httpbin.yaml"), format!("{services}{endpoint}"))
}

/// Generates and writes the default certificate and its key, as the documentation
/// does with openssl and `kubectl create secret tls`.
fn write_secret(folder: &Path, name: &ObjectName) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([HOST.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, HOST);
    let now = SystemTime::now();
    // For clients whose clock is slow.
    params.not_before = (now - Duration::from_hours(1)).into();
    params.not_after = (now + VALIDITY).into();
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name.name(), "namespace": name.namespace()},
        "type": "kubernetes.io/tls",
        "stringData": {
            "tls.crt": params.self_signed(&key)?.pem(),
            "tls.key": key.serialize_pem(),
        },
    });
    let path = folder.join("secret.json");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(serde_json::to_writer_pretty(&mut file, &secret)
        .map_err(io::Error::from)
        .and_then(|()| file.flush())?)
}

fn print_hints(ready: &Ready, manifests: &Path) {
    let manifests = manifests.display();
    let (curl, base) = match ready.https {
        Some(https) => ("curl -k", format!("https://{https}")),
        None => ("curl", format!("http://{}", ready.http)),
    };
    let certificate = if ready.https.is_some() {
        format!(
            "\nThe certificate for {HOST} is self-signed, therefore -k. Its Secret is secret.json in the\
             \nsame folder: if you replace it, the next handshake uses the new certificate.\n"
        )
    } else {
        String::new()
    };
    say(&format!(
        "\nEnvoy serves the Ingress of the documentation. Try in another terminal:\n\
         \n  {curl} -I {base}/status/200    # exposed: 200 from the upstream\
         \n  {curl} -I {base}/headers       # not exposed: 404 from the filter\
         \n  {curl}    {base}/delay/2       # exposed: takes two seconds\n\
         \nThen set a timeout of four seconds, with the RouteRule of the documentation:\n\
         \n  mv {manifests}/{UNREAD_RULE} {manifests}/status-route.yaml\
         \n  {curl} -i {base}/delay/10      # 504 after four seconds\n\
         \nThe manifests are in {manifests}: changes of ingress.yaml take effect at once.\
         {certificate}\
         \nRequests are logged below. Ctrl-C stops all processes.\n"
    ));
}
