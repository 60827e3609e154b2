//! The condition of a rule on requests (`match`).

use std::borrow::Cow;

use ingress_filter::table::{HeaderMatch, RuleMatch, StringMatch};
use ingress_filter::{Pattern, Subnet, host_of};

use super::service_ref::{Named, Scope};
use super::values::{check_header_name, is_reserved};
use crate::finding::{Code, quote};
use crate::objects::{Cursor, Labels, Place};

/// The condition of a rule.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// The source of the requests; `None` for all sources.
    pub(crate) source: Option<Source>,
    /// The conditions on the request.
    pub(crate) request: RuleMatch,
    /// The regular expressions in these conditions, which may be too large.
    pub(crate) patterns: Vec<ConditionPattern>,
    /// Whether no request can match, which a warning has reported.
    pub(crate) never_holds: bool,
}

/// A regular expression, with its position.
#[derive(Debug)]
pub(crate) struct ConditionPattern {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// The workload from which a request must come. At an ingress, that is the gateway for
/// every request.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// `None` matches any namespace. Istio 0.5 used the namespace of the rule, which is
    /// hardly ever the gateway's.
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Labels,
    pub(crate) place: Place,
}

/// The keys in `headers` that are not names of headers, with the filter's names for them.
/// The last one is the pseudo-header in which Envoy stores a header.
const SPECIAL: [(&str, &str); 5] = [
    ("uri", ":path"),
    ("scheme", ":scheme"),
    ("method", ":method"),
    ("authority", ":authority"),
    ("host", ":authority"),
];

impl Condition {
    pub(super) fn read(cursor: &Cursor<'_>, scope: &Scope) -> Self {
        cursor.only(&["source", "tcp", "udp", "request"]);
        let mut condition = Self::default();
        if let Some(source) = cursor.field("source") {
            condition.source = Source::read(&source, scope);
        }
        if let Some(udp) = cursor.field("udp") {
            udp.report(
                Code::FieldNotSupported,
                "is not supported, because the gateway serves HTTP over TCP; remove it",
            );
        }
        if let Some(tcp) = cursor.mapping_as("tcp", "{sourceSubnet: [10.0.0.0/8]}") {
            condition.read_tcp(&tcp);
        }
        if let Some(request) = cursor.mapping_as("request", "{headers: {uri: {prefix: /api}}}") {
            request.only(&["headers"]);
            if let Some(headers) = request.mapping_as("headers", "{uri: {prefix: /api}}") {
                condition.read_headers(&headers);
            }
        }
        condition
    }

    fn read_tcp(&mut self, tcp: &Cursor<'_>) {
        tcp.only(&["sourceSubnet", "destinationSubnet"]);
        self.request.source_subnets = read_subnets(tcp, "sourceSubnet");
        if !read_subnets(tcp, "destinationSubnet").is_empty() {
            tcp.report_in(
                "destinationSubnet",
                Code::ConditionNeverHolds,
                "never matches, because every request is addressed to the gateway itself, so this rule never applies; remove the condition, or the rule",
            );
            self.never_holds = true;
        }
    }

    fn read_headers(&mut self, headers: &Cursor<'_>) {
        for (key, field) in headers.fields() {
            let special = SPECIAL.iter().find(|(name, _)| *name == &*key.name);
            let name = special.map_or(&*key.name, |(_, name)| *name);
            let is_name = match special {
                Some(_) => Ok(()),
                None => check_header_name(name),
            };
            let value = read_value(&field);
            match (is_name, value) {
                (Err(error), _) => {
                    field.report_at(key.at, Code::HeaderNameNotValid, error.to_string());
                }
                (Ok(()), None) => {}
                (Ok(()), Some(value)) => {
                    let value = if name == ":authority" { of_host(value) } else { value };
                    self.check_reach(name, &value, &field);
                    if let StringMatch::Regex(text) = &value {
                        let place = field.field("regex").map_or(field.place(), |it| it.place());
                        self.patterns.push(ConditionPattern { text: text.clone(), place });
                    }
                    self.request.headers.push(HeaderMatch { name: name.to_owned(), value });
                }
            }
        }
    }

