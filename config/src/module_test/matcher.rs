//! Conditions on text.

use std::fmt;

use proxy_wasm_test::{LogLevel, LogLine};
use regex::bytes::{Regex, RegexBuilder};

use crate::finding::{Code, quote};
use crate::testing::{Field, Fields};

const KINDS: &[&str] = &["exact", "prefix", "suffix", "contains", "regex"];
const LOG: &[&str] = &["exact", "prefix", "suffix", "contains", "regex", "level", "absent"];

/// A condition on bytes.
#[derive(Debug)]
pub(super) enum Matcher {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
    Contains(Vec<u8>),
    /// The whole text matches.
    Regex(String, Box<Regex>),
}

/// A condition on the log.
#[derive(Debug)]
pub(super) struct LogMatcher {
    pub(super) level: Option<LogLevel>,
    pub(super) text: Option<Matcher>,
    /// No line may match.
    pub(super) absent: bool,
}

impl Matcher {
    /// A text, which is compared exactly, or one of the kinds.
    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        if field.node().as_map().is_none() {
            return text_of(field).map(Self::Exact);
        }
        let fields = Fields::of(field, KINDS);
        if fields.is_empty() {
            field.report(Code::ConflictingFields, one_of());
        }
        Self::among(field, &fields)
    }

    /// The condition among the fields of a mapping; more than one is a finding.
    pub(super) fn among(field: &Field<'_>, fields: &Fields<'_>) -> Option<Self> {
        let mut kinds = fields.iter().filter(|(name, _)| KINDS.contains(name));
        let (name, text) = kinds.next()?;
        if kinds.next().is_some() {
            field.report(Code::ConflictingFields, one_of());
            return None;
        }
        if name == "regex" {
            return Self::regex(text);
        }
        let bytes = text_of(text)?;
        Some(match name {
            "exact" => Self::Exact(bytes),
            "prefix" => Self::Prefix(bytes),
            "suffix" => Self::Suffix(bytes),
            _ => Self::Contains(bytes),
        })
    }

    /// A regular expression, which the whole text must match.
    pub(super) fn regex(field: &Field<'_>) -> Option<Self> {
        let text = field.as_string()?;
        match RegexBuilder::new(&format!("^(?:{text})$")).build() {
            Ok(regex) => Some(Self::Regex(text.to_owned(), Box::new(regex))),
            Err(error) => {
                let code = match &error {
                    regex::Error::CompiledTooBig(_) => Code::RegexTooLarge,
                    _ => Code::RegexNotValid,
                };
                // The error shows the expression, with a mark under it.
                let error = error.to_string();
                let cause = error.lines().last().unwrap_or_default();
                let cause = cause.trim_start_matches("error: ");
                field.report(code, format!("{} is not valid: {cause}", quote(text)));
                None
            }
        }
    }

    pub(super) fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(expected) => text == expected,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::Contains(part) => {
                part.is_empty() || text.windows(part.len()).any(|window| window == part)
            }
            Self::Regex(_, regex) => regex.is_match(text),
        }
    }
}

fn one_of() -> String {
    format!("must have exactly one of {}", KINDS.join(", "))
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &[u8]| shown(text);
        match self {
            Self::Exact(text) => f.write_str(&shown(text)),
            Self::Prefix(text) => write!(f, "starts with {}", shown(text)),
            Self::Suffix(text) => write!(f, "ends with {}", shown(text)),
            Self::Contains(text) => write!(f, "contains {}", shown(text)),
            Self::Regex(text, _) => write!(f, "matches {text}"),
        }
    }
}

impl LogMatcher {
    /// A text, which a line contains, or a mapping.
    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        if field.node().as_map().is_none() {
            let text = Some(text_of(field).map(Matcher::Contains)?);
            return Some(Self { level: None, text, absent: false });
        }
        let fields = Fields::of(field, LOG);
        let text = Matcher::among(field, &fields);
        let level = match fields.get("level") {
            Some(field) => Some(level_of(field)?),
            None => None,
        };
        let absent = fields.get("absent").map_or(Some(false), Field::as_boolean)?;
        if fields.get("level").is_none() && !fields.iter().any(|(name, _)| KINDS.contains(&name)) {
            field.report(Code::ConflictingFields, "must have a level, a text, or both");
            return None;
        }
        if text.is_none() && level.is_none() {
            return None;
        }
        Some(Self { level, text, absent })
    }

    pub(super) fn holds(&self, log: &[LogLine]) -> bool {
        log.iter().any(|line| self.accepts(line)) != self.absent
    }

    fn accepts(&self, line: &LogLine) -> bool {
        self.level.is_none_or(|level| line.level == level)
            && self.text.as_ref().is_none_or(|text| text.holds(&line.message))
    }
}

impl fmt::Display for LogMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.absent { "no line" } else { "a line" })?;
        if let Some(level) = self.level {
            write!(f, " of level {level}")?;
        }
        match &self.text {
            Some(Matcher::Exact(text)) => write!(f, " that is {}", shown(text)),
            Some(text) => write!(f, " that {text}"),
            None => Ok(()),
        }
    }
}

/// A level of the log, by name.
pub(super) fn level_of(field: &Field<'_>) -> Option<LogLevel> {
    let name = field.as_string()?;
    let level = LEVELS.into_iter().find(|level| level.name().eq_ignore_ascii_case(name));
    if level.is_none() {
        field.wrong_kind("trace, debug, info, warn, error or critical");
    }
    level
}

const LEVELS: [LogLevel; 6] = [
    LogLevel::Trace,
    LogLevel::Debug,
    LogLevel::Info,
    LogLevel::Warn,
    LogLevel::Error,
    LogLevel::Critical,
];

/// A text, or a whole number as text.
pub(super) fn text_of(field: &Field<'_>) -> Option<Vec<u8>> {
    let node = field.node();
    if let Some(number) = node.as_i128() {
        return Some(number.to_string().into_bytes());
    }
    let text = node.as_bytes();
    if text.is_none() {
        field.wrong_kind("a string");
    }
    text.map(<[u8]>::to_vec)
}

/// Bytes for a message: as text if they are text, with escapes otherwise.
pub(super) fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok("") => "(empty)".to_owned(),
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Published;

    #[test]
    fn the_schema_has_the_same_fields() {
        let schema = Published::read("module-tests.schema.json");
        schema.has("/$defs/condition", KINDS);
        schema.has("/$defs/log/anyOf/1", LOG);
    }
}
