//! Converts a table from JSON to the flat form, or reports the position of an
//! error.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Hosts, PathKind, PathPattern, PathRoutes, Root, Route, Router, Served, Target};
use super::{TlsHost, VirtualHost};
use crate::authority;
use crate::encoder::{Compile, Encoder};
use crate::error::{LoadError, Place, invalid};
use crate::flat::{FlatTable, Text};
use crate::rules::Backend;
use crate::table::{self, PathMatch, Plaintext, Property, RouteTable, VERSION};
use crate::trie::Trie;

impl Router {
    /// Reads a route table as JSON.
    ///
    /// # Errors
    /// If the version, the shape or a value is not valid. The error has the line and
    /// column, or the field.
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
    ///     "virtual_hosts[0].routes[0].backend: no backend is named \"web\"; add it"
    /// );
    /// ```
    pub fn load(json: &[u8]) -> Result<Self, LoadError> {
        Self::new(&RouteTable::from_json(json)?)
    }

    /// Creates a router from a route table.
    ///
    /// # Errors
    /// If the version or a value is not valid. The error has the field.
    pub fn new(table: &RouteTable) -> Result<Self, LoadError> {
        Self::from_flat(FlatTable::encode(table)?)
    }
}

impl RouteTable {
    /// Reads a route table as JSON, without validating its values.
    ///
    /// # Errors
    /// If the version or the shape is not valid.
    pub fn from_json(json: &[u8]) -> Result<Self, LoadError> {
        serde_json::from_slice(json)
            .map_err(|error| version_error(json).unwrap_or(LoadError::Format(error)))
    }
}

impl FlatTable {
    /// Reads a table in any form: flat, flat in JSON, or JSON.
    ///
    /// # Errors
    /// Same as [`Self::parse`] and [`Self::encode`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, LoadError> {
        if Self::is_flat(&bytes) {
            return Self::parse(bytes);
        }
        match Self::parse_embedded(&bytes) {
            Some(embedded) => embedded,
            None => Self::encode(&RouteTable::from_json(&bytes)?),
        }
    }

    /// Converts a table to the flat form and compiles its regular expressions, which
    /// the module itself cannot do.
    ///
    /// # Errors
    /// If the version or a value is not valid. The error has the field.
    pub fn encode(table: &RouteTable) -> Result<Self, LoadError> {
        Self::encode_with(table, &crate::pattern::compile)
    }

    /// Same as [`Self::encode`], with `compile` for the regular expressions.
    ///
    /// # Errors
    /// Same as [`Self::encode`].
    pub fn encode_with(table: &RouteTable, compile: &Compile<'_>) -> Result<Self, LoadError> {
        if table.version != VERSION {
            return Err(wrong_version(table.version));
        }
        let mut encoder = Encoder::new(compile);
        let names = Names::of(&table.backends)?;
        let mut backends = Vec::with_capacity(table.backends.len());
        for (index, backend) in table.backends.iter().enumerate() {
            let place = Place::root_item("backends", index);
            backends.push(Backend::encode(backend, &mut encoder, &place)?);
        }
        let (hosts, host_texts) = encode_hosts(
            "virtual_hosts",
            table.virtual_hosts.iter().map(|host| &*host.hosts),
            &mut encoder,
        )?;
        let mut virtual_hosts = Vec::with_capacity(table.virtual_hosts.len());
        for (index, (host, texts)) in table.virtual_hosts.iter().zip(host_texts).enumerate() {
            let place = Place::root_item("virtual_hosts", index);
            let hosts = encoder.list(&texts);
            virtual_hosts.push(VirtualHost {
                hosts,
                no_default_backend: host.no_default_backend,
                ..VirtualHost::encode(&host.routes, &names, &mut encoder, &place)?
            });
        }
        let default = match &table.default_backend {
            None => None,
            Some(target) => {
                let place = Place::root("default_backend");
                let target = names.target(
                    (&target.backend, target.port.as_deref()),
                    (&target.source, &target.count_as),
                    target.plaintext,
                    &mut encoder,
                    &place,
                )?;
                Some(encoder.record(target))
            }
        };
        let (tls_hosts, certificates) = encode_certificates(&table.tls_hosts, &mut encoder)?;
        if table.https_port == 0 {
            return Err(invalid("https_port", "is 0, which is not a valid port; use 1 to 65535"));
        }
        let routes = table.virtual_hosts.iter().map(|host| host.routes.len()).sum::<usize>();
        let root = Root {
            name: encoder.text(&table.name),
            records_route: table.record.contains(&Property::IngressRoute),
            records_rule: table.record.contains(&Property::RouteRule),
            records_fault: table.record.contains(&Property::Fault),
            sanitized_by_envoy: table.sanitized_by_envoy,
            fixed_random: table.fixed_random.map(|random| encoder.record(random)),
            backends: encoder.list(&backends),
            virtual_hosts: encoder.list(&virtual_hosts),
            hosts,
            default,
            tls_hosts: encoder.list(&tls_hosts),
            certificates,
            https_port: table.https_port,
            routes: u32::try_from(routes).unwrap_or(u32::MAX),
        };
        encoder.into_writer().finish(root)
    }
}

