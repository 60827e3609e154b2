//! What Envoy is told by the server beside it, and what is written down of it
//! for whoever follows this process.

use std::collections::BTreeMap;
use std::{fs, io};

use crate::compile::Compiled;
use crate::envoy::{
    Discovery, Endpoints, KeyPairs, Layout, read_secrets, write_atomically, write_secrets,
};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Supplies {
    pub(super) endpoints: Endpoints,
    pub(super) secrets: KeyPairs,
}

impl Supplies {
    pub(super) fn of(compiled: &Compiled) -> Self {
        let endpoints = compiled.clusters.iter().filter_map(|cluster| match &cluster.discovery {
            Discovery::Addresses(addresses) => Some((cluster.name.clone(), addresses.clone())),
            Discovery::Dns(..) => None,
        });
        Self { endpoints: endpoints.collect(), secrets: compiled.key_pairs() }
    }

    /// What an earlier process has written down; nothing where that is no more.
    pub(super) fn read(layout: &Layout) -> Self {
        let endpoints = fs::read(layout.endpoints()).unwrap_or_default();
        Self {
            endpoints: serde_json::from_slice(&endpoints).unwrap_or_default(),
            secrets: read_secrets(layout),
        }
    }

    /// Writes down what is not so already in `written`.
    pub(super) fn write(&self, layout: &Layout, written: &Self) -> io::Result<()> {
        if self.endpoints != written.endpoints {
            let json = serde_json::to_string(&self.endpoints).unwrap_or_default();
            write_atomically(&layout.endpoints(), json)?;
        }
        if self.secrets != written.secrets {
            write_secrets(layout, &self.secrets)?;
        }
        Ok(())
    }

    /// With all that `earlier` has beyond it, which may still be in use.
    pub(super) fn joined_with(&self, earlier: &Self) -> Self {
        Self {
            endpoints: joined(&self.endpoints, &earlier.endpoints),
            secrets: joined(&self.secrets, &earlier.secrets),
        }
    }
}

fn joined<T: Clone>(
    now: &BTreeMap<String, T>,
    earlier: &BTreeMap<String, T>,
) -> BTreeMap<String, T> {
    let mut all = earlier.clone();
    all.extend(now.iter().map(|(name, content)| (name.clone(), content.clone())));
    all
}
