//! A client of the Kubernetes API: credentials, the kinds that are read, their objects,
//! and errors.

mod access;
#[cfg(test)]
mod examples;
mod failure;
mod kinds;
mod reader;
mod snapshot;

pub(crate) use access::{Access, api};
pub(crate) use failure::{Failure, ask, ask_within, with_sources};
pub(crate) use kinds::{Kind, Watched, discover};
pub(crate) use reader::{Reader, fields};
pub(crate) use snapshot::{Cluster, Snapshot};
