//! Route table in, router out; or the place of what is wrong with it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Certificates, Destination, Hosts, PathRoutes, Paths, Prefix, Router};
use crate::authority;
use crate::error::{LoadError, Place, invalid};
use crate::pattern::Pattern;
use crate::rules::{Backend, Compiler};
use crate::table::{self, DEFAULT_HTTPS_PORT, PathMatch, Route, RouteTable, TlsHost, VERSION};
use crate::trie::Trie;

impl Router {
    /// Reads a route table as JSON.
    ///
    /// # Errors
    /// Where it is of another version or shape, or says what cannot be; the
    /// error names the line and column or the field.
    ///
    /// ```
    /// use ingress_filter::Router;
    ///
    /// let error = Router::load(br#"{
    ///     "version": 1,
    ///     "virtual_hosts": [{
    ///         "hosts": ["foo.example.com"],
    ///         "routes": [{"match": {"exact": "/"}, "backend": "web"}]
    ///     }]
    /// }"#)
    /// .unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "virtual_hosts[0].routes[0].backend: no backend is named \"web\""
    /// );
    /// ```
    pub fn load(json: &[u8]) -> Result<Self, LoadError> {
        let table = serde_json::from_slice(json)
            .map_err(|error| version_error(json).unwrap_or(LoadError::Format(error)))?;
        Self::new(table)
    }

    /// Indexes a route table.
    ///
    /// # Errors
    /// Where it is of another version or says what cannot be; the error names
    /// the field.
    pub fn new(table: RouteTable) -> Result<Self, LoadError> {
        if table.version != VERSION {
            return Err(wrong_version(table.version));
        }
        let backends = compile_backends(&table.backends)?;
        let mut building = Destinations::new(&table.backends)?;
        let hosts: Vec<_> = table.virtual_hosts.iter().map(|host| &*host.hosts).collect();
        let hosts = index_hosts("virtual_hosts", &hosts)?;
        let mut paths = Vec::with_capacity(table.virtual_hosts.len());
        for (index, host) in table.virtual_hosts.iter().enumerate() {
            let place = |route: usize| format!("virtual_hosts[{index}].routes[{route}]");
            paths.push(index_paths(&host.routes, &mut building, place)?);
        }
        let default = match &table.default_backend {
            None => None,
            Some(target) => {
                let place = || "default_backend.backend".into();
                let resolved = building.resolve(&target.backend, &target.source, place)?;
                Some(Destination { plaintext: target.plaintext, ..resolved })
            }
        };
        let Destinations { all, sources, .. } = building;
        Ok(Self {
            name: table.name,
            record_source: table.record_source,
            sanitized_by_envoy: table.sanitized_by_envoy,
            hosts,
            paths,
            destinations: all,
            sources,
            default,
            backends,
            fixed_random: table.fixed_random,
            certificates: index_certificates(table.tls_hosts)?,
            https_port: port_suffix(table.https_port)?,
        })
    }
}

fn index_certificates(tls_hosts: Vec<TlsHost>) -> Result<Certificates, LoadError> {
    let hosts: Vec<_> = tls_hosts.iter().map(|host| &*host.hosts).collect();
    let hosts = index_hosts("tls_hosts", &hosts)?;
    if let Some(index) = hosts.any {
        return Err(invalid(
            format!("tls_hosts[{index}].hosts"),
            "has \"*\"; leave it out, other hosts have the default certificate",
        ));
    }
    if let Some(index) = tls_hosts.iter().position(|host| host.certificate.is_empty()) {
        return Err(invalid(
            format!("tls_hosts[{index}].certificate"),
            "is empty; write the name of a filter chain",
        ));
    }
    let names = tls_hosts.into_iter().map(|host| host.certificate).collect();
    Ok(Certificates { hosts, names })
}

/// What follows a host in a URL of HTTPS.
fn port_suffix(port: u16) -> Result<String, LoadError> {
    match port {
        0 => Err(invalid("https_port", "is 0, which is no port; use 1 to 65535")),
        // The port that the scheme means.
        DEFAULT_HTTPS_PORT => Ok(String::new()),
        port => Ok(format!(":{port}")),
    }
}

fn compile_backends(backends: &[table::Backend]) -> Result<Vec<Backend>, LoadError> {
    let mut compiler = Compiler::default();
    let backend =
        |(index, backend)| compiler.backend(backend, &Place::root_item("backends", index));
    backends.iter().enumerate().map(backend).collect()
}

/// A table of another version is likely of another shape too; its version is
/// what is wrong with it then, not the first field that is new.
fn version_error(json: &[u8]) -> Option<LoadError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(json).ok()?;
    (version != VERSION).then(|| wrong_version(version))
}

fn wrong_version(version: u32) -> LoadError {
    invalid(
        "version",
        format!(
            "is {version}, but this module reads version {VERSION}; compile the table with the same release"
        ),
    )
}

/// The destinations of all routes, while they are gathered.
struct Destinations<'t> {
    backends: BTreeMap<&'t str, u32>,
    all: Vec<Destination>,
    sources: String,
}

impl<'t> Destinations<'t> {
    fn new(backends: &'t [table::Backend]) -> Result<Self, LoadError> {
        let mut by_name = BTreeMap::new();
        for (index, backend) in (0..).zip(backends) {
            if let Some(earlier) = by_name.insert(backend.name.as_str(), index) {
                return Err(invalid(
                    format!("backends[{index}].name"),
                    format!(
                        "{:?} is also the name of backends[{earlier}]; names must differ",
                        backend.name
                    ),
                ));
            }
        }
        Ok(Self { backends: by_name, all: Vec::new(), sources: String::new() })
    }

