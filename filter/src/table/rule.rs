//! Backends and their rules: which requests a rule is for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Action;

/// What happens to the requests of all the routes that name this backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// What routes call it; unique in the table.
    pub name: String,
    /// Further ports of the same service, so that rules need not be repeated for
    /// each: rules and default are written for one port, and a route that names
    /// another has that one's clusters in place of theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// The first rule whose whole match holds decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What happens where no rule matches.
    pub default: Action,
}

impl Backend {
    /// The cluster that requests at a port go to, where the rules name `cluster`;
    /// `None` where they are answered with 503.
    pub fn cluster_at<'t>(&'t self, port: Option<&str>, cluster: &'t str) -> Option<&'t str> {
        let port = port.and_then(|name| self.ports.iter().find(|port| port.name == name));
        match port.and_then(|port| port.clusters.get(cluster)) {
            Some(instead) => instead.as_deref(),
            None => Some(cluster),
        }
    }
}

/// A port of a backend, and the clusters that are its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// What routes call it; unique in the backend.
    pub name: String,
    /// By the name of a cluster in the backend's rules, the one that requests at
    /// this port go to instead. Without one (`null`), they are answered with 503.
    /// A cluster that is not named here is the same at this port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, Option<String>>,
}

/// A condition and what happens to the requests that meet it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What logs call it; the compiler writes `namespace/name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What a request must look like. An empty match holds for every request.
    #[serde(default, rename = "match", skip_serializing_if = "RuleMatch::is_empty")]
    pub matches: RuleMatch,
    /// What happens to it then.
    pub action: Action,
}

/// The conditions of a rule; all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleMatch {
    /// Networks of which the client's address must be in one, as in
    /// `10.0.0.0/8` or `2001:db8::/32`; none is any client.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_subnets: Vec<String>,
    /// Conditions on headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
}

impl RuleMatch {
    /// Whether it holds for every request.
    pub fn is_empty(&self) -> bool {
        self.source_subnets.is_empty() && self.headers.is_empty()
    }
}

/// A condition on one header of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// The header's name in lower case, or one of `:method`; `:authority`, of which
    /// the host is compared, in lower case, without its port and without a dot at its
    /// end; `:path`, up to its query; `:scheme`, as Envoy says
    /// it in `x-forwarded-proto`. A header sent several times counts as its
    /// values joined with `,`; one that is absent never matches.
    pub name: String,
    /// What its value must be.
    pub value: StringMatch,
}

/// How a value is compared, byte by byte and case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StringMatch {
    /// Equal.
    Exact(String),
    /// Starts with.
    Prefix(String),
    /// As a whole matches this regular expression, in the syntax of Rust's
    /// `regex` crate, of bytes: `.` is any byte but a line feed, classes such
    /// as `\\w` are of ASCII.
    Regex(String),
}
