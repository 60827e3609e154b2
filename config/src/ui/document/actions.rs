//! Conditions and actions of rules, in words.

use ingress_filter::table::{
    self, AbortStatus, Cors, Destination, Fault, Forward, HeaderMatch, Redirect, RuleMatch,
    StringMatch, Timeout,
};
use serde::Serialize;

/// What happens with a request.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Action {
    /// `forward`, `redirect` or `respond`.
    kind: &'static str,
    /// The clusters, one of which is picked by weight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Target>,
    /// What an action without a cluster does, such as `responds with 404`.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// What else it does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
}

/// One of several clusters.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Target {
    /// Without one, the response is 503.
    cluster: Option<String>,
    /// In percent of all; none for the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<String>,
}

/// The conditions, all of which have to hold.
pub(super) fn conditions(matches: &RuleMatch) -> Vec<String> {
    let subnets = &matches.source_subnets;
    let client = (!subnets.is_empty()).then(|| format!("client in {}", subnets.join(" or ")));
    client.into_iter().chain(matches.headers.iter().map(condition)).collect()
}

fn condition(HeaderMatch { name, value }: &HeaderMatch) -> String {
    let what = match &**name {
        ":method" => "method",
        ":authority" => "host",
        ":path" => "path",
        ":scheme" => "scheme",
        name => &format!("header {name}"),
    };
    match value {
        StringMatch::Exact(text) => format!("{what} is {text}"),
        StringMatch::Prefix(text) => format!("{what} starts with {text}"),
        StringMatch::Regex(text) => format!("{what} matches {text}"),
    }
}

impl Action {
    pub(super) fn of(action: &table::Action) -> Self {
        match action {
            table::Action::Forward(forward) => Self {
                kind: "forward",
                targets: targets(&forward.cluster),
                summary: None,
                details: details(forward),
            },
            table::Action::Redirect(redirect) => Self {
                kind: "redirect",
                targets: Vec::new(),
                summary: Some(redirection(redirect)),
                details: redirect.cors.iter().map(cors).collect(),
            },
            table::Action::Respond(respond) => Self {
                kind: "respond",
                targets: Vec::new(),
                summary: Some(format!("responds with {}", respond.status)),
                details: Vec::new(),
            },
        }
    }
}

fn targets(destination: &Destination) -> Vec<Target> {
    match destination {
        Destination::Cluster(name) => vec![Target { cluster: Some(name.clone()), percent: None }],
        Destination::Split(shares) => {
            let sum: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
            let target = |share: &table::Share| Target {
                cluster: share.cluster.clone(),
                percent: Some(percent(share.weight.into(), sum)),
            };
            shares.iter().map(target).collect()
        }
    }
}

/// A part of `all`, in percent with at most four decimals.
fn percent(part: u64, all: u64) -> String {
    let parts = u128::from(part) * 1_000_000 / u128::from(all.max(1));
    let (whole, rest) = (parts / 10_000, parts % 10_000);
    let decimals = format!("{whole}.{rest:04}");
    let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
    format!("{decimals} %")
}

fn redirection(Redirect { path, authority, .. }: &Redirect) -> String {
    match (authority, path) {
        (Some(host), Some(path)) => format!("redirects to {host}{path}"),
        (Some(host), None) => format!("redirects to the same path of {host}"),
        (None, Some(path)) => format!("redirects to {path}"),
        (None, None) => "redirects".into(),
    }
}

fn details(forward: &Forward) -> Vec<String> {
    let Forward { timeout, retries, rewrite, mirror, append_headers, fault, .. } = forward;
    let rewrite = rewrite.as_ref();
    let path = rewrite.and_then(|rewrite| rewrite.path.as_ref());
    let host = rewrite.and_then(|rewrite| rewrite.authority.as_ref());
    let headers =
        append_headers.iter().map(|it| Some(format!("adds the header {}: {}", it.name, it.value)));
    let faults = fault.iter().flat_map(faults).map(Some);
    [
        path.map(|path| format!("rewrites the matched part of the path to {path}")),
        host.map(|host| format!("rewrites the host to {host}")),
        timeout.as_ref().map(|it| format!("timeout: {}{}", duration(it.ms), overridden(it))),
        retries.as_ref().map(|it| match it.per_try_timeout_ms {
            Some(ms) => format!("retries: at most {}, {} per try", it.attempts, duration(ms)),
            None => format!("retries: at most {}", it.attempts),
        }),
        mirror.as_ref().map(|cluster| format!("mirrors to {cluster}")),
        forward.websocket.then(|| "allows WebSocket".to_owned()),
        forward.session_cookie.as_ref().map(|name| format!("sticky by the cookie {name}")),
        forward.cors.as_ref().map(cors),
    ]
    .into_iter()
    .chain(headers)
    .chain(faults)
    .flatten()
    .collect()
}