    /// Finds conditions that no request matches.
    fn check_reach(&mut self, name: &str, value: &StringMatch, field: &Cursor<'_>) {
        let plain = match value {
            StringMatch::Exact(text) | StringMatch::Prefix(text) => Some(text.as_str()),
            StringMatch::Regex(_) => None,
        };
        let never = |reason: &str| {
            let message = format!(
                "{reason}, so this rule never applies; correct the condition, or remove the rule"
            );
            field.report(Code::ConditionNeverHolds, message);
            true
        };
        self.never_holds |= match plain {
            Some(host) if name == ":authority" && !may_be_host(value, host) => never(
                "is not a host as requests are compared, in lower case, without port and trailing dot",
            ),
            _ if is_reserved(name) => never("names a header that is removed from every request"),
            Some("") if name == ":path" => {
                field.report(Code::ValueEmpty, "is empty; write a path that starts with /");
                false
            }
            Some(path) if name == ":path" && !path.starts_with('/') => {
                never("does not start with /, as every path does")
            }
            Some(path) if name == ":path" && path.contains(['?', '#']) => {
                never("contains ? or #, but paths are compared without query and fragment")
            }
            _ => false,
        };
    }
}

impl Source {
    fn read(cursor: &Cursor<'_>, scope: &Scope) -> Option<Self> {
        let Named { name, namespace, labels } = Named::read(cursor, scope)?;
        Some(Self { name, namespace, labels, place: cursor.place() })
    }
}

/// A host in the filter's form: in lower case, without a port and a trailing dot.
fn of_host(value: StringMatch) -> StringMatch {
    match value {
        StringMatch::Exact(text) => {
            let host = host_of(text.as_bytes()).map(Cow::into_owned);
            let host = host.and_then(|host| String::from_utf8(host).ok());
            StringMatch::Exact(host.unwrap_or(text))
        }
        StringMatch::Prefix(text) => StringMatch::Prefix(text.to_ascii_lowercase()),
        StringMatch::Regex(text) => StringMatch::Regex(text),
    }
}

/// Whether the host of a request can be `text`, or start with it.
fn may_be_host(value: &StringMatch, text: &str) -> bool {
    let is_of_host = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    match value {
        StringMatch::Exact(_) => host_of(text.as_bytes()).is_some(),
        // A prefix of an IPv6 address in brackets can have other characters.
        StringMatch::Prefix(_) => text.starts_with('[') || text.bytes().all(is_of_host),
        StringMatch::Regex(_) => true,
    }
}

fn read_subnets(tcp: &Cursor<'_>, name: &str) -> Vec<String> {
    let mut subnets = Vec::new();
    for item in tcp.list(name) {
        let cursor = item.cursor();
        let Some(text) = cursor.as_string() else { continue };
        match Subnet::parse(text) {
            Ok(_) => subnets.push(text.to_owned()),
            Err(reason) => {
                cursor.report(Code::SubnetNotValid, format!("{} {reason}", quote(text)));
            }
        }
    }
    subnets
}

/// A `StringMatch`, or a string for an exact match.
fn read_value(cursor: &Cursor<'_>) -> Option<StringMatch> {
    const KINDS: [&str; 3] = ["exact", "prefix", "regex"];
    if let Some(text) = cursor.node().as_str() {
        return Some(StringMatch::Exact(text.to_owned()));
    }
    if cursor.node().as_map().is_none() {
        cursor.wrong_kind("a string, or a mapping with exact, prefix or regex");
        return None;
    }
    cursor.only(&KINDS);
    let mut given = KINDS.iter().filter_map(|kind| Some((*kind, cursor.field(kind)?)));
    let (Some((kind, field)), None) = (given.next(), given.next()) else {
        cursor.report(Code::ConflictingFields, "must have exactly one of exact, prefix and regex");
        return None;
    };
    let text = field.as_string()?.to_owned();
    Some(match kind {
        "exact" => StringMatch::Exact(text),
        "prefix" => StringMatch::Prefix(text),
        _ => {
            let report = |error| field.report(Code::from(&error), error.to_string());
            Pattern::check(&text).map_err(report).ok()?;
            StringMatch::Regex(text)
        }
    })
}
