//! RouteRules (`config.istio.io/v1alpha2`): how the requests that Ingresses send to a
//! service are handled.
//!
//! Unlike an Ingress, a rule is used completely or not at all: with part of its condition,
//! it would apply to other requests than intended. Reading continues after an error, so
//! all errors are reported.

mod condition;
mod fault;
mod headers;

mod route;
mod service_ref;
mod target;
mod timeouts;
mod values;

use std::sync::Arc;

use ingress_filter::table::{Cors, Fault, Header, Redirect, Retries, Rewrite, Timeout};

use super::{Cursor, Read, Reading, is_named_well};
use crate::finding::{Code, quote};
use crate::manifest::Object;

pub(crate) use condition::{Condition, ConditionPattern, Source};
pub(crate) use route::Share;
pub(crate) use service_ref::{Scope, ServiceRef};

/// A rule, all of whose fields are valid.
#[derive(Debug)]
pub(crate) struct RouteRule {
    /// The service to whose requests it applies.
    pub(crate) destination: ServiceRef,
    /// Rules with a greater precedence are tried first.
    pub(crate) precedence: i32,
    pub(crate) condition: Condition,
    pub(crate) effect: Effect,
}

/// The action of a rule.
#[derive(Debug)]
pub(crate) enum Effect {
    Redirect(Redirect),
    Forward(Box<Forwarding>),
}

/// Where a rule forwards requests, and how.
#[derive(Debug)]
pub(crate) struct Forwarding {
    /// The weighted destinations; if empty, the service of the rule.
    pub(crate) route: Vec<Share>,
    pub(crate) mirror: Option<ServiceRef>,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) retries: Option<Retries>,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) websocket: bool,
    pub(crate) append_headers: Vec<Header>,
    pub(crate) cors: Option<Cors>,
    pub(crate) fault: Option<Fault>,
}

const FIELDS: [&str; 14] = [
    "destination",
    "precedence",
    "match",
    "route",
    "redirect",
    "rewrite",
    "websocketUpgrade",
    "httpReqTimeout",
    "httpReqRetries",
    "httpFault",
    "l4Fault",
    "mirror",
    "corsPolicy",
    "appendHeaders",
];

/// Fields that cannot be combined with `redirect`, because it forwards no request.
const NOT_WITH_REDIRECT: [&str; 4] = ["route", "rewrite", "httpFault", "websocketUpgrade"];

/// Fields that have no effect with `redirect`.
const WITHOUT_EFFECT: [&str; 4] = ["httpReqTimeout", "httpReqRetries", "mirror", "appendHeaders"];

impl RouteRule {
    /// Reads an object; `None` if it has an error.
    pub(crate) fn of(object: &Object, scope: &Scope) -> Arc<Read<Option<Arc<Self>>>> {
        let read = || {
            let read = Read::strict(object, |reading| Self::read(reading, scope).map(Arc::new));
            (scope.clone(), Arc::new(read))
        };
        let kept = object.kept.get_or_make(read);
        if kept.0 == *scope { Arc::clone(&kept.1) } else { read().1 }
    }

    fn read(reading: &Reading<'_>, scope: &Scope) -> Option<Self> {
        let errors = reading.errors();
        let root = reading.root();
        if !is_named_well(reading.object(), &root) {
            return None;
        }
        root.only(&["apiVersion", "kind", "metadata", "spec", "status"]);
        let spec = root.required("spec", "say of which service, and what happens to its requests");
        let spec = spec.filter(Cursor::expect_mapping)?;
        spec.only(&FIELDS);
        let destination = spec
            .required("destination", "name the service whose requests this rule is for")
            .and_then(|field| read_destination(&field, scope));
        let precedence = spec.field("precedence").and_then(|field| values::int32(&field));
        let condition = spec
            .mapping_as("match", "{request: {headers: {uri: {prefix: /api}}}}")
            .map(|field| Condition::read(&field, scope));
        if let Some(fault) = spec.field("l4Fault") {
            fault.report(
                Code::FieldNotSupported,
                "is not supported, because faults of TCP connections are not implemented; use httpFault, or remove it",
            );
        }
        // Read even with a redirect, to report its errors.
        let forwarding = Forwarding::read(&spec, scope);
        let effect = match spec.field("redirect") {
            None => Effect::Forward(Box::new(forwarding)),
            Some(redirect) => {
                refuse_beside_redirect(&spec);
                Effect::Redirect(Redirect {
                    cors: forwarding.cors,
                    ..target::redirect(&redirect).unwrap_or_default()
                })
            }
        };
        let rule = Self {
            destination: destination?,
            precedence: precedence.unwrap_or_default(),
            condition: condition.unwrap_or_default(),
            effect,
        };
        (reading.errors() == errors).then_some(rule)
    }
}

impl Forwarding {
    fn read(spec: &Cursor<'_>, scope: &Scope) -> Self {
        let cors = spec
            .mapping_as("corsPolicy", "{allowOrigin: [https://example.com]}")
            .and_then(|field| headers::cors(&field));
        let append_headers =
            spec.mapping_as("appendHeaders", "{x-team: web}").map(|field| headers::append(&field));
        Self {
            route: route::read(spec, scope),
            mirror: spec.field("mirror").and_then(|field| ServiceRef::read(&field, scope)),
            timeout: timeouts::timeout(spec),
            retries: timeouts::retries(spec),
            rewrite: spec.field("rewrite").and_then(|field| target::rewrite(&field)),
            websocket: spec.boolean("websocketUpgrade").unwrap_or_default(),
            append_headers: append_headers.unwrap_or_default(),
            cors,
            fault: spec
                .mapping_as("httpFault", "{abort: {percent: 10, httpStatus: 503}}")
                .and_then(|field| fault::read(&field)),
        }
    }
}

fn read_destination(field: &Cursor<'_>, scope: &Scope) -> Option<ServiceRef> {
    if let Some(host) = service_ref::host_elsewhere(field, scope) {
        let message = format!(
            "{} is outside this cluster, where no Ingress sends requests, so this rule has no effect; the full name of a service is <name>.<namespace>.svc.{}",
            quote(host),
            scope.cluster_domain
        );
        field.report(Code::DestinationOutsideCluster, message);
        return None;
    }
    let service = ServiceRef::read(field, scope)?;
    if !service.labels.is_empty() {
        field.report_in(
            "labels",
            Code::FieldNotSupported,
            "are not supported here, because a rule applies to all versions of its service; choose a version under route",
        );
    }
    Some(service)
}

fn refuse_beside_redirect(spec: &Cursor<'_>) {
    for name in NOT_WITH_REDIRECT {
        if let Some(field) = spec.field(name) {
            field.report(
                Code::ConflictingFields,
                "cannot be combined with redirect; remove one of the two",
            );
        }
    }
    for name in WITHOUT_EFFECT {
        if let Some(field) = spec.field(name) {
            field.report(Code::FieldIgnored, "has no effect together with redirect; remove it");
        }
    }
}

#[cfg(test)]
mod tests;
