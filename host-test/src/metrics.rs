//! The metrics of a VM.

use crate::abi::{MetricType, Status};
use crate::record::Metric;

/// Metrics, and the ids by which the module names them. As in Envoy, defining a metric again gives
/// another id of the same metric.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    all: Vec<Metric>,
    /// For each type, the metrics in the order of their ids.
    ids: [Vec<usize>; 3],
}

impl Metrics {
    pub(crate) fn all(&self) -> &[Metric] {
        &self.all
    }

    /// Makes an id for a metric. The lowest bits of the id are its type.
    pub(crate) fn define(&mut self, metric_type: MetricType, name: Vec<u8>) -> Option<u32> {
        let known = |metric: &Metric| metric.metric_type == metric_type && metric.name == name;
        let place = self.all.iter().position(known).unwrap_or_else(|| {
            self.all.push(Metric { metric_type, name, value: 0, samples: Vec::new() });
            self.all.len() - 1
        });
        let number = metric_type as usize;
        let ids = &mut self.ids[number];
        ids.push(place);
        u32::try_from(ids.len() * 4 + number).ok()
    }

    /// The metric with this id. For an id that has the form of no type, Envoy says that the
    /// argument is wrong.
    pub(crate) fn find(&mut self, id: u32) -> Result<&mut Metric, Status> {
        let ids = self.ids.get((id & 3) as usize).ok_or(Status::BadArgument)?;
        let place = (id as usize / 4).checked_sub(1).and_then(|number| ids.get(number));
        self.all.get_mut(*place.ok_or(Status::NotFound)?).ok_or(Status::NotFound)
    }
}
