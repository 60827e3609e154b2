//! Every rule of a backend, and why it does not apply to a request.

use std::net::IpAddr;

use ingress_filter::names::SCHEME_HEADER;
use ingress_filter::table::{Backend, HeaderMatch, RuleMatch, StringMatch};
use ingress_filter::{Pattern, Subnet};
use serde::Serialize;

use super::edge::{Headers, joined};

/// A rule, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleVerdict {
    /// What the table calls it: `namespace/name`.
    pub name: String,
    /// Whether it decides.
    pub chosen: bool,
    /// Why it does not, or that it does.
    pub verdict: String,
}

/// What the conditions of a rule are held against.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) headers: &'a Headers,
    pub(super) client: IpAddr,
}

/// All rules of `backend`, of which the one with the index `chosen` decides.
pub(super) fn of(backend: &Backend, chosen: Option<usize>, seen: Seen<'_>) -> Vec<RuleVerdict> {
    let verdict = |index: usize, matches: &RuleMatch| match chosen {
        Some(chosen) if chosen == index => "applies".to_owned(),
        Some(chosen) if chosen < index => "an earlier rule applies".to_owned(),
        _ => seen.failure(matches).unwrap_or_else(|| "does not apply".to_owned()),
    };
    let rules = backend.rules.iter().enumerate();
    rules
        .map(|(index, rule)| RuleVerdict {
            name: rule.name.clone(),
            chosen: chosen == Some(index),
            verdict: verdict(index, &rule.matches),
        })
        .collect()
}

impl Seen<'_> {
    /// The first condition that does not hold, with what there is instead.
    fn failure(self, matches: &RuleMatch) -> Option<String> {
        self.wrong_client(&matches.source_subnets)
            .or_else(|| matches.headers.iter().find_map(|condition| self.wrong_header(condition)))
    }

    fn wrong_client(self, subnets: &[String]) -> Option<String> {
        let is_in =
            |subnet: &String| Subnet::parse(subnet).is_ok_and(|net| net.contains(self.client));
        let is_wrong = !subnets.is_empty() && !subnets.iter().any(is_in);
        is_wrong.then(|| format!("client {} is in none of {}", self.client, subnets.join(", ")))
    }

    fn wrong_header(self, condition: &HeaderMatch) -> Option<String> {
        let Some(value) = self.value(&condition.name) else {
            return Some(format!("header {} is absent", condition.name));
        };
        let what = match condition.name.as_str() {
            ":path" => value.clone(),
            name => match name.strip_prefix(':') {
                Some(pseudo) => format!("{pseudo} {value}"),
                None => format!("header {name}: {value}"),
            },
        };
        match &condition.value {
            StringMatch::Exact(text) => (value != *text).then(|| format!("{what} is not {text}")),
            StringMatch::Prefix(text) => (!value.starts_with(text.as_str()))
                .then(|| format!("{what} does not start with {text}")),
            StringMatch::Regex(text) => {
                let matches =
                    Pattern::new(text).is_ok_and(|pattern| pattern.matches(value.as_bytes()));
                (!matches).then(|| format!("{what} does not match {text}"))
            }
        }
    }

    /// What a rule compares under this name.
    fn value(self, name: &str) -> Option<String> {
        match name {
            ":path" => {
                let target = joined(self.headers, ":path")?;
                target.split('?').next().map(str::to_owned)
            }
            ":scheme" => joined(self.headers, SCHEME_HEADER),
            name => joined(self.headers, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use ingress_filter::table::{Action, Respond, Rule};

    use super::*;

    /// What is said of one rule that is not chosen.
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
        of(&backend, None, seen).remove(0).verdict
    }

    #[test]
    fn a_rule_says_which_condition_failed() {
        for (matches, expected) in [
            (r#"{"source_subnets": ["10.0.0.0/8"]}"#, "client 127.0.0.1 is in none of 10.0.0.0/8"),
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
