//! Each route of a table, and why it does not match a request.

use std::fmt;

use ingress_filter::Router;
use ingress_filter::table::{
    Action, Backend, PathMatch, Plaintext, Respond, Route, RouteTable, VirtualHost,
};
use serde::Serialize;

/// A route, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The host it is for; `*` is any.
    pub host: String,
    /// How its path matches.
    pub path: String,
    /// The backend it leads to.
    pub backend: String,
    /// The Ingress it comes from.
    pub ingress: Option<IngressPlace>,
    /// Whether it serves the request.
    pub chosen: bool,
    /// Why it does not, or that it does.
    pub verdict: String,
}

/// A path of an Ingress; its default backend has neither index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IngressPlace {
    /// `namespace/name`.
    pub name: String,
    /// The index of the rule.
    pub rule: Option<usize>,
    /// The index of the path within the rule.
    pub path: Option<usize>,
}

impl IngressPlace {
    /// Reads what the compiler writes: `namespace/name#rule.path`, or
    /// `namespace/name#default`.
    pub fn parse(source: &str) -> Option<Self> {
        let (name, place) = source.split_once('#')?;
        let (rule, path) = match place.split_once('.') {
            None => (None, None),
            Some((rule, path)) => (Some(rule.parse().ok()?), Some(path.parse().ok()?)),
        };
        Some(Self { name: name.to_owned(), rule, path })
    }
}

/// As [`IngressPlace::parse`] reads it.
impl fmt::Display for IngressPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rule, self.path) {
            (Some(rule), Some(path)) => write!(f, "{}#{rule}.{path}", self.name),
            _ => write!(f, "{}#default", self.name),
        }
    }
}

/// Where in a table what serves a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RouteIndex {
    /// The index of the virtual host, and that of the route in it.
    Route(usize, usize),
    Default,
}

/// The place that decides, and what it does where the request came without TLS.
pub(super) type Choice = (RouteIndex, Option<Plaintext>);

/// What of a request routes are chosen by, and what the router makes of it.
struct Asked<'a> {
    /// Without one, nothing may serve the request.
    host: Option<String>,
    path: &'a str,
    /// The indexes of the virtual hosts that the host is one of; the first serves.
    covering: Vec<usize>,
    choice: Option<Choice>,
}

/// All routes of `table`, which `router` is made of; those of the request's host
/// first. Of them, `choice` decides.
pub(super) fn of(
    table: &RouteTable,
    router: &Router,
    (authority, target): (&str, &str),
    choice: Option<Choice>,
) -> Vec<Candidate> {
    let authority = authority.as_bytes();
    let hosts = router.hosts_of(authority).unwrap_or_default();
    let asked = Asked {
        host: ingress_filter::host_of(authority)
            .map(|host| String::from_utf8_lossy(&host).into_owned()),
        path: target.split(['?', '#']).next().unwrap_or_default(),
        covering: hosts.into_iter().map(|(index, _)| index).collect(),
        choice,
    };
    let mut indexes: Vec<_> = (0..table.virtual_hosts.len()).collect();
    indexes.sort_by_key(|index| asked.covering.first() != Some(index));
    let of_hosts = indexes.into_iter().flat_map(|index| asked.of_host(table, index));
    let serving = asked.covering.first().and_then(|index| table.virtual_hosts.get(*index));
    let is_excluded = serving.is_some_and(|host| host.no_default_backend);
    of_hosts.chain(default_candidate(table, choice, is_excluded)).collect()
}

impl Asked<'_> {
    fn of_host(&self, table: &RouteTable, host_index: usize) -> Vec<Candidate> {
        let VirtualHost { hosts, routes, .. } = &table.virtual_hosts[host_index];
        let refusal = self.wrong_host(table, host_index);
        let matches = if refusal.is_none() { self.matches(routes) } else { Vec::new() };
        let verdict = |index, route: &Route| match (self.choice, &refusal) {
            (Some((place, plaintext)), _) if place == RouteIndex::Route(host_index, index) => {
                let (chosen, verdict) = outcome(plaintext);
                (chosen, verdict.to_owned())
            }
            (_, Some(refusal)) => (false, refusal.clone()),
            _ if matches.get(index) == Some(&false) => (false, mismatch(&route.path, self.path)),
            (Some(_), None) => (false, "matches, but another route is more specific".into()),
            (None, None) => (false, "matches, but the request is rejected for any path".into()),
        };
        let hosts = hosts.join(", ");
        let routes = routes.iter().enumerate();
        routes
            .map(|(index, route)| {
                let (chosen, verdict) = verdict(index, route);
                candidate(&hosts, route, chosen, verdict)
            })
            .collect()
    }

    /// Why a virtual host does not serve the request's host, unless it does.
    fn wrong_host(&self, table: &RouteTable, index: usize) -> Option<String> {
        let Some(host) = &self.host else {
            return Some("the request's authority is not a host".into());
        };
        let hosts = |index: usize| table.virtual_hosts[index].hosts.join(", ");
        let (own, serving) = (hosts(index), self.covering.first().copied());
        match serving {
            Some(serving) if serving == index => None,
            Some(serving) if self.covering.contains(&index) => {
                Some(format!("host {} is more specific for {host}", hosts(serving)))
            }
            _ if own.starts_with("*.") => {
                Some(format!("{own} matches one label and its suffix, but not {host}"))
            }
            _ => Some(format!("the request is for host {host}, not {own}")),
        }
    }

    /// Whether each route matches the path: asked of a router where each has a
    /// host of its own, so that none hides another.
    fn matches(&self, routes: &[Route]) -> Vec<bool> {
        let name = String::from("any");
        let alone = |(index, route): (usize, &Route)| VirtualHost {
            hosts: vec![index.to_string()],
            routes: vec![Route { backend: name.clone(), port: None, ..route.clone() }],
            no_default_backend: false,
        };
        let default = Action::Respond(Respond { status: 404 });
        let backend = Backend { name: name.clone(), ports: vec![], rules: vec![], default };
        let table = RouteTable {
            backends: vec![backend],
            virtual_hosts: routes.iter().enumerate().map(alone).collect(),
            ..RouteTable::empty()
        };
        let Ok(asked) = Router::new(&table) else { return Vec::new() };
        let find = |index: usize| asked.find(index.to_string().as_bytes(), self.path.as_bytes());
        (0..routes.len()).map(|index| matches!(find(index), Ok(Some(_)))).collect()
    }
}

