//! Random RouteRules, as values and in YAML form.

use std::collections::BTreeMap;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// A condition on a header, or on a part of the request.
#[derive(Clone, Debug)]
pub enum Test {
    /// Exact match.
    Exact(String),
    /// Prefix match.
    Prefix(String),
    /// Regular expression that matches the whole value.
    Regex(&'static str),
}

/// A RouteRule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The service of the rule: `one` or `two`.
    pub service: &'static str,
    /// Its precedence.
    pub precedence: i32,
    /// Conditions by the name of a header, or `uri` or `method`.
    pub conditions: BTreeMap<&'static str, Test>,
    /// The subnet of the client.
    pub subnet: Option<&'static str>,
    /// Whether the source is the gateway; a rule with any other source never
    /// matches.
    pub from_gateway: bool,
    /// The action.
    pub action: Action,
}

/// The action of a rule.
#[derive(Clone, Debug)]
pub enum Action {
    /// A redirect.
    Redirect {
        /// The new path.
        uri: Option<&'static str>,
        /// The new host.
        authority: Option<&'static str>,
    },
    /// The request is forwarded.
    Forward(Forward),
}

/// How a request is forwarded.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Versions and weights; if empty, the service itself.
    pub route: Vec<(&'static str, u32)>,
    /// The new path and host of the request.
    pub rewrite: Option<(Option<&'static str>, Option<&'static str>)>,
    /// The timeout, longer than any response takes.
    pub timeout_ms: Option<u32>,
    /// The number of retries, and the timeout per try.
    pub retries: Option<(u32, Option<u32>)>,
    /// Whether WebSocket is allowed.
    pub websocket: bool,
    /// Whether requests are mirrored to the service `two`.
    pub mirrors: bool,
    /// Whether a header is added.
    pub appends: bool,
    /// The percentage of requests that get status 418.
    pub abort_percent: Option<u32>,
    /// Whether any origin is allowed, and whether credentials are.
    pub cors: Option<(bool, bool)>,
}

fn test() -> impl Strategy<Value = Test> {
    let text = || "[ab/]{1,3}";
    prop_oneof![
        text().prop_map(Test::Exact),
        text().prop_map(Test::Prefix),
        select(vec!["a*", "/(a|b)?", "[^a]*", "", "(a|b/)+", ".*b"]).prop_map(Test::Regex),
    ]
}

/// A condition on `uri` has a value that begins with `/`: other values never match,
/// and the compiler reports them.
fn conditions() -> impl Strategy<Value = BTreeMap<&'static str, Test>> {
    let uri = option::weighted(
        0.5,
        "/([ab/]|%(c3|C3)){0,2}".prop_flat_map(|text| {
            select(vec![Test::Exact(text.clone()), Test::Prefix(text), Test::Regex("/a?b?/?")])
        }),
    );
    let others = prop::collection::btree_map(select(vec!["x-a", "x-b"]), test(), 0..2);
    let method = option::weighted(0.2, select(vec!["GET", "OPTIONS"]));
    let authority = option::weighted(
        0.2,
        select(vec![
            Test::Exact("h.example".into()),
            Test::Exact("H.Example.".into()),
            Test::Prefix("H.".into()),
            Test::Regex("[a-n][.]example"),
        ]),
    );
    (uri, others, method, authority).prop_map(|(uri, mut all, method, authority)| {
        all.extend(authority.map(|test| ("authority", test)));
        all.extend(uri.map(|test| ("uri", test)));
        all.extend(method.map(|method| ("method", Test::Exact(method.into()))));
        all
    })
}

fn forward() -> impl Strategy<Value = Forward> {
    let route = select(vec![
        vec![],
        vec![("v1", 100)],
        vec![("v1", 75), ("v2", 25)],
        vec![("v1", 0), ("v2", 100)],
        vec![("v1", 1), ("v9", 99)],
    ]);
    let rewrite = option::weighted(
        0.3,
        select(vec![
            (Some("/new"), None),
            (Some("/"), None),
            (None, Some("h.example:81")),
            (Some("/x/"), Some("h.example")),
        ]),
    );
    (
        (route, rewrite, option::weighted(0.3, 30_000_u32..90_000)),
        option::weighted(0.3, (0_u32..4, option::of(30_000_u32..40_000))),
        (any::<bool>(), any::<bool>(), any::<bool>()),
        option::weighted(0.3, select(vec![0_u32, 50, 100])),
        option::weighted(0.3, any::<(bool, bool)>()),
    )
        .prop_map(|((route, rewrite, timeout_ms), retries, flags, abort_percent, cors)| {
            Forward {
                route,
                rewrite,
                timeout_ms,
                retries,
                websocket: flags.0,
                mirrors: flags.1,
                appends: flags.2,
                abort_percent,
                cors,
            }
        })
}

