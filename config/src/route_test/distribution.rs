//! The distribution of many equal requests among clusters.

use std::collections::BTreeMap;

use crate::finding::Code;
use crate::testing::{Field, Fields};

const DISTRIBUTION: &[&str] = &["requests", "tolerance", "clusters"];
const REQUESTS: u32 = 10_000;
const MAX_REQUESTS: u32 = 1_000_000;
/// The allowed difference in standard deviations: in one of 16,000 runs with correct weights
/// it is greater than four.
const SIGMAS: f64 = 4.0;
/// The allowed difference between the sum of the shares and 100, for rounding.
const ROUNDING: f64 = 0.5;

/// Expected shares of many requests, in percent.
#[derive(Debug)]
pub(super) struct Distribution {
    pub(super) requests: u32,
    /// The allowed difference in percentage points.
    tolerance: Option<f64>,
    /// The shares by cluster, whose name is empty for requests that are not forwarded.
    shares: Vec<(String, f64)>,
}

impl Distribution {
    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        let fields = Fields::of(field, DISTRIBUTION);
        let requests = fields.get("requests").map_or(Some(REQUESTS), requests);
        let tolerance = fields.get("tolerance").map(percent);
        let Some(clusters) = fields.get("clusters") else {
            let message = "clusters is missing; write the percentage of each cluster";
            field.report(Code::FieldMissing, message);
            return None;
        };
        clusters.expect_mapping();
        let shares: Vec<_> = clusters
            .fields()
            .map(|(name, share)| Some((name.name.to_string(), percent(&share)?)))
            .collect::<Option<_>>()?;
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        if (sum - 100.0).abs() > ROUNDING {
            let message = format!("the shares sum to {sum} percent; they must sum to 100");
            clusters.report(Code::DistributionNot100, message);
            return None;
        }
        Some(Self {
            requests: requests?,
            tolerance: tolerance.map_or(Some(None), |t| t.map(Some))?,
            shares,
        })
    }

    /// The expected and the actual share of each cluster with a difference.
    pub(super) fn compare(&self, drawn: &BTreeMap<Option<String>, u32>) -> Vec<(String, String)> {
        let share_of = |cluster: &str| {
            let cluster = Some(cluster.to_owned()).filter(|cluster| !cluster.is_empty());
            100.0 * f64::from(drawn.get(&cluster).copied().unwrap_or_default())
                / f64::from(self.requests)
        };
        let unexpected = drawn.keys().map(|cluster| cluster.as_deref().unwrap_or_default());
        let unexpected = unexpected
            .filter(|cluster| !self.shares.iter().any(|(name, _)| name == cluster))
            .map(|cluster| (cluster, 0.0));
        let expected = self.shares.iter().map(|(name, share)| (name.as_str(), *share));
        expected
            .chain(unexpected)
            .filter_map(|(cluster, share)| {
                let (got, tolerance) = (share_of(cluster), self.tolerance_of(share));
                let name = if cluster.is_empty() { "no upstream" } else { cluster };
                let is_off = (got - share).abs() > tolerance;
                is_off.then(|| {
                    (
                        format!("{share} % (± {tolerance:.2}) to {name}"),
                        format!("{got} % to {name}"),
                    )
                })
            })
            .collect()
    }

    fn tolerance_of(&self, share: f64) -> f64 {
        self.tolerance.unwrap_or_else(|| {
            let share = (share / 100.0).clamp(0.0, 1.0);
            let deviation = (share * (1.0 - share) / f64::from(self.requests)).sqrt();
            100.0 * SIGMAS * deviation
        })
    }
}

fn requests(field: &Field<'_>) -> Option<u32> {
    let wanted = "a number of requests, 1 to 1000000";
    let requests = field.integer(wanted)?;
    if !(1..=MAX_REQUESTS).contains(&requests) {
        field.wrong_kind(wanted);
        return None;
    }
    Some(requests)
}

fn percent(field: &Field<'_>) -> Option<f64> {
    let percent = field.node().as_f64().filter(|percent| (0.0..=100.0).contains(percent));
    if percent.is_none() {
        field.wrong_kind("a percentage, 0 to 100");
    }
    percent
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(tolerance: Option<f64>) -> Distribution {
        let shares = vec![("a".into(), 75.0), ("b".into(), 25.0), ("c".into(), 0.0)];
        Distribution { requests: 10_000, tolerance, shares }
    }

    fn drawn(a: u32, b: u32, none: u32) -> BTreeMap<Option<String>, u32> {
        let drawn = [(Some("a".into()), a), (Some("b".into()), b), (None, none)];
        drawn.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn the_schema_has_the_same_fields() {
        let schema = crate::testing::Published::read("route-tests.schema.json");
        let pointer = "/$defs/validate/properties/ingress/properties/distribution";
        schema.has(pointer, DISTRIBUTION);
    }

    #[test]
    fn four_deviations_are_tolerated() {
        assert!(distribution(None).compare(&drawn(7_600, 2_400, 0)).is_empty());
        let off = distribution(None).compare(&drawn(7_700, 2_300, 0));
        let expected = ("75 % (± 1.73) to a".to_owned(), "77 % to a".to_owned());
        assert_eq!((off.len(), &off[0]), (2, &expected));
        assert!(distribution(Some(2.0)).compare(&drawn(7_700, 2_300, 0)).is_empty());
    }

    #[test]
    fn what_was_not_expected_is_off() {
        let off = distribution(None).compare(&drawn(7_500, 2_499, 1));
        let expected = ("0 % (± 0.00) to no upstream".into(), "0.01 % to no upstream".into());
        assert_eq!(off, [expected]);
    }
}
