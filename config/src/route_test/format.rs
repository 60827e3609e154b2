//! The format: that of Envoy's route table check tool in all its versions, and additional
//! fields under `ingress`.

use std::net::{IpAddr, Ipv4Addr};

use super::case::{Case, Check};
use super::expect::expectations;
use crate::explain::{Request, server_name};
use crate::finding::Code;
use crate::testing::{Field, Fields, not_empty, required};

const FILE: &[&str] = &["tests", "runtime"];
const TEST: &[&str] = &["test_name", "input", "validate"];
const INPUT: &[&str] = &[
    "authority",
    "path",
    "method",
    "ssl",
    "internal",
    "random_value",
    "runtime",
    "dynamic_metadata",
    "additional_request_headers",
    "additional_response_headers",
    "additional_headers",
    "ingress",
];
const FIRST_FORM: &[&str] = &[
    "authority",
    "path",
    "method",
    "ssl",
    "internal",
    "random_value",
    "additional_headers",
    "check",
];
const INPUT_OF_OURS: &[&str] = &["client", "sni"];
/// The key for the name of a header, which has had three spellings.
const HEADER: &[&str] = &["key", "field", "name", "value"];

/// The tests of a document: a mapping with `tests` or, in the first format of the tool, a
/// list.
pub(super) fn tests_of(root: &Field<'_>) -> Vec<Case> {
    if root.node().as_list().is_some() {
        return tests(root);
    }
    if ["apiVersion", "kind"].iter().all(|name| root.node().get(name).is_some()) {
        let message = "is a Kubernetes object, not a list of tests; give manifests with -f";
        root.report(Code::NoTests, message);
        return Vec::new();
    }
    if let Some(list) = Fields::of(root, FILE).get("tests") {
        return tests(list);
    }
    if root.node().as_map().is_some() {
        root.report(Code::NoTests, "has no tests; write them as a list under tests");
    }
    Vec::new()
}

fn tests(list: &Field<'_>) -> Vec<Case> {
    let items = list.items();
    if items.is_empty() && list.node().as_list().is_some() {
        list.report(Code::NoTests, "has no tests; add some");
    }
    items.iter().filter_map(|item| test(&item.cursor())).collect()
}

fn test(item: &Field<'_>) -> Option<Case> {
    if item.node().get("check").is_some() {
        return test_of_first_form(item);
    }
    let fields = Fields::of(item, TEST);
    let name = required(item, &fields, "test_name").and_then(not_empty);
    let request = required(item, &fields, "input")
        .and_then(|input| request(input, &Fields::of(input, INPUT)));
    let validate = required(item, &fields, "validate");
    let expectations = validate.map(expectations).unwrap_or_default();
    Some(Case { name: name?.to_owned(), at: item.location(), request: request?, expectations })
}

/// A test in the first format: the request, with the expectations under `check`.
fn test_of_first_form(item: &Field<'_>) -> Option<Case> {
    let fields = Fields::of(item, FIRST_FORM);
    let mut expectations = fields.get("check").map(expectations).unwrap_or_default();
    for expectation in &mut expectations {
        // Now written as an empty string.
        if let Check::Is(_, text) = &mut expectation.check
            && text == "none"
        {
            text.clear();
        }
    }
    let request = request(item, &fields)?;
    let name = format!("{} {}{}", request.method, request.authority, request.target);
    Some(Case { name, at: item.location(), request, expectations })
}

fn request(input: &Field<'_>, fields: &Fields<'_>) -> Option<Request> {
    let authority = required(input, fields, "authority").and_then(not_empty);
    let target = required(input, fields, "path").and_then(not_empty);
    let method = fields.get("method").map_or(Some("GET"), not_empty);
    let ssl = fields.get("ssl").map_or(Some(false), Field::as_boolean);
    // At the edge, no client can mark a request as internal.
    fields.get("internal").map(Field::as_boolean);
    let wanted = "a whole number of 0 or more";
    let random = fields.get("random_value").map_or(Some(0), |field| field.integer(wanted));
    let ours = fields.get("ingress").map(|field| Fields::of(field, INPUT_OF_OURS));
    let client = ours.as_ref().and_then(|ours| ours.get("client"));
    let sni = ours.as_ref().and_then(|ours| ours.get("sni"));
    let sni = match sni {
        Some(field) => asked_host(field, ssl),
        None => Some(authority.filter(|_| ssl == Some(true)).and_then(server_name)),
    };
    let extra = headers(fields, &["additional_request_headers", "additional_headers"]);
    Some(Request {
        method: method?.to_owned(),
        scheme: if ssl? { "https" } else { "http" }.into(),
        authority: authority?.to_owned(),
        target: target?.to_owned(),
        extra,
        sni: sni?,
        client: client.map_or(Some(Ipv4Addr::LOCALHOST.into()), address)?,
        random: Some(random?),
        answer: headers(fields, &["additional_response_headers"]),
    })
}

/// The server name (SNI) of the client, if any.
#[expect(clippy::option_option, reason = "asked for nothing, or none because it is wrong")]
fn asked_host(field: &Field<'_>, ssl: Option<bool>) -> Option<Option<String>> {
    let text = field.as_string()?;
    if ssl == Some(false) {
        let message = "is sent only over TLS; add ssl: true";
        field.report(Code::TestRequestNotValid, message);
        return None;
    }
    let host = server_name(text);
    if host.is_none() && !text.is_empty() {
        field.wrong_kind("the name of a host, or \"\" for none");
        return None;
    }
    Some(host)
}

fn address(field: &Field<'_>) -> Option<IpAddr> {
    let address = field.as_string()?.parse().ok();
    if address.is_none() {
        field.wrong_kind("an IP address, as in 192.0.2.1");
    }
    address
}

/// The headers in these lists, with names in lower case.
fn headers(fields: &Fields<'_>, lists: &[&str]) -> Vec<(String, String)> {
    let lists = lists.iter().filter_map(|name| fields.get(name));
    let mut headers = Vec::new();
    for item in lists.flat_map(Field::items) {
        let item = item.cursor();
        let Some((name, value)) = header(&item) else { continue };
        match &*name {
            name if name.starts_with(':') => {
                let message =
                    format!("{name} is not a header; set authority, path or method instead");
                item.report(Code::TestRequestNotValid, message);
            }
            "host" => item.report(
                Code::TestRequestNotValid,
                "the header host is set by authority; remove it",
            ),
            _ => headers.push((name, value)),
        }
    }
    headers
}

/// A header's name in lower case, and its value.
pub(super) fn header(item: &Field<'_>) -> Option<(String, String)> {
    let fields = Fields::of(item, HEADER);
    let key = ["key", "field", "name"].iter().find_map(|name| fields.get(name));
    if key.is_none() {
        item.report(Code::FieldMissing, "key is missing; write the name of the header");
    }
    let value = fields.get("value").map_or(Some(""), Field::as_string)?;
    Some((not_empty(key?)?.to_ascii_lowercase(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Published;

    #[test]
    fn the_schema_has_the_same_fields() {
        let schema = Published::read("route-tests.schema.json");
        schema.has("/anyOf/0", FILE);
        schema.has("/$defs/test", TEST);
        schema.has("/$defs/input", INPUT);
        schema.has("/$defs/first_form", FIRST_FORM);
        schema.has("/$defs/input/properties/ingress", INPUT_OF_OURS);
        schema.has("/$defs/header", HEADER);
    }
}
