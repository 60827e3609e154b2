//! Suites in the format of service-extensions: the message `TestSuite`, in protobuf's text format
//! or in YAML.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proxy_wasm_test::{HeaderMap, LogLevel};

use super::case::{Case, Script, Setup};
use super::http1;
use super::matcher::{Matcher, level_of, text_of};
use super::phases::{Body, Check, Chunks, Expectation, Immediate, Phase, Phases, StringMatcher};
use super::values::{all_of, content, property_path};
use crate::finding::Code;
use crate::testing::{Field, Fields, not_empty, required};

const SUITE: &[&str] = &["env", "test"];
const ENV: &[&str] = &[
    "test_path",
    "wasm_path",
    "config_path",
    "log_level",
    "log_path",
    "time_secs",
    "num_additional_streams",
    "additional_stream_advance_rate",
];
const TEST: &[&str] = &[
    "name",
    "benchmark",
    "num_chunks",
    "chunk_size",
    "properties",
    "request_headers",
    "request_body",
    "response_headers",
    "response_body",
    "plugin_init",
    "stream_init",
    "stream_destroy",
];
const INVOCATION: &[&str] = &["input", "result"];
const INPUT: &[&str] = &["header", "content", "file"];
const HEADER: &[&str] = &["key", "value"];
const PROPERTY: &[&str] = &["path", "value"];
const RESULT: &[&str] = &["has_header", "no_header", "headers", "body", "immediate", "log"];
const IMMEDIATE: &[&str] = &["http_status", "grpc_status", "details"];
const MATCHER: &[&str] = &["invert", "exact", "regex", "file"];
const WHOLE: &str = "a whole number of 0 or more";

/// Whether a document is such a suite.
pub(super) fn is_suite(root: &Field<'_>) -> bool {
    SUITE.iter().any(|name| root.node().get(name).is_some())
}

/// The cases of a suite.
pub(super) fn cases_of(root: &Field<'_>) -> Vec<Case> {
    let fields = Fields::of(root, SUITE);
    let Some(env) = fields.get("env").map_or(Some(Env::default()), env) else { return Vec::new() };
    let Some(tests) = fields.get("test") else { return Vec::new() };
    each(tests, |test| case(test, &env)).into_iter().flatten().collect()
}

/// What is the same for all cases of a suite.
struct Env {
    configuration: Option<Vec<u8>>,
    log_level: LogLevel,
    time: Duration,
}

impl Default for Env {
    fn default() -> Self {
        // One millisecond after the epoch, as in the runner of these suites.
        let time = Duration::from_millis(1);
        Self { configuration: None, log_level: LogLevel::Info, time }
    }
}

fn env(field: &Field<'_>) -> Option<Env> {
    let fields = Fields::of(field, ENV);
    let mut env = Env::default();
    if let Some(level) =
        fields.get("log_level").filter(|it| it.node().as_str() != Some("UNDEFINED"))
    {
        env.log_level = level_of(level)?;
    }
    if let Some(time) = fields.get("time_secs") {
        let seconds: u64 = time.integer(WHOLE)?;
        if seconds > 0 {
            env.time = Duration::from_secs(seconds);
        }
    }
    if let Some(path) = fields.get("config_path") {
        env.configuration = Some(configuration(path)?);
    }
    Some(env)
}

/// The runner of these suites reads this path relative to its working folder; ours is also read
/// relative to the suite, as all other paths are.
fn configuration(field: &Field<'_>) -> Option<Vec<u8>> {
    let path = Path::new(field.as_string()?);
    fs::read(path).ok().or_else(|| content(field))
}

/// A repeated field: a list, or the value alone.
fn each<T>(field: &Field<'_>, mut read: impl FnMut(&Field<'_>) -> T) -> Vec<T> {
    if field.node().as_list().is_none() {
        return vec![read(field)];
    }
    field.items().iter().map(|item| read(&item.cursor())).collect()
}

