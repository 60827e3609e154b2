//! `ingressctl demo`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use tokio::net::TcpListener;

use super::serve::{RunArgs, announce, block_on, say};
use crate::manifest::PathSpec;
use crate::rollout::Ready;
use crate::serve::serve;
use crate::upstream;

/// The sample Ingress of the documentation.
const INGRESS: &str = include_str!("../../samples/simple-ingress/ingress.yaml");
const HTTPBIN: &str = include_str!("../../samples/simple-ingress/httpbin.yaml");

/// What the sample's Endpoints, and nothing else in it, say of httpbin's port.
const SAMPLE_ENDPOINT: &str = "  ports:\n  - name: http\n    port: 8000\n";

/// Try it: a real upstream and a real Envoy with the sample Ingress
///
/// Starts a small httpbin-like upstream and Envoy in front of it, and prints
/// what to try. The first run fetches Envoy (37 MB) if there is none. Ctrl-C
/// stops everything and leaves nothing behind.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    run: RunArgs,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let folder = tempfile::Builder::new().prefix("ingressctl-demo-").tempdir()?;
            write_manifests(folder.path(), listener.local_addr()?.port())?;
            let upstream = tokio::spawn(upstream::serve(listener));
            let manifests = vec![PathSpec::Path(folder.path().to_owned())];
            let options = self.run.options(manifests)?;
            let code = serve(&options, |ready| {
                announce(ready);
                print_hints(ready, folder.path());
            })
            .await;
            upstream.abort();
            code
        })
    }
}

/// Writes the sample, with the upstream where it really is.
fn write_manifests(folder: &Path, upstream_port: u16) -> std::io::Result<()> {
    let endpoint = SAMPLE_ENDPOINT.replace("8000", &upstream_port.to_string());
    let (services, _) = HTTPBIN.rsplit_once(SAMPLE_ENDPOINT).unwrap_or((HTTPBIN, ""));
    fs::write(folder.join("ingress.yaml"), INGRESS)?;
    fs::write(folder.join("httpbin.yaml"), format!("{services}{endpoint}"))
}

fn print_hints(ready: Ready, manifests: &Path) {
    let (http, manifests) = (ready.http, manifests.display());
    say(&format!(
        "\nA real Envoy serves the Ingress of the documentation. Try, in another terminal:\n\
         \n  curl -I http://{http}/status/200    # exposed: 200 from the upstream\
         \n  curl -I http://{http}/headers       # not exposed: 404 from the filter\
         \n  curl    http://{http}/delay/2       # exposed: takes two seconds\n\
         \nThen give delays four seconds, by the RouteRule of the documentation:\n\
         \n  cp config/samples/status-route/status-route.yaml {manifests}/\
         \n  curl -i http://{http}/delay/10      # 504 after four seconds\n\
         \nThe manifests are in {manifests}: edit ingress.yaml and see it take effect at once.\
         \nEach request is logged here. Ctrl-C stops everything.\n"
    ));
}
