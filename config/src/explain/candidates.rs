//! Every route of a table, and why it does not serve a request.

use std::fmt;

use ingress_filter::Pattern;
use ingress_filter::table::{PathMatch, Plaintext, Route, RouteTable, VirtualHost};
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

/// All routes of `table`, of which `choice` decides; those of the request's host
/// first.
pub(super) fn of(
    table: &RouteTable,
    authority: &str,
    target: &str,
    choice: Option<Choice>,
) -> Vec<Candidate> {
    let chosen = choice.map(|(place, _)| place);
    let outcome = choice.map(|(_, plaintext)| outcome(plaintext));
    let host = ingress_filter::host_of(authority.as_bytes())
        .map(|host| String::from_utf8_lossy(&host).into_owned());
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let serving = host.as_deref().and_then(|host| serving_host(table, host));
    let mut candidates: Vec<_> = table
        .virtual_hosts
        .iter()
        .enumerate()
        .flat_map(|(host_index, virtual_host)| {
            let hosts = virtual_host.hosts.join(", ");
            let refusal = wrong_host(virtual_host, host.as_deref(), serving);
            virtual_host.routes.iter().enumerate().map(move |(index, route)| {
                let is_it = chosen == Some(RouteIndex::Route(host_index, index));
                let (is_chosen, verdict) = outcome.filter(|_| is_it).unwrap_or_default();
                let verdict = match &refusal {
                    _ if is_it => verdict.into(),
                    Some(refusal) => refusal.clone(),
                    None => wrong_path(&route.path, path).unwrap_or_else(|| match chosen {
                        Some(_) => "matches, but less specifically".into(),
                        None => "matches, but the request is refused whatever its path".into(),
                    }),
                };
                candidate(&hosts, route, is_chosen, verdict)
            })
        })
        .collect();
    candidates.sort_by_key(|candidate| {
        serving.is_none_or(|serving| candidate.host != serving.hosts.join(", "))
    });
    candidates.extend(default_candidate(table, choice));
    candidates
}

/// Whether what is chosen serves the request, and how.
fn outcome(plaintext: Option<Plaintext>) -> (bool, &'static str) {
    match plaintext {
        None => (true, "serves the request"),
        Some(Plaintext::Redirect) => (true, "sends the client to HTTPS"),
        Some(Plaintext::Refuse) => (false, "would serve the request over HTTPS only"),
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

fn default_candidate(table: &RouteTable, choice: Option<Choice>) -> Option<Candidate> {
    let target = table.default_backend.as_ref()?;
    let (is_chosen, verdict) = match choice {
        Some((RouteIndex::Default, None)) => (true, "serves the request, which nothing else does"),
        Some((RouteIndex::Default, plaintext)) => outcome(plaintext),
        _ => (false, "a route serves the request, or none may"),
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

/// Which of the hosts of a virtual host a request's is.
pub(super) fn host_entry<'t>(virtual_host: &'t VirtualHost, authority: &str) -> Option<&'t str> {
    let host = ingress_filter::host_of(authority.as_bytes())?;
    let host = String::from_utf8_lossy(&host);
    let covering = virtual_host.hosts.iter().filter(|name| covers(name, &host));
    // The longest is the most specific: `*` before none, and a name that is
    // written out before a wildcard of one label.
    covering.max_by_key(|name| (**name == *host, name.len())).map(String::as_str)
}

/// The most specific virtual host, found by looking at all of them.
fn serving_host<'t>(table: &'t RouteTable, host: &str) -> Option<&'t VirtualHost> {
    let named = |wanted: &str| {
        table
            .virtual_hosts
            .iter()
            .find(|virtual_host| virtual_host.hosts.iter().any(|name| name == wanted))
    };
    let wildcard = host.split_once('.').map(|(_, suffix)| format!("*.{suffix}"));
    named(host).or_else(|| named(&wildcard?)).or_else(|| named("*"))
}

/// Why a virtual host does not serve the request's host, unless it does.
fn wrong_host(
    virtual_host: &VirtualHost,
    host: Option<&str>,
    serving: Option<&VirtualHost>,
) -> Option<String> {
    let Some(host) = host else { return Some("the request's authority is no host".into()) };
    if serving.is_some_and(|serving| std::ptr::eq(serving, virtual_host)) {
        return None;
    }
    let hosts = virtual_host.hosts.join(", ");
    Some(match serving {
        Some(serving) if virtual_host.hosts.iter().any(|name| covers(name, host)) => {
            format!("host {} is more specific for {host}", serving.hosts.join(", "))
        }
        _ if hosts.starts_with("*.") => {
            format!("{hosts} stands for one label and its suffix, which {host} is not")
        }
        _ => format!("the request is for host {host}, not {hosts}"),
    })
}

fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix('*') {
        None => name == host,
        Some("") => true,
        Some(suffix) => host.find('.').is_some_and(|dot| &host[dot..] == suffix),
    }
}

/// Why a path does not match, unless it does.
fn wrong_path(wanted: &PathMatch, path: &str) -> Option<String> {
    match wanted {
        PathMatch::Exact(text) => (path != text).then(|| format!("{path} is not {text}")),
        PathMatch::StringPrefix(text) => {
            (!path.starts_with(text.as_str())).then(|| format!("{path} does not start with {text}"))
        }
        PathMatch::Regex(text) => {
            let matches = Pattern::new(text).is_ok_and(|pattern| pattern.matches(path.as_bytes()));
            (!matches).then(|| format!("{path} as a whole does not match {text}"))
        }
        PathMatch::Prefix(text) => {
            let stem = text.strip_suffix('/').unwrap_or(text);
            match path.strip_prefix(stem) {
                None => Some(format!("{path} does not start with {text}")),
                Some(rest) if rest.is_empty() || rest.starts_with('/') => None,
                Some(rest) => {
                    Some(format!("{path} goes on with {rest} within the element where {text} ends"))
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
                Some("/foobar goes on with bar within the element where /foo ends"),
            ),
            (PathMatch::Prefix("/foo/".into()), "/foo", None),
            (PathMatch::Prefix("/foo".into()), "/x", Some("/x does not start with /foo")),
            (PathMatch::StringPrefix("/foo".into()), "/foobar", None),
            (PathMatch::Regex("/f(o+)".into()), "/fooo", None),
            (
                PathMatch::Regex("/f(o+)".into()),
                "/fox",
                Some("/fox as a whole does not match /f(o+)"),
            ),
        ] {
            assert_eq!(wrong_path(&wanted, path).as_deref(), expected);
        }
    }
}
