//! `ingressctl ui`.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use super::args::SettingsArgs;
use super::runtime::block_on;
use super::serve::say;
use super::source::{NamespaceArgs, Source, SourceArgs};
use crate::compile::Compiled;
use crate::envoy::{LoopbackAddr, parse_listen_addr};
use crate::manifest::{Manifests, PathSpec};
use crate::settings::Settings;
use crate::ui::{self, Objects, Options, Origin};

/// Show routes, certificates and findings in a browser, and try requests
///
/// Serves a page on this machine and prints `ready URL` on standard output. The page has
/// the hosts, paths, services and versions of the manifests, the rules of each service in
/// order, the certificates with the days that are left, and the findings next to the lines
/// of the manifests. It runs the same module as Envoy on a request of yours, and shows
/// the way of the request and why other routes and rules do not match. A link to the page
/// holds the request, the filter and the selection.
///
/// The page follows changes of the files. The objects of a cluster (--live) are read at
/// the start, when a file changes, and with the button `Read again`.
///
/// Only programs of this machine that know the random token in the URL get the page, and it
/// never has private keys. Ctrl-C stops it.
#[derive(Debug, Args)]
pub(crate) struct Ui {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    part: NamespaceArgs,
    /// Listen on this loopback address; port 0 selects a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = parse_listen)]
    listen: LoopbackAddr,
    /// Open the page in the default browser; other users of the machine may see the URL
    /// among the arguments of its processes
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Parses the address of the page.
fn parse_listen(text: &str) -> Result<LoopbackAddr, String> {
    let address = parse_listen_addr(text).map_err(|error| error.to_string())?;
    LoopbackAddr::try_from(address).map_err(|_| {
        format!(
            "not a loopback address: other machines could read the page; use 127.0.0.1:{0}, and \
             connect from other machines through ssh -L {0}:127.0.0.1:{0}",
            address.port()
        )
    })
}

impl Ui {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings.resolve()?;
        let specs: Vec<_> = self.source.paths.iter().cloned().map(PathSpec::from).collect();
        let origin =
            Origin { paths: specs.iter().map(shown).collect(), live: self.source.is_live() };
        let options = Options {
            listen: self.listen,
            specs,
            settings: settings.clone(),
            origin,
            read: reader(self.source, self.part, settings),
        };
        block_on(ui::serve(options, |url| {
            say(&format!("ready {url}"));
            if self.open {
                open(url);
            }
        }))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The path as the user wrote it.
fn shown(spec: &PathSpec) -> String {
    match spec {
        PathSpec::Path(path) => path.display().to_string(),
        PathSpec::Stdin => "standard input".into(),
    }
}

/// The objects of a source, with the settings for compiling them.
struct Sourced {
    source: Source,
    settings: Settings,
}

impl Objects for Sourced {
    fn manifests(&self) -> &Manifests {
        self.source.manifests()
    }

    fn compile(&self) -> Compiled {
        self.source.check(&self.settings)
    }

    fn has_all_secrets(&self) -> bool {
        self.source.has_all_secrets()
    }
}

fn reader(source: SourceArgs, part: NamespaceArgs, settings: Settings) -> ui::Read {
    Box::new(move |manifests| {
        let source = source.complete(manifests, &part.namespaces, &settings)?;
        Ok(Box::new(Sourced { source, settings: settings.clone() }))
    })
}

/// Opens the page as the desktop does.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(program)
        .arg(url)
        // Otherwise Ctrl-C would end a browser that this starts.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        eprintln!("ingressctl: cannot open a browser: {program}: {error}; open the URL yourself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served() {
        for address in ["127.0.0.1:0", "[::1]:8080", "localhost:8080", "8080"] {
            assert!(parse_listen(address).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            let error = parse_listen(address).unwrap_err();
            assert!(error.contains("use 127.0.0.1:80"), "{error}");
        }
        assert!(parse_listen("127.0.0.1").unwrap_err().contains("write 127.0.0.1:8080"));
    }
}
