//! Durations.

use std::str::FromStr;

use ingress_filter::duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::finding::quote;

/// A duration, written as in `4s`, `500ms` or `1m30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeLimit(u32);

impl TimeLimit {
    pub(super) const fn of_seconds(seconds: u16) -> Self {
        // Lossless, and within bounds; `From` is not const.
        Self(seconds as u32 * 1_000)
    }

    /// In milliseconds, 1 or more.
    pub fn milliseconds(self) -> u32 {
        self.0
    }
}

/// Not a valid duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not a duration from 1ms to 49 days; write it as in 4s, 500ms or 1m30s", quote(.0))]
pub struct TimeLimitError(String);

impl FromStr for TimeLimit {
    type Err = TimeLimitError;

    fn from_str(text: &str) -> Result<Self, TimeLimitError> {
        duration::parse(text.as_bytes()).map(Self).ok_or_else(|| TimeLimitError(text.into()))
    }
}

impl TryFrom<String> for TimeLimit {
    type Error = TimeLimitError;

    fn try_from(text: String) -> Result<Self, TimeLimitError> {
        text.parse()
    }
}

impl From<TimeLimit> for String {
    fn from(limit: TimeLimit) -> Self {
        format!("{}ms", limit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_is_a_duration() {
        let limit: TimeLimit = "1m30s".parse().unwrap();
        assert_eq!(limit.milliseconds(), 90_000);
        assert_eq!(String::from(limit).parse(), Ok(limit));
        for bad in ["", "15", "0s", "-1s", "50d"] {
            assert!(bad.parse::<TimeLimit>().is_err(), "{bad}");
        }
    }
}
