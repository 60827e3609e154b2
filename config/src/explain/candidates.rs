//! The routes of a table, and the reason why each does not match a request.

use std::fmt;

use ingress_filter::Router;
use ingress_filter::table::{
    Action, Backend, PathMatch, Plaintext, Respond, Route, RouteTable, VirtualHost,
};
use serde::Serialize;

/// A route, and whether it serves the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The host of the route; `*` matches any.
    pub host: String,
    /// The type and text of the path.
    pub path: String,
    /// The backend.
    pub backend: String,
    /// The Ingress that defines it.
    pub ingress: Option<IngressPlace>,
    /// Whether it serves the request.
    pub chosen: bool,
    /// The reason, as a sentence.
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
    /// Parses a source as the compiler writes it: `namespace/name#rule.path`, or
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

/// The syntax that [`IngressPlace::parse`] reads.
impl fmt::Display for IngressPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rule, self.path) {
            (Some(rule), Some(path)) => write!(f, "{}#{rule}.{path}", self.name),
            _ => write!(f, "{}#default", self.name),
        }
    }
}

/// The position in the table of the route that serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RouteIndex {
    /// The index of the virtual host, and that of the route in it.
    Route(usize, usize),
    Default,
}

/// The position of the selected route, and how it handles requests without TLS.
pub(super) type Choice = (RouteIndex, Option<Plaintext>);

/// The parts of a request that select a route, as the router reads them.
struct Asked<'a> {
    /// Without a host, no route may serve the request.
    host: Option<String>,
    path: &'a str,
    /// The indexes of the virtual hosts that match the host; the first one serves.
    covering: Vec<usize>,
    choice: Option<Choice>,
}

/// All routes of `table`, from which `router` was created; those of the request's host
/// first. `choice` is the selected one.
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

    /// The reason why a virtual host does not serve the request's host, if so.
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

    /// Whether each route matches the path. Uses a router in which each route has its
    /// own host, so that none hides another.
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

/// Whether the selected route serves the request, and how.
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

/// The name of a backend, with the port if it has several.
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

/// The reason why a path does not match.
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