/// A repeated field that may be absent. It is valid if each of its values is.
fn all<T>(
    fields: &Fields<'_>,
    name: &str,
    read: impl FnMut(&Field<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    fields.get(name).map_or(Some(Vec::new()), |field| all_of(each(field, read).into_iter()))
}

fn case(test: &Field<'_>, env: &Env) -> Option<Case> {
    let fields = Fields::of(test, TEST);
    let name = required(test, &fields, "name").and_then(not_empty);
    let properties = all(&fields, "properties", property);
    let phases = phases(&fields);
    let setup = Setup {
        configuration: env.configuration.clone(),
        log_level: env.log_level,
        time: Some(env.time),
        properties: properties?,
        ..Setup::default()
    };
    let script = Script::Phases(Box::new(phases?));
    Some(Case { name: name?.to_owned(), at: test.location(), setup, script })
}

fn phases(fields: &Fields<'_>) -> Option<Phases> {
    let headers = |name, is_request| match fields.get(name) {
        Some(field) => headers_phase(field, is_request).map(Some),
        None => Some(None),
    };
    let request_headers = headers("request_headers", true);
    let request_body = all(fields, "request_body", body_phase);
    let response_headers = headers("response_headers", false);
    let response_body = all(fields, "response_body", body_phase);
    let logs = |name| fields.get(name).map_or(Some(Vec::new()), side_effects);
    let (start, begin, end) = (logs("plugin_init"), logs("stream_init"), logs("stream_destroy"));
    let chunks = chunks(fields);
    let phases = Phases {
        request_headers: request_headers?,
        request_body: request_body?,
        response_headers: response_headers?,
        response_body: response_body?,
        plugin_init: start?,
        stream_init: begin?,
        stream_destroy: end?,
        chunks: chunks?,
    };
    if phases.chunks.is_some() {
        for (name, bodies) in
            [("request_body", &phases.request_body), ("response_body", &phases.response_body)]
        {
            if let Some(field) = fields.get(name).filter(|_| bodies.len() > 1) {
                let message = "occurs more than once, which chunks do not allow; keep one";
                field.report(Code::ConflictingFields, message);
            }
        }
    }
    Some(phases)
}

#[expect(clippy::option_option, reason = "invalid, or absent, or valid")]
fn chunks(fields: &Fields<'_>) -> Option<Option<Chunks>> {
    let size = |field: &Field<'_>| {
        let size: usize = field.integer("a whole number above 0")?;
        if size == 0 {
            field.wrong_kind("a whole number above 0");
        }
        (size > 0).then_some(size)
    };
    match (fields.get("num_chunks"), fields.get("chunk_size")) {
        (Some(_), Some(field)) => {
            field.report(Code::ConflictingFields, "is there next to num_chunks; keep one of them");
            None
        }
        (Some(field), None) => size(field).map(|number| Some(Chunks::Number(number))),
        (None, Some(field)) => size(field).map(|size| Some(Chunks::Size(size))),
        (None, None) => Some(None),
    }
}

fn property(field: &Field<'_>) -> Option<(Vec<String>, Vec<u8>)> {
    let fields = Fields::of(field, PROPERTY);
    let path = needed(field, &fields, "path", "write the name of the property");
    let value = fields.get("value").map_or(Some(Vec::new()), text_of);
    Some((property_path(path?), value?))
}

fn headers_phase(field: &Field<'_>, is_request: bool) -> Option<Phase<HeaderMap>> {
    let fields = Fields::of(field, INVOCATION);
    let input = fields.get("input").map_or(Some(HeaderMap::new()), |input| {
        let fields = Fields::of(input, INPUT);
        if let Some(file) = fields.get("file") {
            return http1::headers(file, &content(file)?, is_request);
        }
        if let Some(text) = fields.get("content") {
            return http1::headers(text, &text_of(text)?, is_request);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in all(&fields, "header", header)? {
            join(&mut headers, &name, &value);
        }
        Some(headers)
    });
    let expectations = fields.get("result").map_or(Some(Vec::new()), result);
    Some(Phase { at: field.location(), input: input?, expectations: expectations? })
}

/// Adds a header. Values of the same header become one.
pub(super) fn join(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    match headers.get(name).filter(|known| !known.is_empty()) {
        Some(known) => {
            let joined = [known, b", ", value].concat();
            headers.replace(name, joined);
        }
        None => headers.replace(name, value),
    }
}

/// A text that is not empty. If it is absent, that is a finding with `remedy`.
fn needed<'f>(
    parent: &Field<'_>,
    fields: &Fields<'f>,
    name: &'static str,
    remedy: &str,
) -> Option<&'f str> {
    let field = fields.get(name);
    if field.is_none() && parent.node().as_map().is_some() {
        parent.report(Code::FieldMissing, format!("{name} is missing; {remedy}"));
    }
    field.and_then(not_empty)
}

