//! An explanation for people.

use std::fmt::Write as _;

use crate::explain::{Candidate, Explanation, Request, RuleVerdict};

pub(super) fn text(request: &Request, explanation: &Explanation) -> String {
    let mut text = format!(
        "{} {}://{}{}\n",
        request.method, request.scheme, request.authority, request.target
    );
    let _ = writeln!(text, "  {}: {}", outcome(explanation), explanation.reason);
    for line in consequences(request, explanation).iter().chain(&explanation.hints) {
        let _ = writeln!(text, "  {line}");
    }
    if !explanation.candidates.is_empty() {
        text.push_str("\nRoutes:\n");
    }
    for candidate in &explanation.candidates {
        render_candidate(&mut text, candidate);
        if candidate.chosen {
            render_rules(&mut text, &explanation.rules);
        }
    }
    text
}

fn outcome(explanation: &Explanation) -> String {
    match (&explanation.cluster, explanation.status, explanation.grpc_status) {
        (Some(cluster), ..) => format!("to {cluster}"),
        (None, Some(status), Some(grpc)) => format!("answered with {status}, gRPC status {grpc}"),
        (None, Some(status), None) => format!("answered with {status}"),
        (None, None, _) => "to no cluster".into(),
    }
}

/// What else happens to the request, a line each.
fn consequences(request: &Request, explanation: &Explanation) -> Vec<String> {
    let Explanation { path, host, .. } = explanation;
    let original = explanation.request_headers.get("x-envoy-original-path");
    let normalized = original.unwrap_or(path);
    let is_normalized = *normalized != request.target;
    let is_rewritten = original.is_some() || *host != request.authority;
    let split = !explanation.split.is_empty();
    let rule = explanation.route_rule.as_ref();
    let retries = explanation.retries.map(|retries| match explanation.per_try_timeout_ms {
        Some(ms) => format!("tried again up to {retries} times, each within {ms} ms"),
        None => format!("tried again up to {retries} times"),
    });
    let certificate = explanation.certificate.as_ref();
    let mut lines: Vec<_> = [
        certificate.map(|name| format!("the connection has the certificate {name}")),
        is_normalized.then(|| format!("the path is {normalized} once it is normalised")),
        is_rewritten.then(|| format!("the upstream sees {host}{path}")),
        rule.map(|rule| format!("by the rule {rule}")),
        split.then(|| format!("drawn from {}", shares(explanation))),
        explanation.mirror.as_ref().map(|mirror| format!("a copy goes to {mirror}")),
        explanation.delay_ms.map(|ms| format!("after {ms} ms")),
        explanation.timeout_ms.map(|ms| format!("within {ms} ms, else 504")),
        retries,
        explanation.websocket.then(|| "it may be upgraded to WebSocket".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let headers = explanation.response_headers.iter();
    lines.extend(headers.map(|(name, value)| format!("the answer says {name}: {value}")));
    lines
}

fn shares(explanation: &Explanation) -> String {
    let shares = explanation.split.iter().map(|share| {
        let cluster = share.cluster.as_deref().unwrap_or("no cluster (503)");
        format!("{} to {cluster}", share.weight)
    });
    shares.collect::<Vec<_>>().join(", ")
}

fn render_candidate(text: &mut String, candidate: &Candidate) {
    let mark = if candidate.chosen { '*' } else { '-' };
    let _ = writeln!(
        text,
        "  {mark} host {}, {} -> {}",
        candidate.host, candidate.path, candidate.backend
    );
    let place = candidate.ingress.as_ref().map(|place| match (place.rule, place.path) {
        (Some(rule), Some(path)) => {
            format!("Ingress {} spec.rules[{rule}].http.paths[{path}]", place.name)
        }
        _ => format!("Ingress {} default backend", place.name),
    });
    let _ = writeln!(
        text,
        "      {}{}",
        place.map(|place| place + ": ").unwrap_or_default(),
        candidate.verdict
    );
}

/// The rules of the route that serves the request.
fn render_rules(text: &mut String, rules: &[RuleVerdict]) {
    for (index, rule) in rules.iter().enumerate() {
        let mark = if rule.chosen { '*' } else { '-' };
        let name = if rule.name.is_empty() { index.to_string() } else { rule.name.clone() };
        let _ = writeln!(text, "      {mark} rule {name}: {}", rule.verdict);
    }
    if !rules.is_empty() && !rules.iter().any(|rule| rule.chosen) {
        text.push_str("      * no rule applies: the route's own backend\n");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::explain::Share;

    #[test]
    fn everything_that_happens_is_said() {
        let request = Request::new("GET", "https://a.example/./x?y", &[]).unwrap();
        let share =
            |cluster: Option<&str>, weight| Share { cluster: cluster.map(Into::into), weight };
        let header = |name: &str, value: &str| BTreeMap::from([(name.into(), value.into())]);
        let rule = |name: &str, chosen, verdict: &str| RuleVerdict {
            name: name.into(),
            chosen,
            verdict: verdict.into(),
        };
        let explanation = Explanation {
            status: None,
            grpc_status: None,
            cluster: Some("v1".into()),
            split: vec![share(Some("v1"), 90), share(None, 10)],
            mirror: Some("v2".into()),
            host: "b.example".into(),
            path: "/z?y".into(),
            location: None,
            timeout_ms: Some(4_000),
            per_try_timeout_ms: Some(500),
            retries: Some(3),
            delay_ms: Some(20),
            websocket: true,
            certificate: Some("ns/a".into()),
            request_headers: header("x-envoy-original-path", "/x?y"),
            response_headers: header("vary", "origin"),
            virtual_host: Some("*".into()),
            ingress: None,
            route_rule: Some("ns/second".into()),
            reason: "served by ns/web#0.0".into(),
            hints: vec!["a hint".into()],
            candidates: vec![Candidate {
                host: "*".into(),
                path: "prefix /".into(),
                backend: "web".into(),
                ingress: None,
                chosen: true,
                verdict: "serves the request".into(),
            }],
            rules: vec![
                rule("ns/first", false, "header x-user is absent"),
                rule("ns/second", true, "applies"),
            ],
            place: None,
            rule: None,
        };
        let expected = "\
GET https://a.example/./x?y
  to v1: served by ns/web#0.0
  the connection has the certificate ns/a
  the path is /x?y once it is normalised
  the upstream sees b.example/z?y
  by the rule ns/second
  drawn from 90 to v1, 10 to no cluster (503)
  a copy goes to v2
  after 20 ms
  within 4000 ms, else 504
  tried again up to 3 times, each within 500 ms
  it may be upgraded to WebSocket
  the answer says vary: origin
  a hint

Routes:
  * host *, prefix / -> web
      serves the request
      - rule ns/first: header x-user is absent
      * rule ns/second: applies
";
        assert_eq!(text(&request, &explanation), expected);
    }
}