    fn resolve(
        &mut self,
        backend: &str,
        source: &str,
        place: impl FnOnce() -> String,
    ) -> Result<Destination, LoadError> {
        let Some(&backend) = self.backends.get(backend) else {
            return Err(invalid(place(), format!("no backend is named {backend:?}")));
        };
        let start = self.sources.len();
        self.sources.push_str(source);
        let source = (saturated(start), saturated(self.sources.len()));
        Ok(Destination { backend, source, plaintext: None })
    }

    /// The index of a further destination.
    fn push(&mut self, destination: Destination) -> u32 {
        self.all.push(destination);
        saturated(self.all.len() - 1)
    }
}

/// Sizes beyond `u32` cannot occur in a 32-bit module; natively they saturate
/// to an index that finds nothing.
fn saturated(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Indexes the hosts of each item of the table's field `list`.
fn index_hosts(list: &str, items: &[&[String]]) -> Result<Hosts, LoadError> {
    let mut seen = BTreeMap::new();
    let (mut exact, mut wildcard, mut any) = (Vec::new(), Vec::new(), None);
    for (index, hosts) in (0_u32..).zip(items.iter().copied()) {
        if hosts.is_empty() {
            return Err(invalid(
                format!("{list}[{index}].hosts"),
                "is empty; name at least one host",
            ));
        }
        for (position, host) in hosts.iter().enumerate() {
            let place = || format!("{list}[{index}].hosts[{position}]");
            if let Some(earlier) = seen.insert(host.as_str(), index) {
                return Err(invalid(
                    place(),
                    format!("{host:?} already stands in {list}[{earlier}]; merge the two"),
                ));
            }
            if host == "*" {
                any = Some(index);
                continue;
            }
            let (list, name) = match host.strip_prefix("*.") {
                Some(suffix) => (&mut wildcard, suffix),
                None => (&mut exact, host.as_str()),
            };
            if !authority::is_host(name.as_bytes()) {
                return Err(invalid(
                    place(),
                    format!(
                        "{host:?} is no host; write it in lower case without port, such as foo.example.com or *.example.com"
                    ),
                ));
            }
            list.push((name.as_bytes(), index));
        }
    }
    let keep_first = |_: &mut u32, _: u32| {};
    Ok(Hosts {
        exact: Trie::new(exact, keep_first),
        wildcard: Trie::new(wildcard, keep_first),
        any,
    })
}

fn index_paths(
    routes: &[Route],
    destinations: &mut Destinations<'_>,
    place: impl Fn(usize) -> String,
) -> Result<Paths, LoadError> {
    let mut entries = Vec::with_capacity(routes.len());
    let mut patterns = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let refused = |reason: String| invalid(place(index) + ".match", reason);
        let resolved =
            destinations.resolve(&route.backend, &route.source, || place(index) + ".backend")?;
        let destination = destinations.push(Destination { plaintext: route.plaintext, ..resolved });
        match PathRoutes::of(&route.path, destination) {
            Ok((path, routes)) => {
                validate_path(route.path.text(), refused)?;
                entries.push((path, routes));
            }
            Err(text) => {
                let pattern =
                    Pattern::new(text).map_err(|reason| refused(format!("{text:?} {reason}")))?;
                patterns.push((text.len(), pattern, destination));
            }
        }
    }
    // Stable, so the first stays so among those of one length.
    patterns.sort_by_key(|(len, ..)| Reverse(*len));
    Ok(Paths {
        trie: Trie::new(entries, PathRoutes::merge),
        patterns: patterns
            .into_iter()
            .map(|(_, pattern, destination)| (pattern, destination))
            .collect(),
    })
}

impl PathRoutes {
    /// A single route, and the text it is found under; or the regular expression
    /// that it is instead.
    fn of(path: &PathMatch, destination: u32) -> Result<(&[u8], Self), &str> {
        let mut routes = Self::default();
        let text = match path {
            PathMatch::Exact(text) => {
                routes.exact = Some(destination);
                text
            }
            PathMatch::StringPrefix(text) => {
                routes.string_prefix = Some(destination);
                text
            }
            PathMatch::Prefix(text) => {
                let stem = text.strip_suffix('/');
                routes.prefix = Some(Prefix { destination, trailing_slash: stem.is_some() });
                stem.unwrap_or(text)
            }
            PathMatch::Regex(text) => return Err(text),
        };
        Ok((text.as_bytes(), routes))
    }

    /// Takes in the routes of a later entry of the same text, of which only
    /// those count that are more specific or of a new kind.
    fn merge(&mut self, later: Self) {
        self.exact = self.exact.or(later.exact);
        self.string_prefix = self.string_prefix.or(later.string_prefix);
        self.prefix = match (self.prefix, later.prefix) {
            (Some(earlier), Some(later)) if later.trailing_slash && !earlier.trailing_slash => {
                Some(later)
            }
            (earlier, later) => earlier.or(later),
        };
    }
}

/// Refuses what no path of a request can be, as Envoy normalises them.
fn validate_path(path: &str, refused: impl FnOnce(String) -> LoadError) -> Result<(), LoadError> {
    if !path.starts_with('/') {
        return Err(refused(format!("{path:?} does not start with /")));
    }
    match path.bytes().find(|byte| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#')) {
        None => Ok(()),
        Some(byte) => Err(refused(format!(
            "{path:?} holds the byte 0x{byte:02x}, which no path can; remove it"
        ))),
    }
}
