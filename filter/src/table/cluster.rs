//! Where forwarded requests go: to one cluster, or to several by weight.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The cluster that requests go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Destination {
    /// The name of an Envoy cluster: visible ASCII.
    Cluster(String),
    /// Several, of which each request draws one.
    Split(Vec<Share>),
}

/// One of several clusters, and how much of the requests it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The name of an Envoy cluster. Without it, these requests are answered
    /// with 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The share of the requests, out of the sum of all weights. With 0 it is
    /// never drawn.
    pub weight: u32,
}

impl From<String> for Destination {
    fn from(cluster: String) -> Self {
        Self::Cluster(cluster)
    }
}

/// By hand, because what serde derives says of a mistake only that nothing
/// fits.
impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DestinationVisitor)
    }
}

struct DestinationVisitor;

impl<'de> Visitor<'de> for DestinationVisitor {
    type Value = Destination;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a cluster, or a list of clusters with weights")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Destination, E> {
        Ok(Destination::Cluster(name.to_owned()))
    }

    fn visit_string<E: Error>(self, name: String) -> Result<Destination, E> {
        Ok(Destination::Cluster(name))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Destination, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Destination::Split)
    }
}
