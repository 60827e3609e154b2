//! The format in YAML.

use std::time::Duration;

use proxy_wasm_test::{LogLevel, Message};

use super::case::{Action, Callout, CalloutAnswer, Case, Parts, Script, Setup, Step};
use super::check::Expectation;
use super::expect::expectations;
use super::matcher::{level_of, text_of};
use super::values::{
    self, all_of, content, pairs, property_path, text_or_file, texts, time, time_span,
};
use crate::finding::Code;
use crate::testing::{Field, Fields, not_empty, required};

const FILE: &[&str] = &["tests"];
const TEST: &[&str] = &[
    "name",
    "configuration",
    "configuration_file",
    "vm_configuration",
    "root_id",
    "log_level",
    "time",
    "properties",
    "environment",
    "clusters",
    "callouts",
    "starts",
    "steps",
    "request",
    "response",
    "expect",
];
const STEP: &[&str] = &["request", "response", "tick", "advance", "reload", "expect"];
const ACTIONS: [&str; 4] = ["request", "tick", "advance", "reload"];
const RELOAD: &[&str] = &["file"];
const CALLOUT: &[&str] = &["cluster", "path", "respond", "outcome"];

/// The cases of a document.
pub(super) fn cases_of(root: &Field<'_>) -> Vec<Case> {
    let Some(list) = Fields::of(root, FILE).get("tests").copied() else {
        if root.node().as_map().is_some() {
            root.report(Code::NoTests, "has no tests; write them as a list under tests");
        }
        return Vec::new();
    };
    let items = list.items();
    if items.is_empty() && list.node().as_list().is_some() {
        list.report(Code::NoTests, "has no tests; add some");
    }
    items.iter().filter_map(|item| case(&item.cursor())).collect()
}

fn case(item: &Field<'_>) -> Option<Case> {
    let fields = Fields::of(item, TEST);
    let name = required(item, &fields, "name").and_then(not_empty);
    let setup = setup(&fields);
    if setup.as_ref().is_some_and(|setup| !setup.starts) {
        for field in ["request", "steps"].iter().filter_map(|name| fields.get(name)) {
            let message =
                "is there next to starts: false, so it never happens; remove one of the two";
            field.report(Code::ConflictingFields, message);
        }
    }
    let steps = match fields.get("steps") {
        Some(list) => steps(list, &fields),
        None => single_step(item, &fields).map(|step| vec![step]),
    };
    let script = Script::Steps(steps?);
    Some(Case { name: name?.to_owned(), at: item.location(), setup: setup?, script })
}

/// A test with one exchange has the fields of its step.
fn single_step(item: &Field<'_>, fields: &Fields<'_>) -> Option<Step> {
    let expectations = fields.get("expect").map(expectations);
    let action = if let Some(request) = fields.get("request") {
        exchange(request, fields)
    } else {
        if let Some(response) = fields.get("response") {
            response.report(Code::FieldMissing, "is there without a request; add one");
        }
        Some(Action::Start)
    };
    let expects = expectations.is_some() || fields.get("starts").is_some();
    if !expects && item.node().as_map().is_some() {
        let message = "expects nothing; add expectations under expect, such as log or status";
        item.report(Code::TestExpectsNothing, message);
    }
    let expectations: Vec<Expectation> = expectations.unwrap_or_default();
    Some(Step { at: item.location(), action: action?, expectations })
}

fn steps(list: &Field<'_>, test: &Fields<'_>) -> Option<Vec<Step>> {
    for name in ["request", "response", "expect"] {
        if let Some(field) = test.get(name) {
            field.report(Code::ConflictingFields, "is there next to steps; move it into a step");
        }
    }
    let items = list.items();
    let steps = all_of(items.iter().map(|item| step(&item.cursor())))?;
    if steps.iter().all(|step| step.expectations.is_empty()) && test.get("starts").is_none() {
        list.report(Code::TestExpectsNothing, "expect nothing; add expect to a step");
    }
    Some(steps)
}

