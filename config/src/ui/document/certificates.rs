//! Certificates, without their keys.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;

use crate::certificates::KeyType;
use crate::model::Https;

/// A certificate that is served.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Certificate<'a> {
    /// `namespace/secret`, or `default`.
    name: &'a str,
    /// The hosts of Ingresses that have it.
    hosts: Vec<&'a str>,
    /// The names in the certificate.
    names: &'a [String],
    key_type: &'static str,
    valid_from: String,
    valid_to: String,
    /// Whole days until it expires; negative afterwards.
    days_left: i64,
}

pub(super) fn of(https: &Https, now: SystemTime) -> Vec<Certificate<'_>> {
    let certificates = https.certificates.iter().map(|(name, certificate)| {
        let (from, to) = certificate.validity();
        let is_its = |other: &String| {
            let alternatives = https.alternatives.get(other);
            other == name || alternatives.is_some_and(|names| names.contains(name))
        };
        let hosts = https.hosts.iter().filter(|(_, other)| is_its(other));
        Certificate {
            name,
            hosts: hosts.map(|(host, _)| &**host).collect(),
            names: &certificate.names,
            key_type: match certificate.key_type {
                KeyType::Rsa => "RSA",
                KeyType::Ec => "ECDSA",
                KeyType::Ed25519 => "Ed25519",
            },
            valid_from: date(from),
            valid_to: date(to),
            days_left: days(now, to),
        }
    });
    let mut certificates: Vec<_> = certificates.collect();
    certificates.sort_by_key(|certificate| certificate.days_left);
    certificates
}

fn date(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| time.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// Whole days from `now` to `end`.
fn days(now: SystemTime, end: SystemTime) -> i64 {
    const DAY: u64 = 24 * 60 * 60;
    let whole = |seconds: u64| i64::try_from(seconds / DAY).unwrap_or(i64::MAX);
    match end.duration_since(now) {
        Ok(left) => whole(left.as_secs()),
        Err(error) => -whole(error.duration().as_secs() + DAY),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_whole() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 100);
        for (hours, expected) in [(47, 1), (48, 2), (23, 0), (0, 0)] {
            assert_eq!(days(now, now + Duration::from_hours(hours)), expected, "{hours}");
        }
        assert_eq!(days(now, now - Duration::from_hours(1)), -1);
        assert_eq!(days(now, now - Duration::from_hours(25)), -2);
        assert_eq!(date(now), "1970-04-11");
    }
}