fn encode_certificates(
    tls_hosts: &[table::TlsHost],
    encoder: &mut Encoder<'_>,
) -> Result<(Vec<TlsHost>, Hosts), LoadError> {
    let hosts = tls_hosts.iter().map(|host| &*host.hosts);
    let (index, texts) = encode_hosts("tls_hosts", hosts, encoder)?;
    if let Some(index) = index.any {
        return Err(invalid(
            format!("tls_hosts[{index}].hosts"),
            "contains \"*\"; remove it, other hosts use the default certificate",
        ));
    }
    if let Some(index) = tls_hosts.iter().position(|host| host.certificate.is_empty()) {
        return Err(invalid(
            format!("tls_hosts[{index}].certificate"),
            "is empty; write the name of a filter chain",
        ));
    }
    let records = tls_hosts.iter().zip(texts).map(|(host, texts)| TlsHost {
        hosts: encoder.list(&texts),
        certificate: encoder.shared(&host.certificate),
    });
    Ok((records.collect(), index))
}

/// A table of another version may also have unknown fields. The version is the more
/// helpful error.
fn version_error(json: &[u8]) -> Option<LoadError> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_slice(json).ok()?;
    (version != VERSION).then(|| wrong_version(version))
}

fn wrong_version(version: u32) -> LoadError {
    invalid("version", format!("is {version}, but this module supports version {VERSION}"))
}

/// The names that routes can refer to: backends, and the ports of each.
struct Names<'t>(BTreeMap<&'t str, (u32, BTreeMap<&'t str, u32>)>);

impl<'t> Names<'t> {
    fn of(backends: &'t [table::Backend]) -> Result<Self, LoadError> {
        let mut by_name = BTreeMap::new();
        for (index, backend) in (0..).zip(backends) {
            let mut ports = BTreeMap::new();
            for (number, port) in (0..).zip(&backend.ports) {
                if ports.insert(port.name.as_str(), number).is_some() || port.name.is_empty() {
                    return Err(invalid(
                        format!("backends[{index}].ports[{number}].name"),
                        format!(
                            "{:?} is empty or the name of another port; names must differ",
                            port.name
                        ),
                    ));
                }
            }
            if let Some((earlier, _)) = by_name.insert(backend.name.as_str(), (index, ports)) {
                return Err(invalid(
                    format!("backends[{index}].name"),
                    format!(
                        "{:?} is also the name of backends[{earlier}]; names must differ",
                        backend.name
                    ),
                ));
            }
        }
        Ok(Self(by_name))
    }

    fn target(
        &self,
        (backend, port): (&str, Option<&str>),
        (source, count_as): (&str, &str),
        plaintext: Option<Plaintext>,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Target, LoadError> {
        let Some((backend_index, ports)) = self.0.get(backend) else {
            return Err(place
                .field("backend")
                .error(format!("no backend is named {backend:?}; add it")));
        };
        if count_as.contains(' ') {
            let reason = format!(
                "{count_as:?} contains a space, which separates it from the name of the rule; remove it"
            );
            return Err(place.field("count_as").error(reason));
        }
        let port = match port {
            None => None,
            Some(port) => Some(*ports.get(port).ok_or_else(|| {
                place
                    .field("port")
                    .error(format!("no port of backend {backend:?} is named {port:?}; add it"))
            })?),
        };
        Ok(Target {
            backend: *backend_index,
            port,
            source: encoder.text(source),
            count_as: encoder.shared(count_as),
            plaintext: match plaintext {
                None => Served::Always,
                Some(Plaintext::Redirect) => Served::Redirected,
                Some(Plaintext::Refuse) => Served::OnlyByTls,
            },
        })
    }
}

/// Writes the hosts of each item in the table's field `list`, and their index.
fn encode_hosts<'t>(
    list: &str,
    items: impl Iterator<Item = &'t [String]>,
    encoder: &mut Encoder<'_>,
) -> Result<(Hosts, Vec<Vec<Text>>), LoadError> {
    let mut seen = BTreeMap::new();
    let (mut exact, mut wildcard, mut any) = (Vec::new(), Vec::new(), None);
    let mut texts = Vec::with_capacity(items.size_hint().0);
    for (index, hosts) in (0_u32..).zip(items) {
        if hosts.is_empty() {
            return Err(invalid(
                format!("{list}[{index}].hosts"),
                "is empty; add at least one host",
            ));
        }
        let mut own = Vec::with_capacity(hosts.len());
        for (position, host) in hosts.iter().enumerate() {
            let place = || format!("{list}[{index}].hosts[{position}]");
            if let Some(earlier) = seen.insert(host.as_str(), index) {
                return Err(invalid(
                    place(),
                    format!("{host:?} is also in {list}[{earlier}]; merge the two"),
                ));
            }
            let text = encoder.text(host);
            own.push(text);
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
                        "{host:?} is not a valid host; write it in lower case without port, such as foo.example.com or *.example.com"
                    ),
                ));
            }
            // The key of a wildcard is the host without `*.`.
            let skipped = text.len().saturating_sub(u32::try_from(name.len()).unwrap_or(u32::MAX));
            list.push((name.as_bytes(), text.part(skipped, text.len()), Some(index)));
        }
        texts.push(own);
    }
    let keep_first = |_: &mut Option<u32>, _: Option<u32>| {};
    let hosts = Hosts {
        exact: Trie::write(exact, keep_first, encoder),
        wildcard: Trie::write(wildcard, keep_first, encoder),
        any,
    };
    Ok((hosts, texts))
}

