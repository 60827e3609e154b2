//! The route table made ready to serve: immutable, and quick to look a request
//! up in, however large it is.
//!
//! A lookup walks a trie of hosts and then the trie of that host's paths, so
//! it costs what the host and the path are long. The semantics are those of
//! Kubernetes' `networking/v1` Ingress, with Istio's path notation beside it.

mod build;

pub use build::LoadError;

use crate::table::{Action, Backend, RuleMatch, StringMatch};
use crate::trie::Trie;

/// A route table, validated and indexed.
#[derive(Debug)]
pub struct Router {
    name: String,
    record_source: bool,
    sanitized_by_envoy: bool,
    hosts: Hosts,
    /// The routes of each virtual host, by path.
    paths: Vec<Trie<PathRoutes>>,
    destinations: Vec<Destination>,
    backends: Vec<Backend>,
    /// The sources of all destinations, end to end.
    sources: String,
    default: Option<Destination>,
}

/// Which virtual host serves a host; the numbers index [`Router::paths`].
#[derive(Debug)]
struct Hosts {
    exact: Trie<u32>,
    /// By what comes after `*.`.
    wildcard: Trie<u32>,
    any: Option<u32>,
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
}

/// What serves a host and a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched<'t> {
    /// The backend, whose rules decide what happens.
    pub backend: &'t Backend,
    /// Where the route comes from, as the table says.
    pub source: &'t str,
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

    /// How many routes there are on how many virtual hosts.
    pub fn size(&self) -> (usize, usize) {
        (self.destinations.len(), self.paths.len())
    }

    /// What serves `path`, the request's path up to its query, on `host`, in
    /// lower case and without its port. An empty host has only the routes of
    /// the virtual host `*`.
    pub fn find(&self, host: &[u8], path: &[u8]) -> Option<Matched<'_>> {
        let routed = self
            .hosts
            .find(host)
            .and_then(|index| self.paths.get(index as usize))
            .and_then(|paths| most_specific(paths, path))
            .and_then(|index| self.destinations.get(index as usize));
        let destination = routed.or(self.default.as_ref())?;
        let (start, end) = destination.source;
        Some(Matched {
            backend: self.backends.get(destination.backend as usize)?,
            source: self.sources.get(start as usize..end as usize)?,
        })
    }
}

impl Hosts {
    /// The most specific; there is no falling through from there.
    fn find(&self, host: &[u8]) -> Option<u32> {
        let exact = self.exact.get(host);
        let found = exact.or_else(|| {
            let dot = host.iter().position(|byte| *byte == b'.')?;
            self.wildcard.get(host.get(dot + 1..)?)
        });
        found.copied().or(self.any)
    }
}

/// The route of the most specific path: exact, then the prefix that is longest
/// as written, then `prefix` before `string_prefix`.
///
/// The Ingress rule counts elements before bytes. Of two prefixes of one path
/// the one with more elements is also the longer, so bytes alone decide.
fn most_specific(paths: &Trie<PathRoutes>, path: &[u8]) -> Option<u32> {
    let mut best = None;
    for (routes, rest) in paths.walk(path) {
        if rest.is_empty() && routes.exact.is_some() {
            return routes.exact;
        }
        let len = path.len() - rest.len();
        let string_prefix = routes.string_prefix.map(|destination| ((len, false), destination));
        let prefix = routes
            .prefix
            .filter(|_| matches!(rest.first(), None | Some(b'/')))
            .map(|prefix| ((len + usize::from(prefix.trailing_slash), true), prefix.destination));
        best = best.max(string_prefix).max(prefix);
    }
    best.map(|(_, destination)| destination)
}

impl Backend {
    /// The action of the first rule whose match holds, with that rule's name,
    /// or the default one. `header` gives a header's value by its name.
    pub fn action<V: AsRef<[u8]>>(
        &self,
        header: impl Fn(&str) -> Option<V>,
    ) -> (&Action, Option<&str>) {
        match self.rules.iter().find(|rule| rule.matches.holds(&header)) {
            Some(rule) => (&rule.action, Some(&rule.name)),
            None => (&self.default, None),
        }
    }
}

impl RuleMatch {
    fn holds<V: AsRef<[u8]>>(&self, header: impl Fn(&str) -> Option<V>) -> bool {
        self.headers.iter().all(|condition| {
            header(&condition.name).is_some_and(|value| condition.value.holds(value.as_ref()))
        })
    }
}

impl StringMatch {
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => value == text.as_bytes(),
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
        }
    }
}
