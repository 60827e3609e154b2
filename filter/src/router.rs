//! The route table made ready to serve: immutable, and quick to look a request
//! up in, however large it is.
//!
//! A lookup walks a trie of hosts and then the trie of that host's paths, so
//! it costs what the host and the path are long. The semantics are those of
//! Kubernetes' `networking/v1` Ingress, with Istio's path notation beside it.

mod build;

use crate::authority;
use crate::pattern::Pattern;
use crate::rules::Backend;
use crate::table::Plaintext;
use crate::trie::Trie;

/// A route table, validated and indexed.
#[derive(Debug)]
pub struct Router {
    name: String,
    record_source: bool,
    sanitized_by_envoy: bool,
    fixed_random: Option<u64>,
    hosts: Hosts,
    /// The routes of each virtual host, by path.
    paths: Vec<Paths>,
    destinations: Vec<Destination>,
    backends: Vec<Backend>,
    /// The sources of all destinations, end to end.
    sources: String,
    default: Option<Destination>,
    certificates: Certificates,
    /// What follows a host in a URL of HTTPS: nothing, or a port.
    https_port: String,
}

/// Which hosts have which certificate.
#[derive(Debug)]
struct Certificates {
    /// The numbers index `names`.
    hosts: Hosts,
    /// The filter chains whose connections have them.
    names: Vec<String>,
}

/// Hosts, and the number that each has.
#[derive(Debug)]
struct Hosts {
    exact: Trie<u32>,
    /// By what comes after `*.`.
    wildcard: Trie<u32>,
    any: Option<u32>,
}

/// The routes of one virtual host, by path.
#[derive(Debug)]
struct Paths {
    trie: Trie<PathRoutes>,
    /// What is tried where the trie has nothing, the longest first; the numbers
    /// index [`Router::destinations`].
    patterns: Vec<(Pattern, u32)>,
}

/// The routes of one virtual host whose path, less the trailing slash of a
/// `prefix`, is the same text; the numbers index [`Router::destinations`].
#[derive(Clone, Copy, Debug, Default)]
struct PathRoutes {
    exact: Option<u32>,
    prefix: Option<Prefix>,
    string_prefix: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Prefix {
    destination: u32,
    trailing_slash: bool,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug)]
struct Destination {
    /// Indexes [`Router::backends`].
    backend: u32,
    /// A range of [`Router::sources`].
    source: (u32, u32),
    plaintext: Option<Plaintext>,
}

/// An authority that names no host: malformed, and nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHost;

/// What serves a host and a path.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'t> {
    /// The backend, whose rules decide what happens.
    pub(crate) backend: &'t Backend,
    /// Where the route comes from, as the table says.
    pub source: &'t str,
    /// How many bytes of the path its prefix takes up; none where it is no
    /// prefix.
    pub(crate) prefix: Option<usize>,
    /// What happens to requests without TLS, unless they are served as well.
    pub(crate) plaintext: Option<Plaintext>,
}

impl Router {
    /// What the table calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether each request's source shall be recorded as properties.
    pub fn records_source(&self) -> bool {
        self.record_source
    }

    /// Whether the filter can do without looking at all headers.
    pub fn is_sanitized_by_envoy(&self) -> bool {
        self.sanitized_by_envoy
    }

    /// What to draw instead of a random number.
    pub(crate) fn fixed_random(&self) -> Option<u64> {
        self.fixed_random
    }

    /// What follows a host in a URL of HTTPS.
    pub(crate) fn https_port(&self) -> &str {
        &self.https_port
    }

    /// How many routes there are on how many virtual hosts.
    pub fn size(&self) -> (usize, usize) {
        (self.destinations.len(), self.paths.len())
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
        let routed = self
            .hosts
            .find(authority)?
            .and_then(|index| self.paths.get(index as usize))
            .and_then(|paths| paths.find(target))
            .and_then(|(index, prefix)| Some((self.destinations.get(index as usize)?, prefix)));
        // The default backend is as one at `/`, of which nothing is an element.
        let by_default = || Some((self.default.as_ref()?, Some(0)));
        let found = routed.or_else(by_default);
        Ok(found.and_then(|(destination, prefix)| self.matched(destination, prefix)))
    }

    /// The certificate that `host`, an authority with or without its port, has:
    /// the name of the filter chain whose connections have it.
    pub fn certificate(&self, host: &[u8]) -> Option<&str> {
        // Where none has one, the host need not be looked at.
        if self.certificates.names.is_empty() {
            return None;
        }
        let index = self.certificates.hosts.find(host).ok().flatten()?;
        self.certificates.names.get(index as usize).map(String::as_str)
    }

    fn matched(&self, destination: &Destination, prefix: Option<usize>) -> Option<Matched<'_>> {
        let (start, end) = destination.source;
        Some(Matched {
            backend: self.backends.get(destination.backend as usize)?,
            source: self.sources.get(start as usize..end as usize)?,
            prefix,
            plaintext: destination.plaintext,
        })
    }
}

impl Paths {
    /// The route for a target, and how long its prefix is, if it is one.
    fn find(&self, target: &[u8]) -> Option<(u32, Option<usize>)> {
        most_specific(&self.trie, target).or_else(|| Some((self.by_pattern(target)?, None)))
    }

    fn by_pattern(&self, target: &[u8]) -> Option<u32> {
        if self.patterns.is_empty() {
            return None;
        }
        let query = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
        let path = target.get(..query.unwrap_or(target.len()))?;
        let found = self.patterns.iter().find(|(pattern, _)| pattern.matches(path));
        found.map(|(_, destination)| *destination)
    }
}

impl Hosts {
    /// The most specific; there is no falling through from there.
    fn find(&self, authority: &[u8]) -> Result<Option<u32>, NoHost> {
        // Most authorities are spelled as the table spells them, and what is in
        // the table is a host.
        if let Some(exact) = self.exact.get(authority) {
            return Ok(Some(*exact));
        }
        let host = authority::host(authority).ok_or(NoHost)?;
        let found = self.exact.get(&host).or_else(|| {
            let dot = host.iter().position(|byte| *byte == b'.')?;
            self.wildcard.get(host.get(dot + 1..)?)
        });
        Ok(found.copied().or(self.any))
    }
}

/// The route of the most specific path, and how long its prefix is: exact, then
/// the prefix that is longest as written, then `prefix` before `string_prefix`.
///
/// The Ingress rule counts elements before bytes. Of two prefixes of one path
/// the one with more elements is also the longer, so bytes alone decide. And no
/// path of a table goes on beyond where a query begins.
fn most_specific(paths: &Trie<PathRoutes>, target: &[u8]) -> Option<(u32, Option<usize>)> {
    let mut best = None;
    for (routes, rest) in paths.walk(target) {
        let is_whole = matches!(rest.first(), None | Some(b'?' | b'#'));
        if let Some(exact) = routes.exact.filter(|_| is_whole) {
            return Some((exact, None));
        }
        let len = target.len() - rest.len();
        let string_prefix =
            routes.string_prefix.map(|destination| ((len, false), destination, len));
        let prefix =
            routes.prefix.filter(|_| is_whole || rest.first() == Some(&b'/')).map(|prefix| {
                let rank = (len + usize::from(prefix.trailing_slash), true);
                (rank, prefix.destination, len)
            });
        best = best.max(string_prefix).max(prefix);
    }
    best.map(|(_, destination, len)| (destination, Some(len)))
}
