//! An explanation as text.

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
        (None, None, _) => "not forwarded, no cluster".into(),
    }
}

/// Further details of the outcome, one per line.
fn consequences(request: &Request, explanation: &Explanation) -> Vec<String> {
    let Explanation { path, host, .. } = explanation;
    let original = explanation.request_headers.get("x-envoy-original-path");
    let normalized = original.unwrap_or(path);
    let is_normalized = *normalized != request.target;
    let is_rewritten = original.is_some() || *host != request.authority;
    let split = !explanation.split.is_empty();
    let rule = explanation.route_rule.as_ref();
    let retries = explanation.retries.map(|retries| match explanation.per_try_timeout_ms {
        Some(ms) => format!("retries: at most {retries}, with a timeout of {ms} ms per try"),
        None => format!("retries: at most {retries}"),
    });
    let certificate = explanation.certificate.as_ref();
    let mut lines: Vec<_> = [
        certificate.map(|name| format!("certificate of the connection: {name}")),
        is_normalized.then(|| format!("normalised path: {normalized}")),
        is_rewritten.then(|| format!("host and path at the upstream: {host}{path}")),
        rule.map(|rule| format!("RouteRule: {rule}")),
        split.then(|| format!("picked by weight: {}", shares(explanation))),
        explanation.mirror.as_ref().map(|mirror| format!("mirrored to {mirror}")),
        explanation.delay_ms.map(|ms| format!("delayed by {ms} ms")),
        explanation.timeout_ms.map(|ms| format!("timeout: {ms} ms, then 504")),
        retries,
        explanation.websocket.then(|| "may be upgraded to WebSocket".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let headers = explanation.response_headers.iter();
    lines.extend(headers.map(|(name, value)| format!("response header {name}: {value}")));
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
        text.push_str("      * no rule matches: the default route of the backend\n");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::explain::Share;

    #[test]
    fn all_details_are_shown() {
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
  certificate of the connection: ns/a
  normalised path: /x?y
  host and path at the upstream: b.example/z?y
  RouteRule: ns/second
  picked by weight: 90 to v1, 10 to no cluster (503)
  mirrored to v2
  delayed by 20 ms
  timeout: 4000 ms, then 504
  retries: at most 3, with a timeout of 500 ms per try
  may be upgraded to WebSocket
  response header vary: origin
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
