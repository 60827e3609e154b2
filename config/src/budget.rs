//! Resource limits of one object, a namespace, and all objects together. Without
//! limits, one namespace could exhaust the memory of the controller and of Envoy,
//! or slow down the changes of others.
//!
//! `DEFAULTS` has the limits; the settings change them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A resource with a budget.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "camelCase")]
pub enum Resource {
    /// Paths of Ingresses, which are records of the route table.
    Paths,
    /// Hosts of Ingresses.
    Hosts,
    /// Wildcards under `spec.tls`, which a TLS handshake tries one by one.
    TlsWildcards,
    /// Secrets that Ingresses, and Services for TLS, name. Each needs a watch, and those
    /// of Ingresses a filter chain of Envoy.
    Secrets,
    /// Ports of services, and of their versions, that Ingresses and rules name.
    /// Each is a cluster of Envoy.
    Services,
    /// `RouteRules`.
    Rules,
    /// Conditions of `RouteRules`. A request may have to be compared with all those
    /// of its service.
    Conditions,
    /// Addresses at each port of `EndpointSlices` and Endpoints.
    Endpoints,
    /// The approximate bytes of text from Ingresses and rules in the route table.
    Bytes,
    /// Compiled regular expressions.
    RegexBytes,
    /// The approximate memory that Envoy needs for TLS to ports of services. Each has a
    /// copy of the authorities.
    TlsBytes,
}

/// The scope of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One object.
    Object,
    /// All objects of a namespace.
    Namespace,
    /// All objects.
    Total,
}

/// The default limits of an object, of a namespace and of all objects. The memory
/// limits in `config/deploy` are large enough for the last.
const DEFAULTS: [(Resource, [u64; 3]); 11] = [
    (Resource::Paths, [100_000, 100_000, 125_000]),
    (Resource::Hosts, [20_000, 100_000, 125_000]),
    (Resource::TlsWildcards, [100, 200, 1_000]),
    (Resource::Secrets, [500, 1_000, 5_000]),
    (Resource::Services, [5_000, 15_000, 20_000]),
    (Resource::Rules, [1, 20_000, 50_000]),
    (Resource::Conditions, [10_000, 100_000, 250_000]),
    (Resource::Endpoints, [20_000, 100_000, 200_000]),
    (Resource::Bytes, [16 << 20, 16 << 20, 32 << 20]),
    // Enough for about a hundred typical expressions, of 1 to 12 KB each. They
    // compile in less than half a second.
    (Resource::RegexBytes, [512 << 10, 512 << 10, 16 << 20]),
    // For a namespace, enough for 215 ports with the authorities of the system, or 3,500
    // with one of their own.
    (Resource::TlsBytes, [64 << 20, 64 << 20, 192 << 20]),
];

impl Resource {
    /// All resources.
    pub fn all() -> impl Iterator<Item = Self> {
        DEFAULTS.into_iter().map(|(resource, _)| resource)
    }

