//! The route table: the one contract between what compiles manifests, the
//! module that serves them, and people who write tables by hand.
//!
//! A table is JSON. Its schema is published as `docs/route-table.schema.json`;
//! unknown fields are refused. [`Router::load`](crate::Router::load) reads one
//! and makes it ready to serve.

mod action;
mod cluster;
mod rule;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use action::{
    Abort, AbortStatus, Action, Cors, Delay, Fault, Forward, Header, Redirect, Respond, Retries,
    Rewrite, Timeout,
};
pub use cluster::{Destination, Share};
pub use rule::{Backend, HeaderMatch, Port, Rule, RuleMatch, StringMatch};

/// The version of the format that this module reads.
pub const VERSION: u32 = 1;

/// The name of the certificate, and of the filter chain, for clients that ask
/// for no host or for one that has none.
pub const DEFAULT_CERTIFICATE: &str = "default";

/// Where clients reach HTTPS unless a table says otherwise.
pub const DEFAULT_HTTPS_PORT: u16 = 443;

/// Everything the filter knows: which hosts and paths are exposed, and what
/// happens to a request for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// The version of this format: 1.
    pub version: u32,
    /// What the log calls this table, such as a revision or a hash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether to store each request's `source` and the name of the rule that
    /// decided as the properties `ingress_route` and `route_rule`, which access
    /// logs show as `%FILTER_STATE(wasm.ingress_route:PLAIN)%`. Each costs a
    /// host call.
    #[serde(default, skip_serializing_if = "is_false")]
    pub record_source: bool,
    /// Whether Envoy has already removed what a client sends under
    /// `x-ingress-`, and refuses TRACE, as the configuration that `ingressctl`
    /// writes does. Where it has not, the filter reads all headers of every
    /// request to do both itself, instead of the two it needs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sanitized_by_envoy: bool,
    /// Draw this in place of every random number, so that weights and faults
    /// can be tested: 0 takes the first share that has a weight, and only
    /// faults that hit every request. Leave it out to serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_random: Option<u64>,
    /// What requests are handed to, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// The hosts served. A request belongs to the one with the most specific
    /// host, and to no other, whether or not one of its routes matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_hosts: Vec<VirtualHost>,
    /// Serves every host and path that nothing else serves, but for virtual hosts
    /// with `no_default_backend`; without it, they are answered with 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_backend: Option<Target>,
    /// The hosts that have a certificate. A request for one of them on a
    /// connection with another certificate is answered with 421.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls_hosts: Vec<TlsHost>,
    /// The port at which clients reach HTTPS, for redirects there; 443 unless
    /// given.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    #[serde(default = "default_https_port", skip_serializing_if = "is_default_https_port")]
    pub https_port: u16,
}

impl RouteTable {
    /// A table of this version that exposes nothing.
    ///
    /// ```
    /// use ingress_filter::table::{PathMatch, Route, VirtualHost};
    /// use ingress_filter::{RouteTable, Router};
    ///
    /// let mut table = RouteTable::empty();
    /// table.backends.push(serde_json::from_str(
    ///     r#"{"name": "web", "default": {"forward": {"cluster": "web"}}}"#,
    /// )?);
    /// table.virtual_hosts.push(VirtualHost {
    ///     hosts: vec!["foo.example.com".into()],
    ///     routes: vec![Route {
    ///         path: PathMatch::Prefix("/status".into()),
    ///         backend: "web".into(),
    ///         port: None,
    ///         source: "default/web".into(),
    ///         plaintext: None,
    ///     }],
    ///     no_default_backend: false,
    /// });
    ///
    /// let router = Router::new(&table)?;
    /// let found = router.find(b"foo.example.com", b"/status/200").expect("a host");
    /// assert_eq!(found.map(|found| found.source), Some("default/web"));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn empty() -> Self {
        Self {
            version: VERSION,
            name: String::new(),
            record_source: false,
            sanitized_by_envoy: false,
            fixed_random: None,
            backends: Vec::new(),
            virtual_hosts: Vec::new(),
            default_backend: None,
            tls_hosts: Vec::new(),
            https_port: DEFAULT_HTTPS_PORT,
        }
    }
}

/// A group of hosts that share their routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VirtualHost {
    /// At least one of: a host in lower case without port (`foo.example.com`,
    /// `[::1]`); `*.` and a suffix, which stands for exactly one more label;
    /// or `*`, any host that no other entry of the table serves. No host may
    /// stand twice in a table.
    pub hosts: Vec<String>,
    /// The paths served. The most specific wins: `exact` before prefixes, then
    /// the longer prefix, then `prefix` before `string_prefix`, then the longer
    /// `regex`, then the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Whether a path without a route is answered with 404 even though the table
    /// has a default backend: the hosts belong to somebody else than that does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_default_backend: bool,
}

/// A path of a virtual host, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Which paths.
    #[serde(rename = "match")]
    pub path: PathMatch,
    /// The name of the backend that serves them.
    pub backend: String,
    /// The name of a port of the backend, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Where this route comes from, for people and logs; the compiler writes
    /// `namespace/ingress#rule.path`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What happens to a request that came without TLS; without this, it is
    /// served as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Plaintext>,
}

/// What happens to a request that came without TLS, whatever the backend's
/// rules say. How a request came is what Envoy says in `x-forwarded-proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Plaintext {
    /// The client is sent to the same URL by HTTPS, with 308. One that names no
    /// host gets 404.
    Redirect,
    /// It gets 404, as if the path were not exposed.
    Refuse,
}

/// How a route's path is compared, byte by byte and case-sensitive, with the
/// request's path up to its query. Each but a regular expression starts with
/// `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// Equal: Kubernetes' `Exact`.
    Exact(String),
    /// Equal element by element up to the length of this: Kubernetes'
    /// `Prefix`. `/foo` and `/foo/` both match `/foo`, `/foo/` and `/foo/x`,
    /// not `/foobar`.
    Prefix(String),
    /// Starts with: Istio's `.*`. `/foo` matches `/foobar` too.
    StringPrefix(String),
    /// As a whole matches this regular expression, in the syntax of
    /// [`StringMatch::Regex`].
    Regex(String),
}

impl PathMatch {
    /// The path as written.
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text)
            | Self::Prefix(text)
            | Self::StringPrefix(text)
            | Self::Regex(text) => text,
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "exact {text}"),
            Self::Prefix(text) => write!(f, "prefix {text}"),
            Self::StringPrefix(text) => write!(f, "string prefix {text}"),
            Self::Regex(text) => write!(f, "regex {text}"),
        }
    }
}

/// A backend by name, outside any virtual host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name of the backend.
    pub backend: String,
    /// As [`Route::port`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// As [`Route::source`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// As [`Route::plaintext`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Plaintext>,
}

/// Hosts that share a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TlsHost {
    /// At least one, written as [`VirtualHost::hosts`], but for `*`, which is
    /// none. No host may stand twice among those of a table.
    pub hosts: Vec<String>,
    /// The name of the filter chain whose connections have their certificate,
    /// as Envoy's attribute `xds.filter_chain_name` has it. Requests on a chain
    /// without a name, such as one without TLS, are not looked into.
    pub certificate: String,
}

fn default_https_port() -> u16 {
    DEFAULT_HTTPS_PORT
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_default_https_port(port: &u16) -> bool {
    *port == DEFAULT_HTTPS_PORT
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_false(flag: &bool) -> bool {
    !flag
}