impl VirtualHost {
    fn encode(
        routes: &[table::Route],
        names: &Names<'_>,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let mut records = Vec::with_capacity(routes.len());
        let mut entries = Vec::with_capacity(routes.len());
        let mut patterns = Vec::new();
        let keys: Vec<_> = routes.iter().map(|route| route.path.canonical()).collect();
        for ((index, route), key) in (0_u32..).zip(routes).zip(&keys) {
            let place = place.item("routes", index as usize);
            let target = names.target(
                (&route.backend, route.port.as_deref()),
                (&route.source, &route.count_as),
                route.plaintext,
                encoder,
                &place,
            )?;
            let path = encoder.text(route.path.text());
            records.push(Route { kind: PathKind::of(&route.path), path, target });
            let place = place.field("match");
            match PathRoutes::of(key, index) {
                Ok((key_bytes, routes)) => {
                    validate_path(route.path.text(), |reason| place.error(reason))?;
                    let text = match key {
                        Cow::Borrowed(_) => path,
                        Cow::Owned(key) => encoder.text(key.text()),
                    };
                    entries.push((key_bytes, text, routes));
                }
                Err(text) => {
                    let automaton = encoder.automaton(text, &place)?.text;
                    patterns.push((text.len(), PathPattern { route: index, automaton }));
                }
            }
        }
        // The sort is stable, so patterns of the same length keep the table's order.
        patterns.sort_by_key(|(len, _)| Reverse(*len));
        let patterns: Vec<_> = patterns.into_iter().map(|(_, pattern)| pattern).collect();
        Ok(Self {
            hosts: crate::flat::List::EMPTY,
            routes: encoder.list(&records),
            paths: Trie::write(entries, PathRoutes::merge, encoder),
            patterns: encoder.list(&patterns),
            no_default_backend: false,
        })
    }
}

impl PathKind {
    fn of(path: &PathMatch) -> Self {
        match path {
            PathMatch::Exact(_) => Self::Exact,
            PathMatch::Prefix(_) => Self::Prefix,
            PathMatch::StringPrefix(_) => Self::StringPrefix,
            PathMatch::Regex(_) => Self::Regex,
        }
    }
}

impl PathRoutes {
    /// The record of a single route and its key in the trie, or else the regular
    /// expression of the route.
    fn of(path: &PathMatch, route: u32) -> Result<(&[u8], Self), &str> {
        let mut routes = Self::default();
        let text = match path {
            PathMatch::Exact(text) => {
                routes.exact = Some(route);
                text
            }
            PathMatch::StringPrefix(text) => {
                routes.string_prefix = Some(route);
                text
            }
            PathMatch::Prefix(text) => {
                let stem = text.strip_suffix('/');
                routes.prefix = Some(route);
                routes.trailing_slash = stem.is_some();
                stem.unwrap_or(text)
            }
            PathMatch::Regex(text) => return Err(text),
        };
        Ok((text.as_bytes(), routes))
    }

    /// Merges a later entry with the same path. Its routes are used only if they are
    /// more specific or of a kind that is still missing.
    fn merge(&mut self, later: Self) {
        self.exact = self.exact.or(later.exact);
        self.string_prefix = self.string_prefix.or(later.string_prefix);
        let is_better = later.trailing_slash && !self.trailing_slash;
        if later.prefix.is_some() && (self.prefix.is_none() || is_better) {
            self.prefix = later.prefix;
            self.trailing_slash = later.trailing_slash;
        }
    }
}

/// Rejects paths that no request can have after Envoy has normalised its path.
fn validate_path(path: &str, refused: impl FnOnce(String) -> LoadError) -> Result<(), LoadError> {
    if !path.starts_with('/') {
        return Err(refused(format!("{path:?} does not start with /; add it")));
    }
    match path.bytes().find(|byte| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#')) {
        None => Ok(()),
        Some(byte) => Err(refused(format!(
            "{path:?} contains the byte 0x{byte:02x}, which is not allowed in a path; remove it"
        ))),
    }
}
