//! Errors of a route table.

use std::fmt;

/// The reason why a route table was rejected.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not JSON, or its shape is not valid.
    Format(serde_json::Error),
    /// It is in a version of the flat form that is not supported.
    FlatVersion,
    /// It is in the flat form, but its digest does not match.
    Damaged,
    /// Its flat form would take 4 GiB or more.
    TooLarge,
    /// A field has a value that is not valid.
    Invalid {
        /// The field, such as `virtual_hosts[2].routes[0].backend`.
        place: String,
        /// The problem and the remedy.
        reason: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The message ends in "at line … column …".
            Self::Format(error) => write!(f, "{error}"),
            Self::FlatVersion => f.write_str(
                "has a flat form that this version does not support; \
                 convert it with the `ingressctl` of the same version",
            ),
            Self::Damaged => f.write_str(
                "is in the flat form, but its digest does not match its content; convert it again",
            ),
            Self::TooLarge => {
                f.write_str("has 4 GiB or more in the flat form; reduce the number of routes")
            }
            Self::Invalid { place, reason } => write!(f, "{place}: {reason}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// The bytes are not a valid encoding. The digest finds damaged tables, so the table
/// was encoded wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl From<Broken> for LoadError {
    fn from(_: Broken) -> Self {
        Self::Damaged
    }
}

pub(crate) fn invalid(place: impl Into<String>, reason: impl Into<String>) -> LoadError {
    LoadError::Invalid { place: place.into(), reason: reason.into() }
}

/// The position of a field in a table, such as `backends[2].rules[0]`, formatted only
/// for an error.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Field(&'p str),
    Item(&'p str, usize),
}

impl<'p> Place<'p> {
    pub(crate) fn root(field: &'p str) -> Self {
        Self { parent: None, step: Step::Field(field) }
    }

    pub(crate) fn root_item(list: &'p str, index: usize) -> Self {
        Self { parent: None, step: Step::Item(list, index) }
    }

    pub(crate) fn field(&'p self, name: &'p str) -> Self {
        Self { parent: Some(self), step: Step::Field(name) }
    }

    pub(crate) fn item(&'p self, list: &'p str, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Item(list, index) }
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> LoadError {
        invalid(self.to_string(), reason)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        match self.step {
            Step::Field(name) => f.write_str(name),
            Step::Item(list, index) => write!(f, "{list}[{index}]"),
        }
    }
}
