//! The route table, ready to serve: immutable, with fast lookups at any size.
//!
//! A lookup walks a trie of hosts and then the trie of that host's paths, so its
//! cost depends on the length of host and path. The semantics are those of
//! Kubernetes' `networking/v1` Ingress and of Istio's path matches.

mod decode;
mod encode;
#[cfg(not(target_family = "wasm"))]
mod explain;

use crate::authority;
use crate::error::{Broken, LoadError};
use crate::escapes;
use crate::flat::{At, Bytes, FlatTable, List, Text, record, tags};
use crate::pattern::Pattern;
use crate::rules::Backend;
use crate::table::{Plaintext, Property};
use crate::trie::Trie;

/// A route table, validated and indexed.
#[derive(Clone, Debug)]
pub struct Router {
    table: FlatTable,
    root: Root,
}

record! {
    /// The root record, from which all others are found.
    struct Root {
        name: Text,
        records_route: bool,
        records_rule: bool,
        records_fault: bool,
        sanitized_by_envoy: bool,
        fixed_random: Option<At<u64>>,
        backends: List<Backend>,
        virtual_hosts: List<VirtualHost>,
        /// The numbers index `virtual_hosts`.
        hosts: Hosts,
        default: Option<At<Target>>,
        tls_hosts: List<TlsHost>,
        /// The numbers index `tls_hosts`.
        certificates: Hosts,
        https_port: u16,
        /// The number of routes of all virtual hosts.
        routes: u32,
    }

    /// Hosts, and the number of each.
    struct Hosts {
        exact: Trie<Option<u32>>,
        /// The keys are the hosts without `*.`.
        wildcard: Trie<Option<u32>>,
        any: Option<u32>,
    }

    /// Hosts that share their routes.
    struct VirtualHost {
        hosts: List<Text>,
        routes: List<Route>,
        paths: Trie<PathRoutes>,
        /// Tried if no route in `paths` matches, the longest first.
        patterns: List<PathPattern>,
        no_default_backend: bool,
    }

    struct Route {
        kind: PathKind,
        path: Text,
        target: Target,
    }

    /// The backend of a route and its port, the source of the route, and the name under
    /// which its requests are counted.
    pub(crate) struct Target {
        /// Indexes the table's backends.
        backend: u32,
        /// Indexes the backend's ports.
        port: Option<u32>,
        source: Text,
        count_as: Text,
        plaintext: Served,
    }

    /// A route whose path is a regular expression.
    struct PathPattern {
        route: u32,
        automaton: Text,
    }

    struct TlsHost {
        hosts: List<Text>,
        certificate: Text,
    }

    /// The routes of one virtual host that have the same path. The trailing slash of a
    /// `prefix` is not part of it.
    #[derive(Default)]
    struct PathRoutes {
        exact: Option<u32>,
        string_prefix: Option<u32>,
        prefix: Option<u32>,
        /// Whether `prefix` was written with a trailing slash.
        trailing_slash: bool,
    }
}

tags! {
    /// How a route's path is compared.
    enum PathKind {
        Exact = 0,
        Prefix = 1,
        StringPrefix = 2,
        Regex = 3,
    }

    /// How requests without TLS are handled.
    enum Served {
        Always = 0,
        Redirected = 1,
        OnlyByTls = 2,
    }
}

/// The authority is malformed, so it does not name a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHost;

/// The route that serves a host and a path.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'t> {
    /// The index of the route in its virtual host; `None` for the default backend.
    pub(crate) route: Option<u32>,
    /// The backend, whose rules select the action.
    pub(crate) backend: Backend,
    /// The index of the backend's port.
    pub(crate) port: Option<u32>,
    /// The source of the route, as written in the table.
    pub source: &'t str,
    /// The name under which the request is counted; empty if it is not.
    pub(crate) count_as: &'t str,
    /// The length in bytes of the prefix in the path; `None` if the route's path
    /// is not a prefix.
    pub(crate) prefix: Option<usize>,
    /// How requests without TLS are handled; `None` if they are served, too.
    pub(crate) plaintext: Option<Plaintext>,
}

impl<'t> Matched<'t> {
    /// The name under which the request is counted, if any.
    pub(crate) fn counted(&self) -> Option<&'t str> {
        Some(self.count_as).filter(|name| !name.is_empty())
    }
}

/// The index of a route in its virtual host, and the length of its prefix if its
/// path is one.
type Found = (u32, Option<usize>);

