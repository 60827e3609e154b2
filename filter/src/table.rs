//! The route table: the contract between the compiler of manifests, the module
//! that serves them, and authors of hand-written tables.
//!
//! A table is JSON. Its schema is published as `docs/route-table.schema.json`;
//! unknown fields are rejected. [`Router::load`](crate::Router::load) reads a
//! table and prepares it for serving.

mod action;
mod cluster;
mod rule;

use std::borrow::Cow;
use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::escapes::canonical_text;

pub(crate) use action::MAX_CLIENT_MS;
pub use action::{
    Abort, AbortStatus, Action, Cors, Delay, Fault, Forward, Header, Redirect, Respond, Retries,
    Rewrite, Timeout,
};
pub use cluster::{Destination, Share};
pub use rule::{Backend, HeaderMatch, Port, Rule, RuleMatch, StringMatch};

/// The supported version of the format.
pub const VERSION: u32 = 1;

/// The name of the certificate, and of the filter chain, for clients without SNI
/// or with a server name that has no certificate.
pub const DEFAULT_CERTIFICATE: &str = "default";

/// The default port for redirects to HTTPS.
pub const DEFAULT_HTTPS_PORT: u16 = 443;

/// The configuration of the filter: the exposed hosts and paths, and the action
/// for each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = with_record_source))]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// The version of this format: 1.
    pub version: u32,
    /// The name of this table in the log, such as a revision or a hash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The properties to store for each request that has them, which access logs show as
    /// `%FILTER_STATE(wasm.ingress_route:PLAIN)%`. Each costs a host call.
    #[serde(
        default,
        alias = "record_source",
        deserialize_with = "read_record",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub record: Vec<Property>,
    /// Whether Envoy removes `x-ingress-*` headers of clients and rejects TRACE
    /// before the filter, as the configuration that `ingressctl` writes does.
    /// Otherwise the filter does both itself, and reads all headers of every
    /// request, instead of only two.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sanitized_by_envoy: bool,
    /// Use this in place of every random number, to test weights and faults: 0
    /// selects the first cluster that has a weight, and only faults that apply to
    /// all requests. Omit it in production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_random: Option<u64>,
    /// The backends that routes refer to by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// The hosts that are served. A request belongs to the virtual host with the
    /// most specific host and to no other, even if none of its routes matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_hosts: Vec<VirtualHost>,
    /// Serves all requests that no route matches, except on virtual hosts with
    /// `no_default_backend`. Without it, they get 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_backend: Option<Target>,
    /// The hosts that have a certificate. A request for one of them on a
    /// connection with a different certificate gets 421.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls_hosts: Vec<TlsHost>,
    /// The port for redirects to HTTPS, by default 443.
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
    ///         count_as: String::new(),
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
            record: Vec::new(),
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

/// A property of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// The `source` of its route.
    IngressRoute,
    /// The name of the matched rule.
    RouteRule,
    /// The injected fault, such as `delay=100ms`.
    Fault,
}

/// Older tables are valid, too. The schema of an alias has to be added.
#[cfg(feature = "schema")]
fn with_record_source(schema: &mut schemars::Schema) {
    let properties = schema.get_mut("properties").and_then(|it| it.as_object_mut());
    if let Some(properties) = properties {
        let older = serde_json::json!({
            "deprecated": true,
            "description": "Use `record`. In older tables, `true` stores all properties.",
            "type": "boolean",
        });
        properties.insert("record_source".to_owned(), older);
    }
}

/// A list, or whether to store all.
fn read_record<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<Property>, D::Error> {
    struct ListOrBool;

    impl<'de> Visitor<'de> for ListOrBool {
        type Value = Vec<Property>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of properties")
        }

        fn visit_bool<E>(self, all: bool) -> Result<Vec<Property>, E> {
            Ok(if all { Property::ALL.to_vec() } else { Vec::new() })
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Vec<Property>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(items))
        }
    }

    value.deserialize_any(ListOrBool)
}