    /// The name in settings and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paths => "paths",
            Self::Hosts => "hosts",
            Self::TlsWildcards => "tlsWildcards",
            Self::Secrets => "secrets",
            Self::Services => "services",
            Self::Rules => "rules",
            Self::Conditions => "conditions",
            Self::Endpoints => "endpoints",
            Self::Bytes => "bytes",
            Self::RegexBytes => "regexBytes",
            Self::TlsBytes => "tlsBytes",
        }
    }

    fn default_limit(self, level: Level) -> u64 {
        let of_self = DEFAULTS.into_iter().find(|(resource, _)| *resource == self);
        let [object, namespace, total] = of_self.map_or([u64::MAX; 3], |(_, limits)| limits);
        match level {
            Level::Object => object,
            Level::Namespace => namespace,
            Level::Total => total,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An amount of each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts([u64; DEFAULTS.len()]);

impl Amounts {
    /// The amount of one resource.
    pub fn of(&self, resource: Resource) -> u64 {
        self.0[resource as usize]
    }

    /// Adds to the amount of one resource.
    pub fn add(&mut self, resource: Resource, amount: u64) {
        let of_resource = &mut self.0[resource as usize];
        *of_resource = of_resource.saturating_add(amount);
    }

    /// Adds the amounts of all resources.
    pub fn add_all(&mut self, other: &Self) {
        Resource::all().for_each(|resource| self.add(resource, other.of(resource)));
    }

    /// The first resource whose sum exceeds `limits`.
    pub fn beyond(&self, more: &Self, limits: &Self) -> Option<Resource> {
        Resource::all().find(|resource| {
            let more = more.of(*resource);
            more > 0 && self.of(*resource).saturating_add(more) > limits.of(*resource)
        })
    }

    /// Limits the amount of one resource to `limit`.
    #[must_use]
    pub fn min(mut self, resource: Resource, limit: u64) -> Self {
        let of_resource = &mut self.0[resource as usize];
        *of_resource = limit.min(*of_resource);
        self
    }
}

/// Limits that override the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(BTreeMap<Resource, u64>);

impl Limits {
    /// All limits of a level.
    pub fn at(&self, level: Level) -> Amounts {
        let mut amounts = Amounts::default();
        for resource in Resource::all() {
            let limit = self.0.get(&resource).copied();
            amounts.add(resource, limit.unwrap_or_else(|| resource.default_limit(level)));
        }
        amounts
    }
}

/// In the syntax of the flag: `paths=1000,secrets=10`.
impl FromStr for Limits {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let pairs = text.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, number) = pair.split_once('=').ok_or_else(|| LimitError(pair.into()))?;
            let resource = Resource::all().find(|resource| resource.name() == name);
            let pair = resource.zip(number.parse().ok());
            pair.ok_or_else(|| LimitError(format!("{name}={number}")))
        });
        Ok(Self(pairs.collect::<Result<_, _>>()?))
    }
}

/// Not a valid limit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0} is not a limit; write RESOURCE=NUMBER with one of paths, hosts, tlsWildcards, secrets, \
     services, rules, conditions, endpoints, bytes, regexBytes, tlsBytes"
)]
pub struct LimitError(String);

/// The maximum for each, so that the total does not exceed `most`, and those that
/// want less than the others get all of it.
pub(crate) fn fair_share(mut wanted: Vec<u64>, most: u64) -> u64 {
    wanted.sort_unstable();
    let (mut left, count) = (most, wanted.len());
    for (index, wanted) in wanted.into_iter().enumerate() {
        let share = left / u64::try_from(count - index).unwrap_or(1);
        if wanted > share {
            return share;
        }
        left -= wanted;
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_changes_some_limits() {
        let limits: Limits = "paths=5,regexBytes=0".parse().unwrap();
        let namespace = limits.at(Level::Namespace);
        assert_eq!((namespace.of(Resource::Paths), namespace.of(Resource::RegexBytes)), (5, 0));
        assert_eq!(namespace.of(Resource::Secrets), 1_000);
        assert_eq!("".parse(), Ok(Limits::default()));
        for bad in ["paths", "path=1", "paths=-1", "paths=x"] {
            let error = bad.parse::<Limits>().unwrap_err().to_string();
            assert!(error.contains("write RESOURCE=NUMBER"), "{error}");
        }
    }

    #[test]
    fn defaults_are_in_the_order_of_the_resources_and_grow_by_level() {
        for (index, (resource, [object, namespace, total])) in DEFAULTS.into_iter().enumerate() {
            assert_eq!(resource as usize, index);
            assert!(object <= namespace && namespace <= total, "{resource}");
            let text = serde_json::to_string(&resource).unwrap();
            assert_eq!(text, format!("\"{resource}\""));
        }
    }

    #[test]
    fn who_asks_for_little_gets_it() {
        for (wanted, most, expected) in [
            (vec![], 10, u64::MAX),
            (vec![3, 3, 4], 10, u64::MAX),
            (vec![1, 9, 9], 11, 5),
            (vec![1, 2, 100, 100], 103, 50),
            (vec![5, 5, 5], 9, 3),
        ] {
            assert_eq!(fair_share(wanted.clone(), most), expected, "{wanted:?}");
        }
    }
}
