//! The expectations of a step: the fields of `expect`.

use proxy_wasm_test::Outcome;

use super::check::{CalloutCheck, Check, Expectation, HeaderTest, Section, Side};
use super::matcher::{LogMatcher, Matcher};
use super::values::{all_of, property_path, status, texts};
use crate::finding::Code;
use crate::testing::{Field, Fields};

const EXPECT: &[&str] = &[
    "accepted",
    "outcome",
    "response_outcome",
    "status",
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
    "local_reply",
    "log",
    "metrics",
    "host_calls",
    "fuel",
    "properties",
    "callouts",
];
const REPLY: &[&str] = &["status", "grpc_status", "details", "headers", "body"];
const CALLOUT: &[&str] = &["cluster", "headers", "body"];
const VALUE: &[&str] = &["exact", "prefix", "suffix", "contains", "regex", "present"];
const NUMBER: &str = "a whole number of 0 or more";

pub(super) fn expectations(expect: &Field<'_>) -> Vec<Expectation> {
    let fields = Fields::of(expect, EXPECT);
    if fields.is_empty() && expect.node().entries().is_empty() {
        let message = "expects nothing; add an expectation, such as log or status";
        expect.report(Code::TestExpectsNothing, message);
    }
    fields.iter().flat_map(|(name, field)| expectations_in(name, field)).collect()
}

fn expectations_in(name: &str, field: &Field<'_>) -> Vec<Expectation> {
    let one = |check: Option<Check>| check.map(|check| at(field, check)).into_iter().collect();
    match name {
        "accepted" => one(field.as_boolean().map(Check::Accepted)),
        "outcome" => one(outcome(field).map(Check::RequestOutcome)),
        "response_outcome" => one(outcome(field).map(Check::ResponseOutcome)),
        "status" => one(status(field).map(Check::Status)),
        "request_headers" => headers(field, Section::Headers(Side::Request)),
        "request_trailers" => headers(field, Section::Trailers(Side::Request)),
        "response_headers" => headers(field, Section::Headers(Side::Response)),
        "response_trailers" => headers(field, Section::Trailers(Side::Response)),
        "request_body" => one(Matcher::read(field).map(|it| Check::Body(Side::Request, it))),
        "response_body" => one(Matcher::read(field).map(|it| Check::Body(Side::Response, it))),
        "local_reply" => local_reply(field),
        "log" => log(field),
        "metrics" => numbers(field, Check::Metric),
        "host_calls" => numbers(field, Check::HostCalls),
        "fuel" => one(field.integer(NUMBER).map(Check::Fuel)),
        "properties" => tests(field, |name, test| Check::Property(property_path(name), test)),
        _ => one(callouts(field).map(Check::Callouts)),
    }
}

fn at(field: &Field<'_>, check: Check) -> Expectation {
    let path = field.path();
    // The position of the test, `tests[3].`, is redundant, because the report has its name.
    let short = path.split_once("].").filter(|(test, _)| test.starts_with("tests["));
    let field_path = short.map_or(&*path, |(_, rest)| rest).to_owned();
    Expectation { at: field.location(), field: field_path, check }
}

fn outcome(field: &Field<'_>) -> Option<Outcome> {
    let outcome = match field.as_string()? {
        "continue" => Outcome::Continue,
        "pause" => Outcome::Pause,
        "local_reply" => Outcome::LocalReply,
        "closed" => Outcome::Closed,
        _ => {
            field.wrong_kind("continue, pause, local_reply or closed");
            return None;
        }
    };
    Some(outcome)
}

fn headers(field: &Field<'_>, section: Section) -> Vec<Expectation> {
    tests(field, |name, test| Check::Header(section, name.to_ascii_lowercase(), test))
}

/// One check for each entry of a mapping.
fn tests(field: &Field<'_>, check: impl Fn(&str, HeaderTest) -> Check) -> Vec<Expectation> {
    field.expect_mapping();
    let entries = field.fields();
    let read = |(key, value): (&crate::manifest::Key, Field<'_>)| {
        header_test(&value).map(|test| at(&value, check(&key.name, test)))
    };
    entries.filter_map(read).collect()
}