fn overridden(timeout: &Timeout) -> String {
    let header = timeout.override_header.as_ref();
    header.map(|name| format!(", or the header {name}")).unwrap_or_default()
}

fn duration(ms: u32) -> String {
    if ms.is_multiple_of(1_000) { format!("{} s", ms / 1_000) } else { format!("{ms} ms") }
}

fn cors(cors: &Cors) -> String {
    format!("CORS for {}", cors.allow_origins.join(", "))
}

fn faults(Fault { delay, abort }: &Fault) -> Vec<String> {
    let of = |per_million: u32| percent(per_million.into(), 1_000_000);
    let delay = delay.as_ref().map(|delay| {
        format!("delays {} of the requests by {}", of(delay.per_million), duration(delay.ms))
    });
    let abort = abort.as_ref().map(|abort| {
        let status = match abort.status {
            AbortStatus::Http(status) => status.to_string(),
            AbortStatus::Grpc(status) => format!("gRPC status {status}"),
        };
        format!("answers {} of the requests with {status}", of(abort.per_million))
    });
    delay.into_iter().chain(abort).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn described(action: Value) -> Value {
        serde_json::to_value(Action::of(&serde_json::from_value(action).unwrap())).unwrap()
    }

    #[test]
    fn everything_that_an_action_does_is_described() {
        let action = json!({"forward": {
            "cluster": [{"cluster": "v1", "weight": 2}, {"weight": 1}],
            "timeout": {"ms": 1500, "override_header": "x-timeout"},
            "retries": {"attempts": 3, "per_try_timeout_ms": 2000},
            "rewrite": {"path": "/new", "authority": "b.example"},
            "websocket": true,
            "mirror": "v2",
            "append_headers": [{"name": "x-a", "value": "1"}],
            "cors": {"allow_origins": ["https://a.example"]},
            "fault": {
                "delay": {"per_million": 1_000_000, "ms": 250},
                "abort": {"per_million": 5, "status": {"grpc": 14}},
            },
            "session_cookie": "sid",
        }});
        let expected = json!({
            "kind": "forward",
            "targets": [
                {"cluster": "v1", "percent": "66.6666 %"},
                {"cluster": null, "percent": "33.3333 %"},
            ],
            "details": [
                "rewrites the matched part of the path to /new",
                "rewrites the host to b.example",
                "timeout: 1500 ms, or the header x-timeout",
                "retries: at most 3, 2 s per try",
                "mirrors to v2",
                "allows WebSocket",
                "sticky by the cookie sid",
                "CORS for https://a.example",
                "adds the header x-a: 1",
                "delays 100 % of the requests by 250 ms",
                "answers 0.0005 % of the requests with gRPC status 14",
            ],
        });
        assert_eq!(described(action), expected);
        for (action, summary) in [
            (json!({"respond": {"status": 404}}), "responds with 404"),
            (json!({"redirect": {"path": "/new"}}), "redirects to /new"),
            (json!({"redirect": {"authority": "b"}}), "redirects to the same path of b"),
            (json!({"redirect": {"authority": "b", "path": "/c"}}), "redirects to b/c"),
        ] {
            assert_eq!(described(action)["summary"], summary);
        }
    }

    #[test]
    fn conditions_are_sentences() {
        let matches = json!({
            "source_subnets": ["10.0.0.0/8", "2001:db8::/32"],
            "headers": [
                {"name": ":path", "value": {"prefix": "/status/"}},
                {"name": "cookie", "value": {"regex": ".*a=b.*"}},
                {"name": ":method", "value": {"exact": "GET"}},
            ],
        });
        assert_eq!(
            conditions(&serde_json::from_value(matches).unwrap()),
            [
                "client in 10.0.0.0/8 or 2001:db8::/32",
                "path starts with /status/",
                "header cookie matches .*a=b.*",
                "method is GET",
            ]
        );
    }
}
