//! Additional ports of a backend, which have their own clusters.

use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::{Bytes, List, Records, Text, record};
use crate::table;

record! {
    /// A port, and its clusters for the clusters that rules name.
    pub(crate) struct Port {
        name: Text,
        /// In the order of their texts.
        clusters: List<PortCluster>,
    }

    struct PortCluster {
        named: Text,
        /// Without one, requests get 503.
        instead: Option<Text>,
    }
}

/// The clusters of a port.
#[derive(Clone, Copy)]
pub(crate) struct PortClusters<'t>(Records<'t, PortCluster>);

impl Port {
    pub(crate) fn encode(
        port: &table::Port,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let mut clusters = Vec::with_capacity(port.clusters.len());
        for (named, instead) in &port.clusters {
            for cluster in [Some(named), instead.as_ref()].into_iter().flatten() {
                check_cluster(cluster, &place.field("clusters"))?;
            }
            let named = encoder.shared(named);
            clusters.push(PortCluster { named, instead: encoder.shared_option(instead.as_ref()) });
        }
        clusters.sort_by_key(|cluster| cluster.named);
        Ok(Self { name: encoder.text(&port.name), clusters: encoder.list(&clusters) })
    }

    pub(crate) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Port, Broken> {
        let cluster = |cluster: Result<PortCluster, Broken>| {
            let PortCluster { named, instead } = cluster?;
            Ok((bytes.string(named)?, bytes.string_option(instead)?))
        };
        let clusters = bytes.list(self.clusters)?.iter().map(cluster).collect::<Result<_, _>>()?;
        Ok(table::Port { name: self.name(bytes)?, clusters })
    }

    pub(crate) fn name(&self, bytes: Bytes<'_>) -> Result<String, Broken> {
        bytes.string(self.name)
    }

    pub(crate) fn clusters<'t>(&self, bytes: Bytes<'t>) -> Result<PortClusters<'t>, Broken> {
        bytes.list(self.clusters).map(PortClusters)
    }
}

impl PortClusters<'_> {
    /// The cluster in place of the one that a rule names; `None` where there is
    /// none.
    pub(crate) fn cluster(self, named: Text) -> Result<Option<Text>, Broken> {
        let Self(clusters) = self;
        let (mut from, mut to) = (0, u32::try_from(clusters.len()).unwrap_or(u32::MAX));
        while from < to {
            let middle = u32::midpoint(from, to);
            let entry = clusters.get(middle)?;
            match entry.named.cmp(&named) {
                std::cmp::Ordering::Equal => return Ok(entry.instead),
                std::cmp::Ordering::Less => from = middle.saturating_add(1),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Ok(Some(named))
    }
}

pub(crate) fn check_cluster(cluster: &str, place: &Place<'_>) -> Result<(), LoadError> {
    if cluster.is_empty() || !cluster.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason =
            format!("{cluster:?} is not a valid cluster name; use visible ASCII without spaces");
        return Err(place.error(reason));
    }
    Ok(())
}
