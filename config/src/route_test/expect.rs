//! The expectations of a test: the fields of `validate`.

use ingress_filter::duration;

use super::case::{Aspect, Check, Expectation};
use super::distribution::Distribution;
use super::format::header;
use super::matcher::HeaderMatcher;
use crate::finding::Code;
use crate::testing::{Field, Fields};

const VALIDATE: &[&str] = &[
    "cluster_name",
    "virtual_cluster_name",
    "virtual_host_name",
    "host_rewrite",
    "path_rewrite",
    "path_redirect",
    "code_redirect",
    "timeout",
    "request_header_matches",
    "response_header_matches",
    "request_header_fields",
    "response_header_fields",
    "header_fields",
    "custom_header_fields",
    "route_metadata",
    "ingress",
];
const METADATA: &[&str] = &["namespace", "key", "value"];
const OURS: &[&str] = &[
    "status",
    "grpc_status",
    "timeout",
    "per_try_timeout",
    "retries",
    "mirror",
    "ingress",
    "rule",
    "location",
    "delay",
    "websocket",
    "distribution",
];

pub(super) fn expectations(validate: &Field<'_>) -> Vec<Expectation> {
    let fields = Fields::of(validate, VALIDATE);
    if fields.is_empty() && validate.node().entries().is_empty() {
        let message = "expects nothing; add an expectation, such as cluster_name";
        validate.report(Code::TestExpectsNothing, message);
    }
    let mut expectations = Vec::new();
    for (name, field) in fields.iter() {
        let one = |check: Option<Check>| check.map(|check| expectation(field, check));
        match name {
            "request_header_matches" => matches(field, Check::RequestHeader, &mut expectations),
            "response_header_matches" => matches(field, Check::ResponseHeader, &mut expectations),
            "request_header_fields" | "header_fields" | "custom_header_fields" => {
                values(field, Check::RequestHeader, &mut expectations);
            }
            "response_header_fields" => values(field, Check::ResponseHeader, &mut expectations),
            "route_metadata" => metadata(field, &mut expectations),
            "ingress" => expectations.extend(ours(field)),
            _ => expectations.extend(one(said(name, field))),
        }
    }
    expectations
}

fn expectation(field: &Field<'_>, check: Check) -> Expectation {
    Expectation { at: field.location(), field: field.path(), check }
}

/// The expectations in the fields of the check tool.
fn said(name: &str, field: &Field<'_>) -> Option<Check> {
    let aspect = match name {
        "cluster_name" => Aspect::Cluster,
        "virtual_host_name" => Aspect::VirtualHost,
        "host_rewrite" => Aspect::Host,
        "path_rewrite" => Aspect::Path,
        "path_redirect" => Aspect::Location,
        "code_redirect" => return number(Aspect::RedirectStatus, field),
        "timeout" => return time(Aspect::Timeout, field),
        // The tool reports `other` if no virtual cluster matches.
        _ => {
            let name = field.as_string()?;
            let name = if name == "other" { "" } else { name };
            return Some(Check::Is(Aspect::VirtualCluster, name.into()));
        }
    };
    Some(Check::Is(aspect, field.as_string()?.into()))
}

fn ours(field: &Field<'_>) -> Vec<Expectation> {
    let fields = Fields::of(field, OURS);
    let check = |(name, field): (&str, &Field<'_>)| {
        let check = match name {
            "status" => number(Aspect::Status, field),
            "grpc_status" => number(Aspect::GrpcStatus, field),
            "timeout" => time(Aspect::Timeout, field),
            "per_try_timeout" => time(Aspect::PerTryTimeout, field),
            "delay" => time(Aspect::Delay, field),
            "retries" => number(Aspect::Retries, field),
            "mirror" => text(Aspect::Mirror, field),
            "ingress" => text(Aspect::Ingress, field),
            "rule" => text(Aspect::Rule, field),
            "location" => text(Aspect::Location, field),
            "websocket" => {
                field.as_boolean().map(|value| Check::Is(Aspect::Websocket, value.to_string()))
            }
            _ => Distribution::read(field).map(Check::Distribution),
        };
        check.map(|check| expectation(field, check))
    };
    fields.iter().filter_map(check).collect()
}

fn text(aspect: Aspect, field: &Field<'_>) -> Option<Check> {
    Some(Check::Is(aspect, field.as_string()?.to_owned()))
}

/// A whole number as text; empty if it is missing, or if it is 0 and that means none.
fn number(aspect: Aspect, field: &Field<'_>) -> Option<Check> {
    if field.node().as_str() == Some("") {
        return Some(Check::Is(aspect, String::new()));
    }
    let number: u32 = field.integer("a whole number, or \"\" for none")?;
    let means_something = number > 0 || aspect == Aspect::GrpcStatus;
    let text = if means_something { number.to_string() } else { String::new() };
    Some(Check::Is(aspect, text))
}

/// A duration, or a number of milliseconds.
fn time(aspect: Aspect, field: &Field<'_>) -> Option<Check> {
    let node = field.node();
    let ms = match (node.as_i64(), node.as_str()) {
        (Some(0), _) | (_, Some("" | "0s")) => Some(0),
        (Some(ms), _) => u32::try_from(ms).ok(),
        (None, Some(text)) => duration::parse(text.as_bytes()),
        (None, None) => None,
    };
    let Some(ms) = ms else {
        field.wrong_kind("a duration as in 1.5s, a number of milliseconds, or \"\" for none");
        return None;
    };
    Some(Check::Is(aspect, if ms > 0 { format!("{ms} ms") } else { String::new() }))
}

fn matches(
    list: &Field<'_>,
    check: fn(HeaderMatcher) -> Check,
    expectations: &mut Vec<Expectation>,
) {
    for item in list.items() {
        let item = item.cursor();
        let matcher = HeaderMatcher::read(&item);
        expectations.extend(matcher.map(|matcher| expectation(&item, check(matcher))));
    }
}

/// Headers as in the first format of the check tool: equal, where a missing one is empty.
fn values(
    list: &Field<'_>,
    check: fn(HeaderMatcher) -> Check,
    expectations: &mut Vec<Expectation>,
) {
    for item in list.items() {
        let item = item.cursor();
        let matcher = header(&item).map(|(name, value)| HeaderMatcher::equal(name, value));
        expectations.extend(matcher.map(|matcher| expectation(&item, check(matcher))));
    }
}

/// The metadata of the route. Routes of Ingresses have none.
fn metadata(list: &Field<'_>, expectations: &mut Vec<Expectation>) {
    for item in list.items() {
        let item = item.cursor();
        let fields = Fields::of(&item, METADATA);
        let value = fields.get("value").map_or(Some(""), Field::as_string);
        let check = value.map(|value| Check::Is(Aspect::RouteMetadata, value.to_owned()));
        expectations.extend(check.map(|check| expectation(&item, check)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Published;

    #[test]
    fn the_schema_has_the_same_fields() {
        let schema = Published::read("route-tests.schema.json");
        schema.has("/$defs/validate", VALIDATE);
        schema.has("/$defs/validate/properties/route_metadata/items", METADATA);
        schema.has("/$defs/validate/properties/ingress", OURS);
    }
}