/// Whether what is chosen serves the request, and how.
fn outcome(plaintext: Option<Plaintext>) -> (bool, &'static str) {
    match plaintext {
        None => (true, "serves the request"),
        Some(Plaintext::Redirect) => (true, "redirects to HTTPS"),
        Some(Plaintext::Refuse) => (false, "serves the request only over HTTPS"),
    }
}

fn candidate(hosts: &str, route: &Route, chosen: bool, verdict: String) -> Candidate {
    Candidate {
        host: hosts.to_owned(),
        path: route.path.to_string(),
        backend: backend_name(&route.backend, route.port.as_deref()),
        ingress: IngressPlace::parse(&route.source),
        chosen,
        verdict,
    }
}

/// A backend as people know it: with the port, where it has several.
fn backend_name(backend: &str, port: Option<&str>) -> String {
    port.map_or_else(|| backend.to_owned(), |port| format!("{backend}:{port}"))
}

fn default_candidate(
    table: &RouteTable,
    choice: Option<Choice>,
    is_excluded: bool,
) -> Option<Candidate> {
    let target = table.default_backend.as_ref()?;
    let (is_chosen, verdict) = match choice {
        Some((RouteIndex::Default, None)) => (true, "serves the request, because no route matches"),
        Some((RouteIndex::Default, plaintext)) => outcome(plaintext),
        _ if is_excluded => (false, "another namespace owns the host"),
        _ => (false, "a route matches, or the request is rejected"),
    };
    Some(Candidate {
        host: "*".into(),
        path: "default backend".into(),
        backend: backend_name(&target.backend, target.port.as_deref()),
        ingress: IngressPlace::parse(&target.source),
        chosen: is_chosen,
        verdict: verdict.into(),
    })
}

/// How a path differs from one that it does not match.
fn mismatch(wanted: &PathMatch, path: &str) -> String {
    match wanted {
        PathMatch::Exact(text) => format!("{path} is not {text}"),
        PathMatch::StringPrefix(text) => format!("{path} does not start with {text}"),
        PathMatch::Regex(text) => format!("the whole of {path} does not match {text}"),
        PathMatch::Prefix(text) => {
            match path.strip_prefix(text.strip_suffix('/').unwrap_or(text)) {
                None => format!("{path} does not start with {text}"),
                Some(rest) => {
                    format!("{path} continues with {rest} in the last element of {text}")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_its_place() {
        let place = |rule, path| Some(IngressPlace { name: "ns/web".into(), rule, path });
        assert_eq!(IngressPlace::parse("ns/web#2.10"), place(Some(2), Some(10)));
        assert_eq!(IngressPlace::parse("ns/web#default"), place(None, None));
        assert_eq!(IngressPlace::parse("by hand"), None);
        for source in ["ns/web#2.10", "ns/web#default"] {
            assert_eq!(IngressPlace::parse(source).unwrap().to_string(), source);
        }
    }

    #[test]
    fn a_path_that_does_not_match_says_why() {
        for (wanted, path, expected) in [
            (PathMatch::Exact("/a".into()), "/b", Some("/b is not /a")),
            (
                PathMatch::Prefix("/foo".into()),
                "/foobar",
                Some("/foobar continues with bar in the last element of /foo"),
            ),
            (PathMatch::Prefix("/foo/".into()), "/foo", None),
            (PathMatch::Prefix("/foo".into()), "/x", Some("/x does not start with /foo")),
            (PathMatch::StringPrefix("/foo".into()), "/foobar", None),
            (PathMatch::Regex("/f(o+)".into()), "/fooo", None),
            (
                PathMatch::Regex("/f(o+)".into()),
                "/fox",
                Some("the whole of /fox does not match /f(o+)"),
            ),
        ] {
            let asked = Asked { host: None, path, covering: Vec::new(), choice: None };
            let route = serde_json::json!({"match": wanted, "backend": "web"});
            let matches = asked.matches(&[serde_json::from_value(route).unwrap()]);
            assert_eq!(matches, [expected.is_none()], "{wanted} {path}");
            assert!(expected.is_none_or(|expected| mismatch(&wanted, path) == expected));
        }
    }
}
