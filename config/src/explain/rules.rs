//! The rules of a backend, and the reason why each does not match a request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use ingress_filter::table::{Backend, HeaderMatch, RuleMatch, StringMatch};
use ingress_filter::{LoadError, Request, Router, Unmet};
use serde::Serialize;

use super::edge::{Headers, joined};

/// A rule, and whether it applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleVerdict {
    /// Its name in the table: `namespace/name`.
    pub name: String,
    /// Whether it applies.
    pub chosen: bool,
    /// The reason, as a sentence.
    pub verdict: String,
}

/// The parts of a request that conditions of rules use.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) headers: &'a Headers,
    pub(super) client: IpAddr,
}

impl Request for Seen<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        joined(self.headers, name).map(|value| value.into_bytes().into())
    }

    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let (_, value) = self.headers.iter().find(|(candidate, _)| candidate == name)?;
        Some(value.as_bytes().into())
    }

    fn client(&self) -> Option<Cow<'_, [u8]>> {
        Some(SocketAddr::new(self.client, 0).to_string().into_bytes().into())
    }

    fn filter_chain(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn server_name(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn random(&self) -> u64 {
        0
    }
}

/// All rules of `backend`, which has an index in the table of `router`. `chosen` is the
/// index of the rule that applies.
pub(super) fn of(
    (index, backend): (usize, &Backend),
    chosen: Option<usize>,
    router: &Router,
    seen: Seen<'_>,
) -> Result<Vec<RuleVerdict>, LoadError> {
    let unmet = router.unmet(index, &seen)?;
    let verdict = |index: usize, matches: &RuleMatch, unmet: &Unmet| match chosen {
        Some(chosen) if chosen == index => "applies".to_owned(),
        Some(chosen) if chosen < index => "an earlier rule applies".to_owned(),
        _ => failure(matches, unmet, seen.client).unwrap_or_else(|| "does not apply".to_owned()),
    };
    let rules = backend.rules.iter().zip(&unmet).enumerate();
    Ok(rules
        .map(|(index, (rule, unmet))| RuleVerdict {
            name: rule.name.clone(),
            chosen: chosen == Some(index),
            verdict: verdict(index, &rule.matches, unmet),
        })
        .collect())
}

/// The first condition that is not met, in the order of the table.
fn failure(matches: &RuleMatch, unmet: &Unmet, client: IpAddr) -> Option<String> {
    if unmet.client {
        let subnets = matches.source_subnets.join(", ");
        return Some(format!("client address {client} is not in {subnets}"));
    }
    let unmet = |condition| unmet.headers.iter().find(|(unmet, _)| unmet == condition);
    let (condition, value) = matches.headers.iter().find_map(unmet)?;
    let value = value.as_deref().map(String::from_utf8_lossy);
    Some(mismatch(condition, value.as_deref()))
}

/// The reason why a value does not meet a condition.
fn mismatch(HeaderMatch { name, value: wanted }: &HeaderMatch, value: Option<&str>) -> String {
    let Some(value) = value else { return format!("header {name} is absent") };
    let what = match name.strip_prefix(':') {
        Some("path") => value.to_owned(),
        Some(pseudo) => format!("{pseudo} {value}"),
        None => format!("header {name}: {value}"),
    };
    match wanted {
        StringMatch::Exact(text) => format!("{what} is not {text}"),
        StringMatch::Prefix(text) => format!("{what} does not start with {text}"),
        StringMatch::Regex(text) => format!("{what} does not match {text}"),
    }
}

#[cfg(test)]
mod tests {
    use ingress_filter::RouteTable;
    use ingress_filter::names::SCHEME_HEADER;
    use ingress_filter::table::{Action, Respond, Rule};

    use super::*;

    /// The reason reported for one rule that does not apply.
    fn failure(matches: &str) -> String {
        let headers = [
            (":method", "GET"),
            (":authority", "a.example"),
            (":path", "/delay/x?y"),
            (SCHEME_HEADER, "http"),
            ("x-user", "jason"),
            ("x-user", "jane"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let seen = Seen { headers: &headers, client: "127.0.0.1".parse().unwrap() };
        let rule = Rule {
            name: "ns/r".into(),
            matches: serde_json::from_str(matches).unwrap(),
            action: Action::Respond(Respond { status: 503 }),
        };
        let default = rule.action.clone();
        let backend = Backend { name: "b".into(), ports: Vec::new(), rules: vec![rule], default };
        let table = RouteTable { backends: vec![backend.clone()], ..RouteTable::empty() };
        let router = Router::new(&table).unwrap();
        of((0, &backend), None, &router, seen).unwrap().remove(0).verdict
    }

    #[test]
    fn a_rule_says_which_condition_failed() {
        for (matches, expected) in [
            (
                r#"{"source_subnets": ["10.0.0.0/8"]}"#,
                "client address 127.0.0.1 is not in 10.0.0.0/8",
            ),
            (
                r#"{"headers": [{"name": "x-no", "value": {"exact": "1"}}]}"#,
                "header x-no is absent",
            ),
            (
                r#"{"headers": [{"name": ":method", "value": {"exact": "POST"}}]}"#,
                "method GET is not POST",
            ),
            (
                r#"{"headers": [{"name": ":path", "value": {"prefix": "/status/"}}]}"#,
                "/delay/x does not start with /status/",
            ),
            (
                r#"{"headers": [{"name": ":path", "value": {"regex": "/[a-z]+/.*"}},
                                {"name": ":scheme", "value": {"exact": "https"}}]}"#,
                "scheme http is not https",
            ),
            (
                r#"{"headers": [{"name": "x-user", "value": {"regex": "jason"}}]}"#,
                "header x-user: jason,jane does not match jason",
            ),
            ("{}", "does not apply"),
        ] {
            assert_eq!(failure(matches), expected, "{matches}");
        }
    }
}
