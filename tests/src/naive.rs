//! Matches a request by checking every route and rule of a JSON table, directly
//! from the specification of hosts, paths and conditions. The oracle of random
//! tests and fuzz targets.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use ingress_filter::table::{Backend, PathMatch, Plaintext, Route, Rule, StringMatch};
use ingress_filter::{Request, RouteTable, Subnet};
use regex::bytes::{Captures, Regex};

/// The result for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served<'t> {
    /// The source of the route.
    pub source: &'t str,
    /// The name of the backend.
    pub backend: &'t str,
    /// The handling of requests without TLS.
    pub plaintext: Option<Plaintext>,
}

/// The host in an authority: in lower case, without the port and without the
/// trailing dot of an absolute name. `None` if the authority is malformed.
pub fn host(authority: &[u8]) -> Option<String> {
    let authority = std::str::from_utf8(authority).ok()?.to_ascii_lowercase();
    if authority.is_empty() {
        return Some(authority);
    }
    let end = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
    let colon = authority[end..].find(':').map(|colon| end + colon);
    let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
    let digits = port.strip_prefix(':').unwrap_or_default();
    if digits.len() > 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_host = if end > 0 {
        end == host.len() && host[1..end - 1].parse::<Ipv6Addr>().is_ok()
    } else {
        let is_label = |label: &str| {
            let is_in_labels = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !label.is_empty() && label.chars().all(is_in_labels)
        };
        host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
    };
    let absolute = if end > 0 { host } else { host.strip_suffix('.').unwrap_or(host) };
    is_host.then(|| absolute.to_owned())
}

/// The path in a request target, without the query.
pub fn path(target: &[u8]) -> &[u8] {
    target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

/// The route for a host and a path.
pub fn route<'t>(table: &'t RouteTable, host: &str, path: &[u8]) -> Option<Served<'t>> {
    let has =
        |wanted: &str| table.virtual_hosts.iter().find(|v| v.hosts.iter().any(|h| h == wanted));
    let wildcard = host.split_once('.').map(|(_, suffix)| format!("*.{suffix}"));
    let virtual_host = has(host).or_else(|| has(&wildcard?)).or_else(|| has("*"));
    let routes = virtual_host.map_or(&[][..], |v| &v.routes);
    let best =
        routes.iter().enumerate().filter(|(_, route)| matches(&route.path, path)).max_by_key(
            |(index, Route { path, .. })| {
                let elements = path.text().trim_end_matches('/').matches('/').count();
                let exact = matches!(path, PathMatch::Exact(_));
                let prefix = matches!(path, PathMatch::Prefix(_));
                // Compared last, and only by length.
                let literal = !matches!(path, PathMatch::Regex(_));
                let elements = if literal { elements } else { 0 };
                (literal, exact, elements, path.text().len(), prefix, Reverse(*index))
            },
        );
    let default = table.default_backend.as_ref();
    let default = default.filter(|_| !virtual_host.is_some_and(|v| v.no_default_backend));
    best.map(|(_, route)| Served {
        source: &route.source,
        backend: &route.backend,
        plaintext: route.plaintext,
    })
    .or(default.map(|target| Served {
        source: &target.source,
        backend: &target.backend,
        plaintext: target.plaintext,
    }))
}

/// The certificate of a host.
pub fn certificate<'t>(table: &'t RouteTable, host: &str) -> Option<&'t str> {
    let has = |wanted: &str| table.tls_hosts.iter().find(|t| t.hosts.iter().any(|h| h == wanted));
    let wildcard = host.split_once('.').map(|(_, suffix)| format!("*.{suffix}"));
    has(host).or_else(|| has(&wildcard?)).map(|tls_host| &*tls_host.certificate)
}

fn matches(route: &PathMatch, path: &[u8]) -> bool {
    let text = with_upper_escapes(route.text().as_bytes());
    let upper = with_upper_escapes(path);
    match route {
        PathMatch::Exact(_) => upper == text,
        PathMatch::StringPrefix(_) => upper.starts_with(&text),
        PathMatch::Prefix(_) => {
            let text = text.strip_suffix(b"/").unwrap_or(&text);
            upper.strip_prefix(text).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
        }
        PathMatch::Regex(text) => is_match(text, path),
    }
}

/// The digits of percent-encoded bytes have no case.
fn with_upper_escapes(path: &[u8]) -> Vec<u8> {
    static ESCAPE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("%[0-9A-Fa-f]{2}").expect("an expression"));
    let upper = |found: &Captures<'_>| found[0].to_ascii_uppercase();
    ESCAPE.replace_all(path, upper).into_owned()
}

/// The first rule of a backend whose conditions all match.
///
/// # Panics
/// If a condition is not valid in a table.
pub fn rule<'t>(backend: &'t Backend, request: &impl Request) -> Option<&'t Rule> {
    backend.rules.iter().find(|Rule { matches, .. }| {
        let is_from = |subnet: &String| {
            let client = request.client().and_then(|client| address(&client));
            let subnet = Subnet::parse(subnet).expect("a network");
            client.is_some_and(|client| subnet.contains(client))
        };
        (matches.source_subnets.is_empty() || matches.source_subnets.iter().any(is_from))
            && matches.headers.iter().all(|condition| {
                let is_path = condition.name == ":path";
                let compared = |text: &[u8]| {
                    if is_path { with_upper_escapes(text) } else { text.to_vec() }
                };
                value(&condition.name, request).is_some_and(|value| match &condition.value {
                    StringMatch::Exact(text) => compared(&value) == compared(text.as_bytes()),
                    StringMatch::Prefix(text) => {
                        compared(&value).starts_with(&compared(text.as_bytes()))
                    }
                    StringMatch::Regex(text) => is_match(text, &value),
                })
            })
    })
}

/// The value that a condition with this name compares.
fn value(name: &str, request: &impl Request) -> Option<Vec<u8>> {
    match name {
        ":path" => request.first_value(":path").map(|target| path(&target).to_vec()),
        ":scheme" => request.first_value("x-forwarded-proto").map(Into::into),
        ":authority" => host(&request.first_value(name)?).map(String::into_bytes),
        ":method" => request.first_value(name).map(Into::into),
        name => request.header(name).map(Into::into),
    }
}

fn address(client: &[u8]) -> Option<IpAddr> {
    let client: SocketAddr = std::str::from_utf8(client).ok()?.parse().ok()?;
    Some(client.ip())
}

/// Whether a regular expression matches a whole value.
fn is_match(text: &str, value: &[u8]) -> bool {
    let build = |whole: String| regex::bytes::RegexBuilder::new(&whole).unicode(false).build();
    let pattern = build(format!("^(?:{text})$"));
    // For a pattern that ends in a comment.
    let pattern = pattern.or_else(|_| build(format!("^(?:{text}\n)$")));
    pattern.expect("a pattern").is_match(value)
}
