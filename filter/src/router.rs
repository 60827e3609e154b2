//! The route table, ready to serve: immutable, with fast lookups at any size.
//!
//! A lookup walks a trie of hosts and then the trie of that host's paths, so its
//! cost depends on the length of host and path. The semantics are those of
//! Kubernetes' `networking/v1` Ingress, and Istio's path notation.

mod decode;
mod encode;
#[cfg(not(target_family = "wasm"))]
mod explain;

use crate::authority;
use crate::error::{Broken, LoadError};
use crate::flat::{At, Bytes, FlatTable, List, Text, record, tags};
use crate::pattern::Pattern;
use crate::rules::Backend;
use crate::table::Plaintext;
use crate::trie::Trie;

/// A route table, validated and indexed.
#[derive(Clone, Debug)]
pub struct Router {
    table: FlatTable,
    root: Root,
}

record! {
    /// All of a table.
    struct Root {
        name: Text,
        record_source: bool,
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
        /// How many routes there are in all.
        routes: u32,
    }

    /// Hosts, and the number that each has.
    struct Hosts {
        exact: Trie<Option<u32>>,
        /// By what comes after `*.`.
        wildcard: Trie<Option<u32>>,
        any: Option<u32>,
    }

    /// Hosts that share their routes.
    struct VirtualHost {
        hosts: List<Text>,
        routes: List<Route>,
        paths: Trie<PathRoutes>,
        /// What is tried where `paths` has nothing, the longest first.
        patterns: List<PathPattern>,
        no_default_backend: bool,
    }

    struct Route {
        kind: PathKind,
        path: Text,
        target: Target,
    }

    /// Where a route leads.
    pub(crate) struct Target {
        /// Indexes the table's backends.
        backend: u32,
        /// Indexes the backend's ports.
        port: Option<u32>,
        source: Text,
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

    /// The routes of one virtual host whose path, less the trailing slash of a
    /// `prefix`, is the same text.
    #[derive(Default)]
    struct PathRoutes {
        exact: Option<u32>,
        string_prefix: Option<u32>,
        prefix: Option<u32>,
        /// That of the prefix.
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

    /// What happens to requests without TLS.
    enum Served {
        Always = 0,
        Redirected = 1,
        OnlyByTls = 2,
    }
}

/// An authority that names no host: malformed, and nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHost;

/// What serves a host and a path.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'t> {
    /// The backend, whose rules decide what happens.
    pub(crate) backend: Backend,
    /// Which of its ports.
    pub(crate) port: Option<u32>,
    /// Where the route comes from, as the table says.
    pub source: &'t str,
    /// How many bytes of the path its prefix takes up; none where it is no
    /// prefix.
    pub(crate) prefix: Option<usize>,
    /// What happens to requests without TLS, unless they are served as well.
    pub(crate) plaintext: Option<Plaintext>,
}

/// A route of a virtual host by its index, and how long its prefix is, if it is
/// one.
type Found = (u32, Option<usize>);

impl Router {
    /// A table in the flat form, ready to serve.
    ///
    /// # Errors
    /// Where it has no root.
    pub fn from_flat(table: FlatTable) -> Result<Self, LoadError> {
        Ok(Self { root: table.root()?, table })
    }

    /// The bytes that everything is read from.
    pub(crate) fn bytes(&self) -> Bytes<'_> {
        self.table.reader()
    }

    /// What the table calls itself.
    pub fn name(&self) -> &str {
        self.bytes().str(self.root.name).unwrap_or_default()
    }

    /// Whether the source of each request is recorded as properties.
    pub fn records_source(&self) -> bool {
        self.root.record_source
    }

    /// Whether the filter can do without looking at all headers.
    pub fn is_sanitized_by_envoy(&self) -> bool {
        self.root.sanitized_by_envoy
    }

    /// What to draw instead of a random number.
    pub(crate) fn fixed_random(&self) -> Result<Option<u64>, Broken> {
        self.bytes().option(self.root.fixed_random)
    }