/// Any rule.
pub fn rule() -> impl Strategy<Value = Rule> {
    let redirect = select(vec![
        (Some("/new"), None),
        (Some("/new?q=1"), Some("r.example")),
        (None, Some("r.example:81")),
    ]);
    let action = prop_oneof![
        4 => forward().prop_map(Action::Forward),
        1 => redirect.prop_map(|(uri, authority)| Action::Redirect { uri, authority }),
    ];
    (
        select(vec!["one", "two"]),
        -1..2,
        conditions(),
        option::weighted(0.2, select(vec!["10.0.0.0/8", "2001:db8::/32"])),
        prop::bool::weighted(0.9),
        action,
    )
        .prop_map(|(service, precedence, conditions, subnet, from_gateway, action)| Rule {
            service,
            precedence,
            conditions,
            subnet,
            from_gateway,
            action,
        })
}

/// The RouteRule as a manifest. The names of services begin with `prefix`.
pub fn manifest(name: &str, rule: &Rule, prefix: &str) -> Value {
    let mut headers = serde_json::Map::new();
    for (name, test) in &rule.conditions {
        let test = match test {
            Test::Exact(text) => json!({ "exact": text }),
            Test::Prefix(text) => json!({ "prefix": text }),
            Test::Regex(text) => json!({ "regex": text }),
        };
        headers.insert((*name).to_owned(), test);
    }
    let mut spec = json!({
        "destination": {"name": format!("{prefix}{}", rule.service)},
        "precedence": rule.precedence,
        "match": {"source": {"name": if rule.from_gateway { "istio-ingress" } else { "pilot" }}},
    });
    if !headers.is_empty() {
        spec["match"]["request"] = json!({ "headers": headers });
    }
    if let Some(subnet) = rule.subnet {
        spec["match"]["tcp"] = json!({"sourceSubnet": [subnet]});
    }
    match &rule.action {
        Action::Redirect { uri, authority } => {
            spec["redirect"] = json!({"uri": uri, "authority": authority});
        }
        Action::Forward(forward) => forward.write(&mut spec, prefix),
    }
    json!({"apiVersion": "config.istio.io/v1alpha2", "kind": "RouteRule", "metadata": {"name": name}, "spec": spec})
}

impl Forward {
    fn write(&self, spec: &mut Value, prefix: &str) {
        if !self.route.is_empty() {
            let route = self.route.iter();
            spec["route"] = route
                .map(|(version, weight)| json!({"labels": {"version": version}, "weight": weight}))
                .collect();
        }
        if let Some((uri, authority)) = self.rewrite {
            spec["rewrite"] = json!({"uri": uri, "authority": authority});
        }
        if let Some(ms) = self.timeout_ms {
            spec["httpReqTimeout"] = json!({"simpleTimeout": {"timeout": format!("{ms}ms")}});
        }
        if let Some((attempts, per_try)) = self.retries {
            let per_try = per_try.map(|ms| format!("{ms}ms"));
            spec["httpReqRetries"] =
                json!({"simpleRetry": {"attempts": attempts, "perTryTimeout": per_try}});
        }
        if self.websocket {
            spec["websocketUpgrade"] = json!(true);
        }
        if self.mirrors {
            spec["mirror"] = json!({"name": format!("{prefix}two")});
        }
        if self.appends {
            spec["appendHeaders"] = json!({"x-added": "yes"});
        }
        if let Some(percent) = self.abort_percent {
            spec["httpFault"] = json!({"abort": {"percent": percent, "httpStatus": 418}});
        }
        if let Some((any, credentials)) = self.cors {
            let origin = if any { "*" } else { "https://a.example" };
            spec["corsPolicy"] = json!({"allowOrigin": [origin], "allowCredentials": credentials, "allowMethods": ["GET"]});
        }
    }
}