fn header(field: &Field<'_>) -> Option<(String, Vec<u8>)> {
    let fields = Fields::of(field, HEADER);
    let key = needed(field, &fields, "key", "write the name of the header");
    let value = fields.get("value").map_or(Some(Vec::new()), text_of);
    Some((key?.to_owned(), value?))
}

fn body_phase(field: &Field<'_>) -> Option<Phase<Body>> {
    let fields = Fields::of(field, INVOCATION);
    let input = fields.get("input").map_or(Some(Vec::new()), |input| {
        let fields = Fields::of(input, INPUT);
        if let Some(header) = fields.get("header") {
            header.report(Code::FieldIgnored, "has no effect in a body; remove it");
        }
        match fields.get("file") {
            Some(file) => content(file),
            None => fields.get("content").map_or(Some(Vec::new()), text_of),
        }
    });
    let expectations = fields.get("result").map_or(Some(Vec::new()), result);
    Some(Phase { at: field.location(), input: Body(input?), expectations: expectations? })
}

/// Of these phases, only the log is compared.
fn side_effects(field: &Field<'_>) -> Option<Vec<Expectation>> {
    let expectations = result(field)?.into_iter();
    Some(expectations.filter(|it| matches!(it.check, Check::Log(_))).collect())
}

fn result(field: &Field<'_>) -> Option<Vec<Expectation>> {
    let fields = Fields::of(field, RESULT);
    let mut valid = true;
    let mut expectations = Vec::new();
    for (name, field) in fields.iter() {
        for expectation in each(field, |item| expectation(name, item)) {
            valid &= expectation.is_some();
            expectations.extend(expectation);
        }
    }
    valid.then_some(expectations)
}

fn expectation(name: &str, item: &Field<'_>) -> Option<Expectation> {
    let check = match name {
        "has_header" => header(item).map(|(name, value)| Check::HasHeader(name, value)),
        "no_header" => header(item).map(|(name, _)| Check::NoHeader(name)),
        "headers" => string_matcher(item).map(Check::Line),
        "body" => string_matcher(item).map(Check::Body),
        "log" => string_matcher(item).map(Check::Log),
        _ => immediate(item).map(Check::Immediate),
    };
    let path = item.path();
    // The position of the test, `test[3].`, is redundant, because the report has its name.
    let field = path.split_once('.').map_or(&*path, |(_, rest)| rest).to_owned();
    Some(Expectation { at: item.location(), field, check: check? })
}

fn immediate(item: &Field<'_>) -> Option<Immediate> {
    let fields = Fields::of(item, IMMEDIATE);
    let number = |name| match fields.get(name) {
        Some(field) => field.integer(WHOLE).map(Some),
        None => Some(None),
    };
    let details = match fields.get("details") {
        Some(field) => text_of(field).map(Some),
        None => Some(None),
    };
    let (http_status, grpc_status) = (number("http_status"), number("grpc_status"));
    Some(Immediate { http_status: http_status?, grpc_status: grpc_status?, details: details? })
}

fn string_matcher(item: &Field<'_>) -> Option<StringMatcher> {
    let fields = Fields::of(item, MATCHER);
    let invert = fields.get("invert").map_or(Some(false), |field| match field.node().as_str() {
        // The YAML of these suites may have booleans in quotes.
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => field.as_boolean(),
    });
    let mut kinds = fields.iter().filter(|(name, _)| *name != "invert");
    let (Some((kind, field)), None) = (kinds.next(), kinds.next()) else {
        item.report(Code::ConflictingFields, "must have exactly one of exact, regex, file");
        return None;
    };
    let matcher = match kind {
        "exact" => text_of(field).map(Matcher::Exact),
        "regex" => Matcher::regex(field),
        _ => content(field).map(Matcher::Exact),
    };
    Some(StringMatcher { invert: invert?, matcher: matcher? })
}
