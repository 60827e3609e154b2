//! A condition on one header.

use std::rc::Rc;

use crate::error::{LoadError, Place};
use crate::headers;
use crate::pattern::Pattern;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The path up to its query.
    Path,
    Authority,
    Method,
    /// As Envoy says it in `x-forwarded-proto`.
    Scheme,
    Header(Box<str>),
}

impl Source {
    /// By the name of a header as a table writes it at `place`.
    pub(super) fn new(name: &str, place: &Place<'_>) -> Result<Self, LoadError> {
        Ok(match name {
            ":path" => Self::Path,
            ":authority" => Self::Authority,
            ":method" => Self::Method,
            ":scheme" => Self::Scheme,
            name if headers::is_name(name) => Self::Header(name.into()),
            name => {
                let reason = format!("{name:?} is no header's name; write it in lower case");
                return Err(place.error(reason));
            }
        })
    }

    /// Whether it has been read before any rule is looked at.
    fn is_known(&self) -> bool {
        matches!(self, Self::Path | Self::Authority)
    }
}

/// How a value is compared.
#[derive(Debug)]
pub(crate) enum Test {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Regex(Rc<Pattern>),
}

impl Test {
    pub(crate) fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => value == &**text,
            Self::Prefix(text) => value.starts_with(text),
            Self::Regex(pattern) => pattern.matches(value),
        }
    }
}

#[derive(Debug)]
pub(super) struct Condition {
    slot: u32,
    cost: u8,
    test: Test,
}

impl Condition {
    pub(super) fn new(slot: u32, source: &Source, test: Test) -> Self {
        let is_regex = matches!(test, Test::Regex(_));
        let cost = u8::from(!source.is_known()) * 2 + u8::from(is_regex);
        Self { slot, cost, test }
    }

    /// What to look at first: what is known, before what costs a host call;
    /// bytes, before regular expressions.
    pub(super) fn cost(&self) -> u8 {
        self.cost
    }

    /// The number of the slot that has the value.
    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    pub(super) fn holds(&self, value: &[u8]) -> bool {
        self.test.holds(value)
    }
}
