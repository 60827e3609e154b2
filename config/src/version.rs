//! What this `ingressctl` is and contains.

use std::fmt;

use ingress_filter::{FlatTable, table};
use serde::Serialize;

use crate::oci::digest_of;
use crate::{MODULE, envoy_binary};

/// The versions of `ingressctl` and of what is in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// That of the release.
    pub version: &'static str,
    /// The commit it was built from; none if it was built during development.
    pub commit: Option<&'static str>,
    /// The digest of the Wasm module, `sha256:…`.
    pub module: String,
    /// The version of the binary route table, which the module and its tables share.
    pub route_table: u8,
    /// The version of the route table in JSON.
    pub route_table_json: u32,
    /// The version of Envoy that it is tested with, and downloads.
    pub envoy: &'static str,
}

impl Version {
    /// That of this program.
    pub fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: Some(env!("INGRESSCTL_COMMIT")).filter(|commit| !commit.is_empty()),
            module: digest_of(MODULE),
            route_table: FlatTable::VERSION,
            route_table_json: table::VERSION,
            envoy: envoy_binary::VERSION,
        }
    }
}

/// The first line is that of other programs: the name and the version.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, module, route_table, route_table_json, envoy, .. } = self;
        writeln!(f, "ingressctl {version}")?;
        writeln!(f, "commit       {}", self.commit.unwrap_or("none (a development build)"))?;
        writeln!(f, "module       {module}")?;
        writeln!(f, "route table  {route_table} (in JSON: {route_table_json})")?;
        write!(f, "Envoy        {envoy}")
    }
}
