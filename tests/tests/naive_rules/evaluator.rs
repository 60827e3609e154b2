//! The result of a request, directly from the description of the fields.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ingress_tests::random::{Action, Forward, Rule, Test};

use crate::requests::Asked;

/// The decision, in the terms of this test.
pub(crate) type Decided = BTreeMap<String, String>;

pub(crate) fn set(decided: &mut Decided, name: &str, value: impl Into<String>) {
    let value = value.into();
    decided
        .entry(name.to_owned())
        .and_modify(|known| *known = format!("{known},{value}"))
        .or_insert(value);
}

/// The part of the Ingress for a path: the service, and the prefix that matched.
fn ingress(path: &str) -> (&'static str, Option<usize>) {
    match path {
        "/a" => ("two", None),
        path if path.starts_with("/b") => ("two", Some(2)),
        _ => ("one", Some(1)),
    }
}

/// Directly from the description of the fields.
pub(crate) fn naive(rules: &[(String, Rule)], asked: &Asked) -> Decided {
    let (service, prefix) = ingress(&asked.path);
    let mut candidates: Vec<_> = rules.iter().filter(|(_, rule)| rule.service == service).collect();
    candidates.sort_by_key(|(name, rule)| (Reverse(rule.precedence), name));
    let chosen = candidates.into_iter().find(|(_, rule)| holds(rule, asked));
    let mut decided = Decided::new();
    set(&mut decided, "rule", chosen.map_or("none".into(), |(name, _)| format!("default/{name}")));
    match chosen.map(|(_, rule)| (rule, &rule.action)) {
        None => set(&mut decided, "cluster", cluster(service, None)),
        Some((_, Action::Redirect { uri, authority })) => {
            if asked.is_upgrade {
                return refused();
            }
            let path = uri.map_or(asked.path.clone(), str::to_owned);
            let query = if path.contains('?') { "" } else { asked.query };
            let location = format!("http://{}{path}{query}", authority.unwrap_or(asked.authority));
            set(&mut decided, "status", "302");
            set(&mut decided, "> location", location);
        }
        Some((rule, Action::Forward(forward))) => {
            expect(forward, rule, service, prefix, asked, &mut decided);
            if asked.is_upgrade && decided.contains_key("status") {
                return refused();
            }
        }
    }
    decided
}

fn refused() -> Decided {
    [("rule", "none"), ("status", "403")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

/// The random paths have one escape, whose digits have no case.
fn with_upper(path: &str) -> String {
    path.replace("%c3", "%C3")
}

fn holds(rule: &Rule, asked: &Asked) -> bool {
    let is_from = |subnet: &str| match subnet {
        "10.0.0.0/8" => asked.client.starts_with("10."),
        _ => asked.client.starts_with("[2001:db8:"),
    };
    rule.from_gateway
        && rule.subnet.is_none_or(is_from)
        && rule.conditions.iter().all(|(name, test)| {
            let value = match *name {
                "uri" => Some(asked.path.as_str()),
                "method" => Some(asked.method),
                "authority" => {
                    Some(if asked.authority == "o.example" { "o.example" } else { "h.example" })
                }
                name => asked.headers.get(name).map(String::as_str),
            };
            let is_host = *name == "authority";
            value.is_some_and(|value| match test {
                Test::Exact(text) if is_host => value == text.to_lowercase().trim_end_matches('.'),
                Test::Exact(text) if *name == "uri" => with_upper(value) == with_upper(text),
                Test::Exact(text) => value == text,
                Test::Prefix(text) if *name == "uri" => {
                    with_upper(value).starts_with(&with_upper(text))
                }
                Test::Prefix(text) if is_host => value.starts_with(&text.to_lowercase()),
                Test::Prefix(text) => value.starts_with(text.as_str()),
                Test::Regex(text) => regex::bytes::RegexBuilder::new(&format!("^(?:{text})$"))
                    .unicode(false)
                    .build()
                    .expect("a pattern")
                    .is_match(value.as_bytes()),
            })
        })
}

fn cluster(service: &str, version: Option<&str>) -> String {
    let version = version.map(|version| format!("|version={version}")).unwrap_or_default();
    format!("{service}.default.svc.cluster.local|80{version}")
}

fn expect(
    forward: &Forward,
    rule: &Rule,
    service: &str,
    prefix: Option<usize>,
    asked: &Asked,
    decided: &mut Decided,
) {
    if expect_cors(forward, asked, decided) {
        return;
    }
    let mut drawn = u32::try_from(asked.random % 100).expect("below 100");
    let version = forward.route.iter().find(|(_, weight)| {
        let is_it = drawn < *weight;
        drawn = drawn.saturating_sub(*weight);
        is_it
    });
    set(decided, "cluster", cluster(service, version.map(|(version, _)| *version)));
    if let Some((uri, authority)) = forward.rewrite {
        let replaced = match rule.conditions.get("uri") {
            Some(Test::Prefix(text)) => text.len(),
            Some(_) => asked.path.len(),
            None => prefix.unwrap_or(asked.path.len()),
        };
        if let Some(uri) = uri {
            let path = format!("{uri}{}", &asked.path[replaced..]).replace("//", "/");
            if path != asked.path {
                set(decided, ":path", format!("{path}{}", asked.query));
                set(decided, "x-envoy-original-path", format!("{}{}", asked.path, asked.query));
            }
        }
        if let Some(authority) = authority {
            set(decided, ":authority", authority);
        }
    }
    if let Some(ms) = forward.timeout_ms {
        set(decided, "x-envoy-upstream-rq-timeout-ms", ms.to_string());
    }
    if let Some((attempts, per_try)) = forward.retries.filter(|(attempts, _)| *attempts > 0) {
        set(decided, "x-envoy-max-retries", attempts.to_string());
        set(decided, "x-envoy-retry-on", "5xx,connect-failure,refused-stream,retriable-headers");
        if let Some(ms) = per_try {
            set(decided, "x-envoy-upstream-rq-per-try-timeout-ms", ms.to_string());
        }
    }
    if forward.websocket {
        set(decided, "x-ingress-websocket", "1");
    }
    if forward.mirrors {
        set(decided, "x-ingress-mirror", cluster("two", None));
    }
    if forward.appends {
        set(decided, "x-added", "yes");
    }
    let share = u64::from(forward.abort_percent.unwrap_or(0)) * 10_000;
    if asked.random % 1_000_000 >= 1_000_000 - share {
        set(decided, "abort", "418");
    }
}

/// Whether it is a preflight request, so that the filter responds.
fn expect_cors(forward: &Forward, asked: &Asked, decided: &mut Decided) -> bool {
    let Some((any, credentials)) = forward.cors else { return false };
    let origin = asked.headers.get("origin");
    if !any || credentials {
        set(decided, "> vary", "origin");
    }
    let allowed = match origin {
        _ if any && !credentials => "*",
        Some(origin) if any || origin == "https://a.example" => origin,
        _ => return false,
    };
    set(decided, "> access-control-allow-origin", allowed);
    if credentials {
        set(decided, "> access-control-allow-credentials", "true");
    }
    let is_preflight = origin.is_some()
        && asked.method == "OPTIONS"
        && asked.headers.contains_key("access-control-request-method");
    if is_preflight {
        set(decided, "status", "200");
        set(decided, "> access-control-allow-methods", "GET");
    }
    is_preflight
}