impl Router {
    /// Creates a router from a table in the flat form.
    ///
    /// # Errors
    /// If the root record cannot be read.
    pub fn from_flat(table: FlatTable) -> Result<Self, LoadError> {
        Ok(Self { root: table.root()?, table })
    }

    /// The bytes of the table.
    pub(crate) fn bytes(&self) -> Bytes<'_> {
        self.table.reader()
    }

    /// The name of the table.
    pub fn name(&self) -> &str {
        self.bytes().str(self.root.name).unwrap_or_default()
    }

    /// Whether a property of each request is stored.
    pub fn records(&self, property: Property) -> bool {
        match property {
            Property::IngressRoute => self.root.records_route,
            Property::RouteRule => self.root.records_rule,
            Property::Fault => self.root.records_fault,
        }
    }

    /// Whether Envoy has sanitised the request, so that the filter does not need to
    /// read all headers.
    pub fn is_sanitized_by_envoy(&self) -> bool {
        self.root.sanitized_by_envoy
    }

    /// The fixed value that replaces random numbers in tests.
    pub(crate) fn fixed_random(&self) -> Result<Option<u64>, Broken> {
        self.bytes().option(self.root.fixed_random)
    }

    /// The port on which clients reach HTTPS.
    pub(crate) fn https_port(&self) -> u16 {
        self.root.https_port
    }

    /// The number of routes and of virtual hosts.
    pub fn size(&self) -> (u32, u32) {
        (self.root.routes, self.root.virtual_hosts.len())
    }

    /// Finds the route for `target`, the path of a request with or without its query,
    /// and `authority`, its host with or without its port. With an empty authority,
    /// only the routes of the virtual host `*` match.
    ///
    /// # Errors
    /// If the authority does not name a host. Then no route may serve the request.
    ///
    /// ```
    /// use ingress_filter::{NoHost, Router};
    ///
    /// let router = Router::load(br#"{
    ///     "version": 1,
    ///     "backends": [{"name": "web", "default": {"forward": {"cluster": "web"}}}],
    ///     "virtual_hosts": [{
    ///         "hosts": ["*.example.com"],
    ///         "routes": [
    ///             {"match": {"prefix": "/"}, "backend": "web", "source": "all"},
    ///             {"match": {"exact": "/status"}, "backend": "web", "source": "status"}
    ///         ]
    ///     }]
    /// }"#)?;
    /// let source = |authority: &str, target: &str| {
    ///     let found = router.find(authority.as_bytes(), target.as_bytes())?;
    ///     Ok(found.map(|found| found.source))
    /// };
    /// assert_eq!(source("a.example.com:8080", "/status?x=y"), Ok(Some("status")));
    /// assert_eq!(source("a.example.com", "/status/200"), Ok(Some("all")));
    /// assert_eq!(source("example.com", "/status"), Ok(None));
    /// assert_eq!(source("user@a.example.com", "/status"), Err(NoHost));
    /// # Ok::<_, ingress_filter::LoadError>(())
    /// ```
    pub fn find(&self, authority: &[u8], target: &[u8]) -> Result<Option<Matched<'_>>, NoHost> {
        let virtual_host = self.root.hosts.find(authority, self.bytes())?;
        Ok(self.find_route(virtual_host, &escapes::Target::new(target)).ok().flatten())
    }

    /// Same as [`Self::find`], with the number of the virtual host that
    /// [`Self::find_host`] returned.
    pub(crate) fn find_route(
        &self,
        virtual_host: Option<u32>,
        target: &escapes::Target<'_>,
    ) -> Result<Option<Matched<'_>>, Broken> {
        let bytes = self.bytes();
        if let Some(number) = virtual_host {
            let virtual_host = bytes.list(self.root.virtual_hosts)?.get(number)?;
            if let Some(found) = virtual_host.find(target, bytes)? {
                let route = bytes.list(virtual_host.routes)?.get(found.0)?;
                return self.matched(&route.target, Some(found)).map(Some);
            }
            if virtual_host.no_default_backend {
                return Ok(None);
            }
        }
        let default = bytes.option(self.root.default)?;
        default.map(|target| self.matched(&target, None)).transpose()
    }

    /// The number of the virtual host for the host of an authority.
    pub(crate) fn find_host(&self, authority: &[u8]) -> Result<Option<u32>, NoHost> {
        self.root.hosts.find(authority, self.bytes())
    }

    /// The certificate of `host`, an authority with or without its port: the name of
    /// the filter chain whose connections use it.
    pub fn certificate(&self, host: &[u8]) -> Option<&str> {
        // Without certificates, the host does not need to be parsed.
        if self.root.tls_hosts.is_empty() {
            return None;
        }
        let bytes = self.bytes();
        let number = self.root.certificates.find(host, bytes).ok().flatten()?;
        let tls_host = bytes.list(self.root.tls_hosts).ok()?.get(number).ok()?;
        bytes.str(tls_host.certificate).ok()
    }

    /// What `found` or, if there is none, the default backend serves.
    fn matched(&self, target: &Target, found: Option<Found>) -> Result<Matched<'_>, Broken> {
        let bytes = self.bytes();
        // The default backend is handled as a prefix of zero bytes.
        let prefix = found.map_or(Some(0), |(_, prefix)| prefix);
        Ok(Matched {
            route: found.map(|(route, _)| route),
            backend: bytes.list(self.root.backends)?.get(target.backend)?,
            port: target.port,
            source: bytes.str(target.source)?,
            count_as: bytes.str(target.count_as)?,
            prefix,
            plaintext: target.plaintext.plaintext(),
        })
    }
}

