//! Backends and their rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Action;

/// The actions for the requests of all routes that name this backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// The name that routes refer to; unique in the table.
    pub name: String,
    /// Additional ports of the same service. The rules and the default name the
    /// clusters of one port; a route that names another port uses the clusters of
    /// that port instead, so rules are not repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// The rules. The first one whose conditions all hold applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The action if no rule matches.
    pub default: Action,
}

impl Backend {
    /// The cluster of a port that replaces `cluster` of the rules; `None` if its
    /// requests get 503.
    pub fn cluster_at<'t>(&'t self, port: Option<&str>, cluster: &'t str) -> Option<&'t str> {
        let port = port.and_then(|name| self.ports.iter().find(|port| port.name == name));
        match port.and_then(|port| port.clusters.get(cluster)) {
            Some(instead) => instead.as_deref(),
            None => Some(cluster),
        }
    }
}

/// A port of a backend, and its clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The name that routes refer to; unique in the backend.
    pub name: String,
    /// For the name of a cluster in the backend's rules, the cluster of this
    /// port. With `null`, these requests get 503. Clusters that are not listed
    /// are also used at this port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, Option<String>>,
}

/// Conditions, and the action for requests that meet them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name in logs; the compiler writes `namespace/name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The conditions on a request. Without conditions, the rule matches every
    /// request.
    #[serde(default, rename = "match", skip_serializing_if = "RuleMatch::is_empty")]
    pub matches: RuleMatch,
    /// The action for these requests.
    pub action: Action,
}

/// The conditions of a rule; all have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleMatch {
    /// Networks, one of which has to contain the client's address, such as
    /// `10.0.0.0/8` or `2001:db8::/32`; an empty list allows any client.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_subnets: Vec<String>,
    /// Conditions on headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
}

impl RuleMatch {
    /// Whether it matches every request.
    pub fn is_empty(&self) -> bool {
        self.source_subnets.is_empty() && self.headers.is_empty()
    }
}

/// A condition on one header of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// The header's name in lower case, or one of `:method`; `:authority`, whose
    /// host is compared in lower case, without its port and a trailing dot;
    /// `:path`, without its query; `:scheme`, as in Envoy's `x-forwarded-proto`.
    /// The values of a repeated header are joined with `,`. A missing header
    /// never matches.
    pub name: String,
    /// The condition on the value.
    pub value: StringMatch,
}

/// How a value is compared, byte by byte and case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StringMatch {
    /// The equal value.
    Exact(String),
    /// A prefix.
    Prefix(String),
    /// A regular expression that has to match the whole value, in the syntax of
    /// Rust's `regex` crate, over bytes: `.` matches any byte except a line feed,
    /// and classes such as `\\w` are ASCII.
    Regex(String),
}
