//! Metrics.

use super::call::{Call, CallResult};
use crate::abi::{MetricType, Status};
use crate::record::Metric;

pub(super) fn define(
    call: &mut Call<'_>,
    metric_type: u32,
    name: u32,
    name_size: u32,
    to: u32,
) -> CallResult {
    let metric_type = MetricType::from_number(metric_type).ok_or(Status::BadArgument)?;
    call.note_target(metric_type.name());
    let name = call.read_key(name, name_size)?;
    let id = call.state().metrics.define(metric_type, name).ok_or(Status::InternalFailure)?;
    Ok(call.write_u32(to, id)?)
}

/// As in Envoy, a gauge below 0 wraps.
pub(super) fn increment(call: &mut Call<'_>, metric: u32, offset: i64) -> CallResult {
    if MetricType::from_number(metric & 3) == Some(MetricType::Histogram) {
        return Err(Status::BadArgument.into());
    }
    let metric = find(call, metric)?;
    match metric.metric_type {
        MetricType::Counter if offset > 0 => {
            metric.value = metric.value.wrapping_add(offset.unsigned_abs());
        }
        MetricType::Gauge => metric.value = metric.value.wrapping_add_signed(offset),
        MetricType::Counter | MetricType::Histogram => return Err(Status::BadArgument.into()),
    }
    Ok(())
}

pub(super) fn record(call: &mut Call<'_>, metric: u32, value: u64) -> CallResult {
    // An id of no type is a metric that does not exist, but only here.
    let metric = find(call, metric).map_err(|_| Status::NotFound)?;
    match metric.metric_type {
        // As in Envoy, recording a counter adds to it.
        MetricType::Counter => metric.value = metric.value.wrapping_add(value),
        MetricType::Gauge => metric.value = value,
        MetricType::Histogram => metric.samples.push(value),
    }
    Ok(())
}

pub(super) fn get(call: &mut Call<'_>, metric: u32, to: u32) -> CallResult {
    if MetricType::from_number(metric & 3) == Some(MetricType::Histogram) {
        return Err(Status::BadArgument.into());
    }
    let value = find(call, metric)?.value;
    Ok(call.write_u64(to, value)?)
}

/// The metric with this id, which is recorded as the key of the call.
fn find<'c>(call: &'c mut Call<'_>, id: u32) -> Result<&'c mut Metric, Status> {
    let metric = call.state().metrics.find(id)?;
    let (target, key) = (metric.metric_type.name(), metric.name.clone());
    call.note_target(target);
    call.note_key(&key);
    call.state().metrics.find(id)
}