/// A text, a list of all values, null for none, or a mapping with a condition.
fn header_test(field: &Field<'_>) -> Option<HeaderTest> {
    let node = field.node();
    if node.is_null() {
        return Some(HeaderTest::Absent);
    }
    if node.as_list().is_some() {
        return texts(field).map(HeaderTest::All);
    }
    if node.as_map().is_none() {
        return Matcher::read(field).map(HeaderTest::Is);
    }
    let fields = Fields::of(field, VALUE);
    match (fields.get("present"), Matcher::among(field, &fields)) {
        (None, Some(matcher)) => Some(HeaderTest::Is(matcher)),
        (Some(present), None) => {
            Some(if present.as_boolean()? { HeaderTest::Present } else { HeaderTest::Absent })
        }
        _ => {
            let message = format!("must have exactly one of {}", VALUE.join(", "));
            field.report(Code::ConflictingFields, message);
            None
        }
    }
}

/// Whether there is a local reply, or what it is.
fn local_reply(field: &Field<'_>) -> Vec<Expectation> {
    if field.node().as_map().is_none() {
        let check = field.as_boolean().map(Check::LocalReply);
        return check.map(|check| at(field, check)).into_iter().collect();
    }
    let fields = Fields::of(field, REPLY);
    let mut expectations = vec![at(field, Check::LocalReply(true))];
    for (name, field) in fields.iter() {
        let check = match name {
            "status" => status(field).map(Check::ReplyStatus),
            "grpc_status" => field.integer(NUMBER).map(Check::ReplyGrpcStatus),
            "details" => Matcher::read(field).map(Check::ReplyDetails),
            "body" => Matcher::read(field).map(Check::ReplyBody),
            _ => {
                expectations.extend(headers(field, Section::Reply));
                None
            }
        };
        expectations.extend(check.map(|check| at(field, check)));
    }
    expectations
}

fn log(field: &Field<'_>) -> Vec<Expectation> {
    let read = |field: &Field<'_>| LogMatcher::read(field).map(|it| at(field, Check::Log(it)));
    if field.node().as_list().is_none() {
        return read(field).into_iter().collect();
    }
    field.items().iter().filter_map(|item| read(&item.cursor())).collect()
}

fn numbers(field: &Field<'_>, check: fn(String, u64) -> Check) -> Vec<Expectation> {
    field.expect_mapping();
    let read = |(key, value): (&crate::manifest::Key, Field<'_>)| {
        let number: u64 = value.integer(NUMBER)?;
        Some(at(&value, check(key.name.to_string(), number)))
    };
    field.fields().filter_map(read).collect()
}

fn callouts(list: &Field<'_>) -> Option<Vec<CalloutCheck>> {
    list.node().as_list().or_else(|| {
        list.wrong_kind("a list");
        None
    })?;
    all_of(list.items().iter().map(|item| callout(&item.cursor())))
}

fn callout(item: &Field<'_>) -> Option<CalloutCheck> {
    let fields = Fields::of(item, CALLOUT);
    let matcher = |name| match fields.get(name) {
        Some(field) => Matcher::read(field).map(Some),
        None => Some(None),
    };
    let headers = match fields.get("headers") {
        Some(field) => field
            .fields()
            .map(|(key, value)| Some((key.name.to_string(), header_test(&value)?)))
            .collect::<Option<_>>()?,
        None => Vec::new(),
    };
    Some(CalloutCheck { cluster: matcher("cluster")?, headers, body: matcher("body")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Published;

    #[test]
    fn the_schema_has_the_same_fields() {
        let schema = Published::read("module-tests.schema.json");
        schema.has("/$defs/expect", EXPECT);
        schema.has("/$defs/expect/properties/local_reply/anyOf/1", REPLY);
        schema.has("/$defs/expect/properties/callouts/items", CALLOUT);
        schema.has("/$defs/value/anyOf/3", VALUE);
    }
}