impl Property {
    /// All properties.
    pub const ALL: [Self; 3] = [Self::IngressRoute, Self::RouteRule, Self::Fault];

    /// The name in the host.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IngressRoute => "ingress_route",
            Self::RouteRule => "route_rule",
            Self::Fault => "fault",
        }
    }
}

/// A group of hosts with the same routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VirtualHost {
    /// At least one of: a host in lower case without a port (`foo.example.com`,
    /// `[::1]`); `*.` and a suffix, which matches exactly one more label; or `*`,
    /// which matches all hosts that no other entry of the table matches. A table
    /// must not contain the same host twice.
    pub hosts: Vec<String>,
    /// The paths that are served. The most specific path wins: `exact` before
    /// prefixes, then the longer prefix, then `prefix` before `string_prefix`,
    /// then the longer `regex`, then the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Whether a request without a matching route gets 404 even if the table has
    /// a default backend, because its owner does not own these hosts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_default_backend: bool,
}

/// A path of a virtual host, and its backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The paths that the route matches.
    #[serde(rename = "match")]
    pub path: PathMatch,
    /// The name of the backend.
    pub backend: String,
    /// The name of a port of the backend, if it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The origin of this route, for logs; the compiler writes
    /// `namespace/ingress#rule.path`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The name under which requests are counted, without spaces. It is stored as the
    /// property `count_as`; if it is `namespace/name`, followed by a space and the name of
    /// the matched rule, if any. This costs a host call. If empty, nothing is stored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub count_as: String,
    /// How to handle plain HTTP requests; by default they are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Plaintext>,
}

/// How to handle plain HTTP requests, before the rules of the backend. The scheme
/// is that in Envoy's `x-forwarded-proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Plaintext {
    /// Redirects to the same URL with HTTPS, with 308. A request without a host
    /// gets 404.
    Redirect,
    /// Responds with 404, as if the path were not exposed.
    Refuse,
}

/// How a route's path is compared with the path of a request without its query,
/// byte by byte and case-sensitive, except for the digits of percent-encoded bytes,
/// which have no case outside of regular expressions. Each but a regular expression
/// starts with `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// The equal path: Kubernetes' `Exact`.
    Exact(String),
    /// A prefix, element by element: Kubernetes' `Prefix`. `/foo` and `/foo/`
    /// both match `/foo`, `/foo/` and `/foo/x`, but not `/foobar`.
    Prefix(String),
    /// A string prefix: Istio's `.*`. `/foo` also matches `/foobar`.
    StringPrefix(String),
    /// A regular expression that has to match the whole path, in the syntax of
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

impl PathMatch {
    /// The same match with the digits of percent-encoded bytes in upper case.
    pub fn canonical(&self) -> Cow<'_, Self> {
        let (text, kind): (_, fn(String) -> Self) = match self {
            Self::Exact(text) => (text, Self::Exact),
            Self::Prefix(text) => (text, Self::Prefix),
            Self::StringPrefix(text) => (text, Self::StringPrefix),
            Self::Regex(_) => return Cow::Borrowed(self),
        };
        match canonical_text(text) {
            Cow::Borrowed(_) => Cow::Borrowed(self),
            Cow::Owned(text) => Cow::Owned(kind(text)),
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

/// A backend that is used outside of virtual hosts.
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
    /// As [`Route::count_as`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub count_as: String,
    /// As [`Route::plaintext`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Plaintext>,
}

/// Hosts with the same certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TlsHost {
    /// At least one host, in the syntax of [`VirtualHost::hosts`], except for
    /// `*`. A table must not contain the same host twice in `tls_hosts`.
    pub hosts: Vec<String>,
    /// The name of the filter chain whose connections have the certificate, as in
    /// Envoy's attribute `xds.filter_chain_name`. Requests on a chain without a
    /// name, such as plain HTTP, are not compared.
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