impl Served {
    fn plaintext(self) -> Option<Plaintext> {
        match self {
            Self::Always => None,
            Self::Redirected => Some(Plaintext::Redirect),
            Self::OnlyByTls => Some(Plaintext::Refuse),
        }
    }
}

impl VirtualHost {
    fn find(
        &self,
        target: &escapes::Target<'_>,
        bytes: Bytes<'_>,
    ) -> Result<Option<Found>, Broken> {
        match most_specific(self.paths, &target.canonical, bytes) {
            Some(found) => Ok(Some(found)),
            None => Ok(self.find_pattern(target.written, bytes)?.map(|route| (route, None))),
        }
    }

    fn find_pattern(&self, target: &[u8], bytes: Bytes<'_>) -> Result<Option<u32>, Broken> {
        if self.patterns.is_empty() {
            return Ok(None);
        }
        let query = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
        let path = target.get(..query.unwrap_or(target.len())).unwrap_or(target);
        for pattern in bytes.list(self.patterns)?.iter() {
            let PathPattern { route, automaton } = pattern?;
            if Pattern::compiled(bytes.text(automaton)?).search(path).ok_or(Broken)? {
                return Ok(Some(route));
            }
        }
        Ok(None)
    }
}

impl Hosts {
    /// Finds the most specific entry. Less specific ones are not tried after it.
    fn find(&self, authority: &[u8], bytes: Bytes<'_>) -> Result<Option<u32>, NoHost> {
        // Most authorities are written as in the table. Every key of the table is a
        // valid host, so the authority does not need to be validated first.
        if let Some(exact) = self.exact.get(authority, bytes).flatten() {
            return Ok(Some(exact));
        }
        let host = authority::host(authority).ok_or(NoHost)?;
        let exact = self.exact.get(&host, bytes).flatten();
        Ok(exact.or_else(|| self.find_wildcard(&host, bytes)).or(self.any))
    }

    fn find_wildcard(&self, host: &[u8], bytes: Bytes<'_>) -> Option<u32> {
        let dot = host.iter().position(|byte| *byte == b'.')?;
        self.wildcard.get(host.get(dot + 1..)?, bytes).flatten()
    }
}

/// The route of the most specific path, and the length of its prefix. The order is:
/// exact, then the prefix that is longest as written, then `prefix` before
/// `string_prefix`.
///
/// Ingress compares the number of path elements before bytes. Of two prefixes of one
/// path, the one with more elements is also longer, so comparing bytes is enough. No
/// path in a table extends beyond the start of the query.
fn most_specific(paths: Trie<PathRoutes>, target: &[u8], bytes: Bytes<'_>) -> Option<Found> {
    let mut best = None;
    for (routes, rest) in paths.walk(target, bytes)? {
        let is_whole = matches!(rest.first(), None | Some(b'?' | b'#'));
        if let Some(exact) = routes.exact.filter(|_| is_whole) {
            return Some((exact, None));
        }
        let len = target.len().saturating_sub(rest.len());
        // Most nodes have neither kind of prefix.
        if let Some(route) = routes.string_prefix {
            best = best.max(Some(((len, false), route, len)));
        }
        if let Some(route) = routes.prefix
            && (is_whole || rest.first() == Some(&b'/'))
        {
            let as_written = len.saturating_add(usize::from(routes.trailing_slash));
            best = best.max(Some(((as_written, true), route, len)));
        }
    }
    best.map(|(_, route, len)| (route, Some(len)))
}
