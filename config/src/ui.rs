//! The page of `ingressctl ui`: the routes, certificates and findings of manifests, and
//! requests to try, in a browser on the same machine.
//!
//! `watch` reads the objects again after each change, `document` describes them as JSON,
//! and `server` sends that to the page, whose files are `assets`.

mod assets;
mod document;
mod server;
mod trial;
mod watch;

use std::net::SocketAddr;

use anyhow::Context;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::compile::Compiled;
use crate::envoy::LoopbackAddr;
use crate::manifest::{Manifests, PathSpec};
use crate::settings::Settings;
use crate::signals::Signals;

use server::{Site, Token};

/// What to show, and where.
pub(crate) struct Options {
    pub(crate) listen: LoopbackAddr,
    pub(crate) specs: Vec<PathSpec>,
    pub(crate) settings: Settings,
    pub(crate) origin: Origin,
    /// Completes the manifests, for example with the objects of a cluster.
    pub(crate) read: Read,
}

/// Where the objects come from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Origin {
    /// The paths of `-f`, as the user wrote them.
    pub(crate) paths: Vec<String>,
    /// Whether the objects of a cluster are read, too. They are read again only on request.
    pub(crate) live: bool,
}

/// The objects that were read.
pub(crate) trait Objects {
    fn manifests(&self) -> &Manifests;
    fn compile(&self) -> Compiled;
    /// Whether all Secrets could be read, so that absent ones do not exist.
    fn has_all_secrets(&self) -> bool;
}

/// Adds what does not come from files to manifests.
pub(crate) type Read = Box<dyn Fn(Manifests) -> anyhow::Result<Box<dyn Objects>> + Send>;

/// Serves the page until a signal. Calls `when_ready` with its URL.
///
/// # Errors
/// If the objects cannot be read at the start, or the address is in use.
pub(crate) async fn serve(options: Options, when_ready: impl FnOnce(&str)) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let address = options.listen.get();
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another --listen"))?;
    let address = listener.local_addr()?;
    let Some(started) = signals.unless_received(watch::start(options)).await else {
        return Ok(());
    };
    let token = Token::random()?;
    let url = url(address, &token);
    let site = Site::new(address, token, started?);
    when_ready(&url);
    let served = signals.unless_received(server::serve(listener, site)).await;
    match served {
        None => Ok(()),
        Some(never) => match never {},
    }
}

fn url(address: SocketAddr, token: &Token) -> String {
    format!("http://{address}/{}/", token.as_str())
}
