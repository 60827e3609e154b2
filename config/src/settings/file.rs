//! Reads the settings file, and describes its errors with their positions.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_saphyr::{DefaultMessageFormatter, Error, MessageFormatter};

use super::Settings;
use crate::finding::{Code, Finding, Location, quote};
use crate::manifest::{ReadFailure, nearest};

/// Reads the settings in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Settings, Box<Finding>> {
    let file: Arc<str> = path.to_string_lossy().into();
    let text = fs::read_to_string(path)
        .map_err(|error| Box::new(ReadFailure::new(&file, error).finding()))?;
    let options = serde_saphyr::options! { with_snippet: false };
    // A file without content, or with only comments, is null.
    let settings: Result<Option<Settings>, _> = serde_saphyr::from_str_with_options(&text, options);
    match settings {
        Ok(settings) => Ok(settings.unwrap_or_default()),
        Err(error) => {
            let finding = Finding::new(code_of(&error), describe(&error));
            Err(Box::new(finding.at(place_of(&file, &error))))
        }
    }
}

fn place_of(file: &Arc<str>, error: &Error) -> Location {
    let Some(at) = error.location() else { return Location::start_of(file) };
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Location { file: Arc::clone(file), line: number(at.line()), column: number(at.column()) }
}

fn code_of(error: &Error) -> Code {
    match error.without_snippet() {
        Error::SerdeUnknownField { .. } => Code::SettingUnknown,
        _ => Code::SettingNotValid,
    }
}

fn describe(error: &Error) -> String {
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("{} is not a known setting; {}", quote(field), known(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{} is not allowed here; {}", quote(variant), known(variant, expected))
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key {} is given twice; keep one", quote(key))
        }
        Error::InvalidScalar { ty: "boolean", .. } => {
            "is not a boolean; write true or false".into()
        }
        Error::InvalidScalar { ty: "u16", .. } => {
            "is not a port; write a number from 1 to 65535".into()
        }
        Error::InvalidScalar { ty: "u32" | "u64", .. } => {
            "is not a count; write a whole number, 0 or more".into()
        }
        Error::Unexpected { expected: "mapping start", .. } => {
            "is not a mapping; write keys with values, as in key: value".into()
        }
        Error::Unexpected { expected: "string scalar", .. } => {
            "is not a string; write a single value".into()
        }
        error => DefaultMessageFormatter.format_message(error).into_owned(),
    }
}

/// The known name that is most similar to `name`, or all known names.
fn known(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("did you mean {}?", quote(nearest)),
        None => format!("known here: {}", known.join(", ")),
    }
}
