//! The reason for an outcome, as a sentence.

use std::collections::BTreeMap;

use ingress_filter::table::{Action, Backend, Plaintext};

use super::candidates::RouteIndex;
use super::edge::Refusal;
use super::exchange::{Answer, Responder};
use super::{Explanation, Request};

/// The part of a table that matched the request.
pub(super) struct Chosen<'t> {
    pub(super) place: RouteIndex,
    pub(super) source: &'t str,
    pub(super) backend: &'t Backend,
    /// The name of one of its ports, if it has several.
    pub(super) port: Option<&'t str>,
    /// How the request was handled if it used plain HTTP.
    pub(super) plaintext: Option<Plaintext>,
    /// The index of the rule that applies.
    pub(super) rule: Option<usize>,
}

pub(super) fn reason(answer: Option<Answer>, chosen: Option<&Chosen<'_>>) -> String {
    match (answer, chosen) {
        (None, Some(chosen)) => format!("served by {}", name(chosen)),
        (None, None) => "matched by a route".into(),
        (Some(Answer { by: Responder::NoTrace, .. }), _) => {
            "TRACE is not allowed on any path".into()
        }
        (Some(answer), Some(chosen)) => answered(answer, chosen),
        (Some(Answer { status: 404, .. }), None) => {
            "no route serves this host and path, and there is no default backend".into()
        }
        (Some(Answer { status: 400, .. }), None) => {
            "an upstream that decodes the encoded slash would read a path with another route or \
             rule, or with a dot segment"
                .into()
        }
        (Some(Answer { status: 403, .. }), None) => {
            "no route allows an upgrade on this host and path".into()
        }
        (Some(Answer { status, .. }), None) => format!("the filter responds with {status}"),
    }
}

/// The reason for a 421: the connection has the certificate of another host.
pub(super) fn misdirected(connection: &str, host: &str) -> String {
    format!(
        "the connection has the certificate {connection}, but the host has {host}; the client \
         should use another connection"
    )
}

/// The reason why a request is not forwarded.
fn answered(answer: Answer, chosen: &Chosen<'_>) -> String {
    let status = answer.status;
    let (name, rule) = (name(chosen), rule_of(chosen));
    match chosen.plaintext {
        Some(Plaintext::Redirect) => return format!("{name} redirects to HTTPS"),
        Some(Plaintext::Refuse) => return format!("{name} is served over HTTPS only"),
        None => {}
    }
    match (answer.by, chosen.action()) {
        (Responder::Fault, _) => format!("{rule} injects an abort"),
        (Responder::NoUpgrade, _) => format!("{name} does not allow an upgrade to WebSocket"),
        (_, Action::Redirect(_)) if status == 302 => format!("{rule} redirects the client"),
        (_, Action::Respond(_)) => {
            format!("{name} has no usable backend, so it responds with {status}")
        }
        (_, Action::Redirect(_) | Action::Forward(_)) if status == 200 => {
            format!("{rule} answers the CORS preflight")
        }
        (_, Action::Forward(_)) if status == 503 => {
            format!("{rule} picked a destination that has no cluster")
        }
        (_, Action::Forward(_)) if status == 400 => {
            format!("{rule} would rewrite the path to one with a dot segment")
        }
        _ => format!("{name} responds with {status}"),
    }
}

fn name(chosen: &Chosen<'_>) -> String {
    if chosen.source.is_empty() { "a route".into() } else { chosen.source.to_owned() }
}

fn rule_of(chosen: &Chosen<'_>) -> String {
    match (chosen.rule_name(), chosen.rule) {
        (Some(name), _) => format!("the rule {name}"),
        (None, Some(index)) => format!("rule {index} of {}", chosen.backend.name),
        (None, None) => name(chosen),
    }
}

pub(super) fn refused_by_envoy(request: &Request, refusal: Refusal) -> Explanation {
    Explanation {
        status: Some(refusal.status),
        grpc_status: None,
        cluster: None,
        split: Vec::new(),
        mirror: None,
        host: request.authority.clone(),
        path: request.target.clone(),
        location: None,
        timeout_ms: None,
        per_try_timeout_ms: None,
        retries: None,
        delay_ms: None,
        websocket: false,
        certificate: None,
        request_headers: BTreeMap::new(),
        response_headers: BTreeMap::new(),
        virtual_host: None,
        ingress: None,
        route_rule: None,
        reason: format!("Envoy rejects it before the filter: {refusal}"),
        hints: Vec::new(),
        candidates: Vec::new(),
        rules: Vec::new(),
        place: None,
        rule: None,
    }
}
