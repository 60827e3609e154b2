//! Conditions on a header, as in Envoy's `HeaderMatcher`.

use std::fmt;

use ingress_filter::Pattern;

use crate::finding::Code;
use crate::testing::{Field, Fields, not_empty, required};

const MATCHER: &[&str] = &[
    "name",
    "exact_match",
    "prefix_match",
    "suffix_match",
    "contains_match",
    "regex_match",
    "safe_regex_match",
    "range_match",
    "present_match",
    "string_match",
    "invert_match",
    "treat_missing_header_as_empty",
];
const STRING: &[&str] = &["exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case"];
const REGEX: &[&str] = &["regex", "google_re2"];
const RANGE: &[&str] = &["start", "end"];

/// A condition on one header.
#[derive(Debug)]
pub(super) struct HeaderMatcher {
    pub(super) name: String,
    test: Test,
    ignore_case: bool,
    invert: bool,
    missing_is_empty: bool,
}

#[derive(Debug)]
enum Test {
    Present(bool),
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(String, Box<Pattern<'static>>),
    /// From the first number to the second one, which is excluded.
    Range(i64, i64),
}

impl HeaderMatcher {
    /// The header `name` has this value; a missing one counts as empty.
    pub(super) fn equal(name: String, value: String) -> Self {
        let test = Test::Exact(value);
        Self { name, test, ignore_case: false, invert: false, missing_is_empty: true }
    }

    pub(super) fn read(item: &Field<'_>) -> Option<Self> {
        let fields = Fields::of(item, MATCHER);
        let name = required(item, &fields, "name").and_then(not_empty);
        let flag = |name| fields.get(name).map_or(Some(false), Field::as_boolean);
        let flags = (flag("invert_match"), flag("treat_missing_header_as_empty"));
        let mut tests = fields.iter().filter_map(|(name, field)| match name {
            "name" | "invert_match" | "treat_missing_header_as_empty" => None,
            "present_match" => Some(field.as_boolean().map(|value| (Test::Present(value), false))),
            "range_match" => Some(range(field).map(|test| (test, false))),
            "string_match" => Some(string(field)),
            kind => Some(text(kind, field).map(|test| (test, false))),
        });
        // Without a condition, the header must be present.
        let (test, ignore_case) = tests.next().unwrap_or(Some((Test::Present(true), false)))?;
        if tests.next().is_some() {
            let message = "has two conditions; write each as a separate item";
            item.report(Code::ConflictingFields, message);
            return None;
        }
        let name = name?.to_ascii_lowercase();
        Some(Self { name, test, ignore_case, invert: flags.0?, missing_is_empty: flags.1? })
    }

    /// Whether it holds for this value of the header, or for a missing one.
    pub(super) fn holds(&self, value: Option<&str>) -> bool {
        let value = match (&self.test, value) {
            (Test::Present(wanted), value) => {
                return (value.is_some() == *wanted) != self.invert;
            }
            (_, Some(value)) => value,
            (_, None) if self.missing_is_empty => "",
            // As in Envoy, whether inverted or not.
            (_, None) => return false,
        };
        self.test.holds(&self.folded(value)) != self.invert
    }

    fn folded(&self, text: &str) -> String {
        if self.ignore_case { text.to_ascii_lowercase() } else { text.to_owned() }
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Present(wanted) => *wanted,
            Self::Exact(text) => value == text,
            Self::Prefix(text) => value.starts_with(text),
            Self::Suffix(text) => value.ends_with(text),
            Self::Contains(text) => value.contains(text),
            Self::Regex(_, pattern) => pattern.matches(value.as_bytes()),
            Self::Range(start, end) => {
                value.parse::<i64>().is_ok_and(|number| (*start..*end).contains(&number))
            }
        }
    }
}

impl fmt::Display for HeaderMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.invert {
            f.write_str("not: ")?;
        }
        let name = &self.name;
        match &self.test {
            Test::Present(true) => write!(f, "{name} is present"),
            Test::Present(false) => write!(f, "{name} is absent"),
            Test::Exact(text) => write!(f, "{name}: {text}"),
            Test::Prefix(text) => write!(f, "{name} starts with {text}"),
            Test::Suffix(text) => write!(f, "{name} ends with {text}"),
            Test::Contains(text) => write!(f, "{name} contains {text}"),
            Test::Regex(text, _) => write!(f, "{name} matches {text}"),
            Test::Range(start, end) => write!(f, "{name} is from {start} up to {end}"),
        }
    }
}

/// A condition of the kind in the name of its field.
fn text(kind: &str, field: &Field<'_>) -> Option<Test> {
    if kind.contains("safe_regex") {
        let fields = Fields::of(field, REGEX);
        return required(field, &fields, "regex").and_then(regex);
    }
    let text = || field.as_string().map(str::to_owned);
    match kind.trim_end_matches("_match") {
        "exact" => text().map(Test::Exact),
        "prefix" => text().map(Test::Prefix),
        "suffix" => text().map(Test::Suffix),
        "contains" => text().map(Test::Contains),
        _ => regex(field),
    }
}