fn step(item: &Field<'_>) -> Option<Step> {
    let fields = Fields::of(item, STEP);
    let mut actions = fields.iter().filter(|(name, _)| ACTIONS.contains(name));
    let (Some((name, field)), None) = (actions.next(), actions.next()) else {
        let message = format!("must have exactly one of {}", ACTIONS.join(", "));
        item.report(Code::ConflictingFields, message);
        return None;
    };
    let action = match name {
        "request" => exchange(field, &fields),
        "tick" => field.as_boolean().map(|_| Action::Tick),
        "advance" => time_span(field).map(Action::Advance),
        _ => reload(field),
    };
    let expectations = fields.get("expect").map(expectations).unwrap_or_default();
    Some(Step { at: item.location(), action: action?, expectations })
}

fn reload(field: &Field<'_>) -> Option<Action> {
    if field.node().as_map().is_none() {
        return text_of(field).map(Action::Reload);
    }
    let fields = Fields::of(field, RELOAD);
    if fields.get("file").is_none() {
        field.report(Code::FieldMissing, "must be a text, or have a file");
    }
    fields.get("file").and_then(content).map(Action::Reload)
}

fn exchange(request: &Field<'_>, fields: &Fields<'_>) -> Option<Action> {
    let request = values::request(request);
    let response = fields.get("response").map_or_else(|| Some(Parts::response()), values::response);
    Some(Action::Exchange(Box::new(request?), Box::new(response?)))
}

fn setup(fields: &Fields<'_>) -> Option<Setup> {
    let configuration = text_or_file(fields, "configuration", "configuration_file");
    let vm_configuration = fields.get("vm_configuration").map_or(Some(Vec::new()), text_of);
    let root_id = fields.get("root_id").map(Field::as_string);
    let log_level = fields.get("log_level").map_or(Some(LogLevel::Info), level_of);
    let time = fields.get("time").map(time);
    let properties = fields.get("properties").map_or(Some(Vec::new()), pairs);
    let environment = fields.get("environment").map_or(Some(Vec::new()), pairs);
    let clusters = fields.get("clusters").map(texts);
    let callouts = fields.get("callouts").map_or(Some(Vec::new()), callouts);
    let starts = fields.get("starts").map_or(Some(true), Field::as_boolean);
    let properties = properties?.into_iter();
    Some(Setup {
        configuration: configuration?,
        vm_configuration: vm_configuration?,
        root_id: all(root_id)?.map(str::to_owned),
        log_level: log_level?,
        time: all::<Duration>(time)?,
        properties: properties.map(|(name, value)| (property_path(&name), value)).collect(),
        environment: environment?,
        clusters: all(clusters)?,
        callouts: callouts?,
        starts: starts?,
    })
}

/// A field that is there must be valid.
#[expect(clippy::option_option, reason = "invalid, or absent, or valid")]
fn all<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    match field {
        Some(None) => None,
        Some(value) => Some(value),
        None => Some(None),
    }
}

fn callouts(list: &Field<'_>) -> Option<Vec<Callout>> {
    all_of(list.items().iter().map(|item| callout(&item.cursor())))
}

fn callout(item: &Field<'_>) -> Option<Callout> {
    let fields = Fields::of(item, CALLOUT);
    let text = |name| all(fields.get(name).map(Field::as_string));
    let (cluster, path) = (text("cluster")?, text("path")?);
    let answer = match (fields.get("respond"), fields.get("outcome")) {
        (Some(field), None) => {
            let Parts { headers, pieces, trailers } = values::response(field)?;
            let mut message = Message::new(headers).body(pieces.concat());
            message.trailers = trailers;
            CalloutAnswer::Respond(message)
        }
        (None, Some(field)) => match field.as_string()? {
            "failure" => CalloutAnswer::Fail,
            "timeout" => CalloutAnswer::TimeOut,
            "unavailable" => CalloutAnswer::Unavailable,
            _ => {
                field.wrong_kind("failure, timeout or unavailable");
                return None;
            }
        },
        _ => {
            item.report(Code::ConflictingFields, "must have exactly one of respond, outcome");
            return None;
        }
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Some(Callout { cluster: owned(cluster), path: owned(path), answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Published;

    #[test]
    fn the_schema_has_the_same_fields() {
        let schema = Published::read("module-tests.schema.json");
        schema.has("", FILE);
        schema.has("/$defs/test", TEST);
        schema.has("/$defs/step", STEP);
        schema.has("/$defs/step/properties/reload/anyOf/1", RELOAD);
        schema.has("/$defs/test/properties/callouts/items", CALLOUT);
    }
}
