//! The source of a command's objects: files, a cluster, or both.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::args::{parse_namespace, read_files};
use super::runtime::block_on;
use crate::cluster::{Access, Cluster, Snapshot};
use crate::compile::{Compiled, check, compile, compile_live};
use crate::manifest::Manifests;
use crate::settings::Settings;

/// Files, a cluster, or both.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(group(ArgGroup::new("source").args(["paths", "live"]).required(true).multiple(true)))]
pub(crate) struct SourceArgs {
    /// Read manifests from a YAML or JSON file, a folder, or - for standard input;
    /// may be repeated
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read the objects of a cluster; with -f, as if these manifests had been
    /// applied to it
    #[arg(long, help_heading = "Cluster")]
    live: bool,
    /// Use this kubeconfig file [default: as kubectl]
    #[arg(long, value_name = "FILE", requires = "live", help_heading = "Cluster")]
    kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig file
    #[arg(long, value_name = "NAME", requires = "live", help_heading = "Cluster")]
    context: Option<String>,
}

/// The namespaces of the cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct NamespaceArgs {
    /// Read only this namespace, like a controller with the same flag; may be
    /// repeated [default: all]
    #[arg(short, long = "namespace", value_name = "NAME", requires = "live", value_parser = parse_namespace, help_heading = "Cluster")]
    pub(crate) namespaces: Vec<String>,
}

/// The objects that were read.
pub(crate) enum Source {
    Files(Manifests),
    Cluster(Snapshot),
}

impl SourceArgs {
    /// Reads all objects; in a cluster, only those in these namespaces.
    ///
    /// # Errors
    /// If the cluster cannot be read.
    pub(crate) fn read(
        &self,
        namespaces: &[String],
        settings: &Settings,
    ) -> anyhow::Result<Source> {
        self.complete(read_files(&self.paths), namespaces, settings)
    }

    /// Whether the objects of a cluster are read.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Same as [`Self::read`], with the manifests of the files.
    pub(crate) fn complete(
        &self,
        manifests: Manifests,
        namespaces: &[String],
        settings: &Settings,
    ) -> anyhow::Result<Source> {
        if !self.live {
            return Ok(Source::Files(manifests));
        }
        let access = Access { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() };
        block_on(async {
            let cluster = Cluster::connect(&access).await?;
            if io::stderr().is_terminal() {
                eprintln!("reading the objects of {}", cluster.server());
            }
            Ok(Source::Cluster(cluster.complete(manifests, namespaces, settings).await?))
        })
    }
}

impl Source {
    pub(crate) fn manifests(&self) -> &Manifests {
        match self {
            Self::Files(manifests) | Self::Cluster(Snapshot { manifests, .. }) => manifests,
        }
    }

    /// Compiles the objects.
    pub(crate) fn compile(&self, settings: &Settings) -> Compiled {
        match self {
            Self::Files(manifests) => compile(manifests, settings),
            Self::Cluster(_) => self.check(settings),
        }
    }

    /// Same as [`Self::compile`], with notes on objects that a cluster would reject.
    pub(crate) fn check(&self, settings: &Settings) -> Compiled {
        match self {
            Self::Files(manifests) => check(manifests, settings),
            Self::Cluster(Snapshot { manifests, unreadable }) => {
                compile_live(manifests, unreadable, settings)
            }
        }
    }

    /// Whether all Secrets could be read, so that absent ones do not exist.
    pub(crate) fn has_all_secrets(&self) -> bool {
        match self {
            Self::Files(_) => true,
            Self::Cluster(snapshot) => snapshot.unreadable.is_empty(),
        }
    }
}
