//! A percentage of requests.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// More than 0 and at most 100, in steps of 0.0001, which Envoy can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percentage(u32);

/// An invalid percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a percentage of requests; write a number above 0 and up to 100, such as 1 or 0.01")]
pub struct PercentageError;

impl Percentage {
    pub(crate) const ALL: Self = Self(1_000_000);
    pub(crate) const ONE_PERCENT: Self = Self(10_000);

    /// In millionths.
    pub(crate) const fn millionths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Percentage {
    type Error = PercentageError;

    fn try_from(percent: f64) -> Result<Self, PercentageError> {
        let millionths = (percent * 10_000.0).round();
        if (1.0..=1_000_000.0).contains(&millionths) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is a whole number in that range"
            )]
            return Ok(Self(millionths as u32));
        }
        Err(PercentageError)
    }
}

impl From<Percentage> for f64 {
    fn from(Percentage(millionths): Percentage) -> Self {
        Self::from(millionths) / 10_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_a_part_of_all() {
        for (percent, millionths) in [(100.0, 1_000_000), (0.01, 100), (0.0001, 1), (33.3, 333_000)]
        {
            assert_eq!(Percentage::try_from(percent), Ok(Percentage(millionths)));
            assert!((f64::from(Percentage(millionths)) - percent).abs() < 1e-9);
        }
        for bad in [0.0, -1.0, 100.1, 0.000_01, f64::NAN, f64::INFINITY] {
            assert_eq!(Percentage::try_from(bad), Err(PercentageError));
        }
    }
}
