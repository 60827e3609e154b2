//! Compares the outcome of a request with the expected one.

use super::case::{Aspect, Check, Expectation};
use super::report::failure;
use crate::explain::{Explanation, Request};
use crate::testing::Failure;

/// The difference between the outcome and an expectation; none for a distribution, which a
/// single request cannot show.
pub(super) fn compare(
    expectation: &Expectation,
    request: &Request,
    explanation: &Explanation,
) -> Option<Failure> {
    let (expected, got) = match &expectation.check {
        Check::Is(aspect, expected) => {
            let got = actual(*aspect, explanation);
            let holds = match aspect {
                // Without a position in the Ingress, all its paths match.
                Aspect::Ingress if !expected.contains('#') => {
                    got.split('#').next() == Some(expected)
                }
                _ => got == *expected,
            };
            if holds {
                return None;
            }
            (or_none(expected), or_none(&got))
        }
        Check::RequestHeader(matcher) => {
            let value = request_header(&matcher.name, request, explanation);
            if matcher.holds(value.as_deref()) {
                return None;
            }
            (matcher.to_string(), shown(&matcher.name, value.as_deref()))
        }
        Check::ResponseHeader(matcher) => {
            let value = response_header(&matcher.name, explanation);
            if matcher.holds(value.as_deref()) {
                return None;
            }
            (matcher.to_string(), shown(&matcher.name, value.as_deref()))
        }
        Check::Distribution(_) => return None,
    };
    Some(failure(expectation, expected, got))
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "(none)".into() } else { text.into() }
}

fn shown(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{name}: {value}"),
        None => format!("{name} is absent"),
    }
}

/// The actual value as text; empty if there is none.
fn actual(aspect: Aspect, explanation: &Explanation) -> String {
    let is_forwarded = explanation.cluster.is_some();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    // The check tool has these only for forwarded requests.
    let forwarded = |text: &str| if is_forwarded { text.to_owned() } else { String::new() };
    let ms = |ms: Option<u64>| ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
    let status = explanation.status.map(|status| status.to_string()).unwrap_or_default();
    match aspect {
        Aspect::Cluster => text(&explanation.cluster),
        Aspect::VirtualCluster | Aspect::RouteMetadata => String::new(),
        Aspect::VirtualHost => forwarded(explanation.virtual_host.as_deref().unwrap_or_default()),
        Aspect::Host => forwarded(&explanation.host),
        Aspect::Path => forwarded(&explanation.path),
        Aspect::Location => text(&explanation.location),
        Aspect::RedirectStatus if explanation.location.is_none() => String::new(),
        Aspect::RedirectStatus | Aspect::Status => status,
        Aspect::GrpcStatus => {
            explanation.grpc_status.map(|status| status.to_string()).unwrap_or_default()
        }
        Aspect::Timeout => ms(explanation.timeout_ms),
        Aspect::PerTryTimeout => ms(explanation.per_try_timeout_ms),
        Aspect::Delay => ms(explanation.delay_ms),
        Aspect::Retries => {
            let retries = explanation.retries.filter(|retries| *retries > 0);
            retries.map(|retries| retries.to_string()).unwrap_or_default()
        }
        Aspect::Mirror => text(&explanation.mirror),
        Aspect::Ingress => {
            explanation.ingress.as_ref().map(ToString::to_string).unwrap_or_default()
        }
        Aspect::Rule => text(&explanation.route_rule),
        Aspect::Websocket => explanation.websocket.to_string(),
    }
}

/// A header or pseudo-header of the request to the upstream.
fn request_header(name: &str, request: &Request, explanation: &Explanation) -> Option<String> {
    match name {
        ":path" => Some(explanation.path.clone()),
        ":authority" | "host" => Some(explanation.host.clone()),
        ":method" => Some(request.method.clone()),
        ":scheme" => Some(request.scheme.clone()),
        name => explanation.request_headers.get(name).cloned(),
    }
}

fn response_header(name: &str, explanation: &Explanation) -> Option<String> {
    match name {
        // The response of an upstream counts as 200.
        ":status" => Some(explanation.status.unwrap_or(200).to_string()),
        name => explanation.response_headers.get(name).cloned(),
    }
}
