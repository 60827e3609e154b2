//! The destination of forwarded requests: one cluster, or several with weights.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The cluster of forwarded requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Destination {
    /// The name of an Envoy cluster: visible ASCII.
    Cluster(String),
    /// Several clusters, one of which is picked for each request.
    Split(Vec<Share>),
}

/// One of several clusters, and its weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The name of an Envoy cluster. Without it, these requests get 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The weight, relative to the sum of all weights. A cluster with weight 0 is
    /// never picked.
    pub weight: u32,
}

impl From<String> for Destination {
    fn from(cluster: String) -> Self {
        Self::Cluster(cluster)
    }
}

/// Implemented by hand, because serde's derived error only says that no variant
/// matches.
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