    /// The port at which clients reach HTTPS.
    pub(crate) fn https_port(&self) -> u16 {
        self.root.https_port
    }

    /// How many routes there are on how many virtual hosts.
    pub fn size(&self) -> (u32, u32) {
        (self.root.routes, self.root.virtual_hosts.len())
    }

    /// What serves `target`, the path of a request with or without its query,
    /// for `authority`, its host with or without its port. An empty authority
    /// has only the routes of the virtual host `*`.
    ///
    /// # Errors
    /// Where the authority names no host: then nothing may serve it.
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
        Ok(self.find_route(virtual_host, target).ok().flatten())
    }

    /// The same, by the number of the virtual host that [`Self::find_host`] has
    /// found.
    pub(crate) fn find_route(
        &self,
        virtual_host: Option<u32>,
        target: &[u8],
    ) -> Result<Option<Matched<'_>>, Broken> {
        let bytes = self.bytes();
        if let Some(number) = virtual_host {
            let virtual_host = bytes.list(self.root.virtual_hosts)?.get(number)?;
            if let Some((route, prefix)) = virtual_host.find(target, bytes)? {
                let route = bytes.list(virtual_host.routes)?.get(route)?;
                return self.matched(&route.target, prefix).map(Some);
            }
            if virtual_host.no_default_backend {
                return Ok(None);
            }
        }
        // The default backend is as one at `/`, of which nothing is an element.
        let default = bytes.option(self.root.default)?;
        default.map(|target| self.matched(&target, Some(0))).transpose()
    }

    /// The number of the virtual host that has the host of an authority.
    pub(crate) fn find_host(&self, authority: &[u8]) -> Result<Option<u32>, NoHost> {
        self.root.hosts.find(authority, self.bytes())
    }

    /// The certificate that `host`, an authority with or without its port, has:
    /// the name of the filter chain whose connections have it.
    pub fn certificate(&self, host: &[u8]) -> Option<&str> {
        // Where none has one, the host need not be looked at.
        if self.root.tls_hosts.is_empty() {
            return None;
        }
        let bytes = self.bytes();
        let number = self.root.certificates.find(host, bytes).ok().flatten()?;
        let tls_host = bytes.list(self.root.tls_hosts).ok()?.get(number).ok()?;
        bytes.str(tls_host.certificate).ok()
    }

    fn matched(&self, target: &Target, prefix: Option<usize>) -> Result<Matched<'_>, Broken> {
        let bytes = self.bytes();
        Ok(Matched {
            backend: bytes.list(self.root.backends)?.get(target.backend)?,
            port: target.port,
            source: bytes.str(target.source)?,
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
    fn find(&self, target: &[u8], bytes: Bytes<'_>) -> Result<Option<Found>, Broken> {
        match most_specific(self.paths, target, bytes) {
            Some(found) => Ok(Some(found)),
            None => Ok(self.find_pattern(target, bytes)?.map(|route| (route, None))),
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
    /// The most specific; there is no falling through from there.
    fn find(&self, authority: &[u8], bytes: Bytes<'_>) -> Result<Option<u32>, NoHost> {
        // Most authorities are spelled as the table spells them, and what is in
        // the table is a host.
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

/// The route of the most specific path, and how long its prefix is: exact, then
/// the prefix that is longest as written, then `prefix` before `string_prefix`.
///
/// The Ingress rule counts elements before bytes. Of two prefixes of one path
/// the one with more elements is also the longer, so bytes alone decide. And no
/// path of a table goes on beyond where a query begins.
fn most_specific(paths: Trie<PathRoutes>, target: &[u8], bytes: Bytes<'_>) -> Option<Found> {
    let mut best = None;
    for (routes, rest) in paths.walk(target, bytes)? {
        let is_whole = matches!(rest.first(), None | Some(b'?' | b'#'));
        if let Some(exact) = routes.exact.filter(|_| is_whole) {
            return Some((exact, None));
        }
        let len = target.len().saturating_sub(rest.len());
        // Most nodes have neither.
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