fn regex(field: &Field<'_>) -> Option<Test> {
    let text = field.as_string()?;
    match Pattern::new(text) {
        Ok(pattern) => Some(Test::Regex(text.to_owned(), pattern.into())),
        Err(error) => {
            field.report(Code::from(&error), error.to_string());
            None
        }
    }
}

/// A condition on a string, and whether it ignores case.
fn string(field: &Field<'_>) -> Option<(Test, bool)> {
    let fields = Fields::of(field, STRING);
    let ignore_case = fields.get("ignore_case").map_or(Some(false), Field::as_boolean)?;
    let mut kinds = fields.iter().filter(|(name, _)| *name != "ignore_case");
    let (Some((kind, condition)), None) = (kinds.next(), kinds.next()) else {
        let message = "must have exactly one of exact, prefix, suffix, contains and safe_regex";
        field.report(Code::ConflictingFields, message);
        return None;
    };
    let lower = |text: String| if ignore_case { text.to_ascii_lowercase() } else { text };
    let test = match text(kind, condition)? {
        Test::Exact(text) => Test::Exact(lower(text)),
        Test::Prefix(text) => Test::Prefix(lower(text)),
        Test::Suffix(text) => Test::Suffix(lower(text)),
        Test::Contains(text) => Test::Contains(lower(text)),
        // As in Envoy, a regular expression has its own syntax for that.
        test => return Some((test, false)),
    };
    Some((test, ignore_case))
}

fn range(field: &Field<'_>) -> Option<Test> {
    let fields = Fields::of(field, RANGE);
    let bound = |name| fields.get(name).map_or(Some(0), |field| field.integer("a whole number"));
    Some(Test::Range(bound("start")?, bound("end")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, Findings};
    use crate::testing::{Published, read_documents};

    fn read(text: &str) -> Result<HeaderMatcher, Vec<Finding>> {
        let (mut findings, mut matcher) = (Findings::new(), None);
        read_documents(&"t".into(), text, &mut findings, |root| {
            matcher = HeaderMatcher::read(root);
        });
        let findings = findings.into_sorted();
        matcher.filter(|_| findings.is_empty()).ok_or(findings)
    }

    #[test]
    fn each_condition_holds_as_in_envoy() {
        for (matcher, value, expected) in [
            ("{name: A}", Some(""), true),
            ("{name: a}", None, false),
            ("{name: a, present_match: false}", None, true),
            ("{name: a, present_match: true, invert_match: true}", None, true),
            ("{name: a, exact_match: x}", Some("x"), true),
            ("{name: a, exact_match: x}", Some("X"), false),
            ("{name: a, exact_match: x, invert_match: true}", Some("y"), true),
            ("{name: a, exact_match: x, invert_match: true}", None, false),
            (
                "{name: a, exact_match: x, invert_match: true, treat_missing_header_as_empty: true}",
                None,
                true,
            ),
            ("{name: a, string_match: {exact: xY, ignore_case: true}}", Some("Xy"), true),
            ("{name: a, string_match: {prefix: x}}", Some("xy"), true),
            ("{name: a, stringMatch: {suffix: x}}", Some("xy"), false),
            ("{name: a, string_match: {contains: y}}", Some("xyz"), true),
            ("{name: a, string_match: {safe_regex: {regex: x+}}}", Some("xx"), true),
            ("{name: a, safe_regex_match: {google_re2: {}, regex: x+}}", Some("xxy"), false),
            ("{name: a, regex_match: x.}", Some("xy"), true),
            ("{name: a, suffix_match: y}", Some("xy"), true),
            ("{name: a, contains_match: z}", Some("xy"), false),
            ("{name: a, range_match: {start: -1, end: '10'}}", Some("9"), true),
            ("{name: a, range_match: {start: -1, end: 10}}", Some("10"), false),
            ("{name: a, range_match: {end: 10}}", Some("x"), false),
        ] {
            let result = read(matcher).unwrap().holds(value);
            assert_eq!(result, expected, "{matcher} {value:?}");
        }
        assert!(HeaderMatcher::equal("a".into(), String::new()).holds(None));
    }

    #[test]
    fn what_is_no_condition_says_so() {
        for (matcher, expected) in [
            ("{exact_match: x}", "t:1:1: error: name is missing"),
            ("{name: a, exact_match: x, prefix_match: y}", "two conditions"),
            ("{name: a, string_match: {}}", "must have exactly one of exact"),
            ("{name: a, regex_match: '('}", "t:1:11: error: regex_match: "),
            ("{name: a, presence_match: true}", "did you mean present_match?"),
            ("{name: a, range_match: {start: x}}", "must be a whole number"),
        ] {
            let said: String = read(matcher).unwrap_err().iter().map(ToString::to_string).collect();
            assert!(said.contains(expected), "{matcher}: {said}");
        }
    }

    #[test]
    fn the_schema_has_the_same_fields() {
        let schema = Published::read("route-tests.schema.json");
        schema.has("/$defs/matcher", MATCHER);
        schema.has("/$defs/matcher/properties/string_match", STRING);
        schema.has("/$defs/regex", REGEX);
        schema.has("/$defs/matcher/properties/range_match", RANGE);
    }
}
