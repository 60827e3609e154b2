//! The overload manager: how Envoy sheds load before it runs out of memory. It is
//! part of the bootstrap only, so it has no protobuf encoding.
//!
//! In a flood of requests, most memory is used by headers, up to 90 KiB per
//! request that waits for an upstream. Envoy does not account for them, so it
//! cannot reset the largest streams by them. Therefore several actions start one
//! after another by the fill level of the heap: timeouts become shorter, new
//! requests are rejected, and finally connections that receive more data are
//! closed before it is decoded. With HPACK, 12 KB from a client become 9 MiB of
//! headers, so only closing is fast enough.

use prost::Message;
use serde::Serialize;

use super::message::{Extension, typed};
use crate::settings::Memory;

/// How many clients may be connected at once where it is not known how much memory
/// there is.
const MAX_CONNECTIONS: u64 = 50_000;

/// What an idle connection over HTTP/2 takes, and as much again with TLS.
const CONNECTION_BYTES: u64 = 64 << 10;

/// Streams are told apart by how much they buffer from so many bytes on, as a power of
/// two: what one connection may buffer.
const SMALLEST_ACCOUNT: u32 = 15;

const CONNECTIONS_MONITOR: &str = "envoy.resource_monitors.global_downstream_max_connections";
const HEAP_MONITOR: &str = "envoy.resource_monitors.fixed_heap";

/// `overload.v3.OverloadManager`.
#[derive(Debug, Serialize)]
pub(super) struct OverloadManager {
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_interval: Option<&'static str>,
    resource_monitors: Vec<Monitor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<OverloadAction>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    loadshed_points: Vec<LoadShedPoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buffer_factory_config: Option<BufferFactoryConfig>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Monitor {
    Connections(Extension<DownstreamConnections>),
    Heap(Extension<FixedHeap>),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct DownstreamConnections {
    #[prost(uint64, tag = "1")]
    max_active_downstream_connections: u64,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct FixedHeap {
    #[prost(uint64, tag = "1")]
    max_heap_size_bytes: u64,
}

#[derive(Debug, Serialize)]
struct OverloadAction {
    name: String,
    triggers: [Trigger; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    typed_config: Option<ScaledTimers>,
}

#[derive(Debug, Serialize)]
struct LoadShedPoint {
    name: String,
    triggers: [Trigger; 1],
}

#[derive(Debug, Serialize)]
struct Trigger {
    name: &'static str,
    #[serde(flatten)]
    when: When,
}

/// By how full the heap is.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Threshold {
        value: f64,
    },
    /// The more, the fuller.
    Scaled {
        scaling_threshold: f64,
        saturation_threshold: f64,
    },
}

/// `overload.v3.ScaleTimersOverloadActionConfig`.
#[derive(Debug, Serialize)]
struct ScaledTimers {
    #[serde(rename = "@type")]
    type_url: &'static str,
    timer_scale_factors: [ScaledTimer; 2],
}

#[derive(Debug, Serialize)]
struct ScaledTimer {
    timer: &'static str,
    min_timeout: &'static str,
}

#[derive(Debug, Serialize)]
struct BufferFactoryConfig {
    minimum_account_to_track_power_of_two: u32,
}

typed! {
    DownstreamConnections =
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
    FixedHeap = "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
}

impl OverloadManager {
    /// The limits that fit into `memory`; that of connections alone where it is not
    /// known how much there is.
    pub(super) fn new(memory: Option<Memory>) -> Self {
        let Some(memory) = memory else {
            return Self {
                refresh_interval: None,
                resource_monitors: vec![Monitor::connections(MAX_CONNECTIONS)],
                actions: Vec::new(),
                loadshed_points: Vec::new(),
                buffer_factory_config: None,
            };
        };
        Self {
            // A flood fills some 50 MiB in that time.
            refresh_interval: Some("0.05s"),
            resource_monitors: vec![
                Monitor::connections(memory.bytes() / CONNECTION_BYTES),
                Monitor::heap(heap_within(memory)),
            ],
            actions: vec![
                OverloadAction::new("reduce_timeouts", When::scaled(0.75, 0.9))
                    .with(ScaledTimers::new()),
                OverloadAction::new("shrink_heap", When::above(0.8)),
                OverloadAction::new("disable_http_keepalive", When::above(0.85)),
                OverloadAction::new("reset_high_memory_stream", When::scaled(0.85, 0.95)),
                OverloadAction::new("stop_accepting_requests", When::above(0.92)),
                OverloadAction::new("stop_accepting_connections", When::above(0.97)),
            ],
            loadshed_points: vec![LoadShedPoint {
                name: "envoy.load_shed_points.http2_server_go_away_and_close_on_dispatch".into(),
                triggers: [Trigger { name: HEAP_MONITOR, when: When::above(0.95) }],
            }],
            buffer_factory_config: Some(BufferFactoryConfig {
                minimum_account_to_track_power_of_two: SMALLEST_ACCOUNT,
            }),
        }
    }
}

/// The rest of what Envoy may use is for its code, the module in each worker, what is
/// free but not given back, and what comes in before the heap is looked at again,
/// which is as much with little memory as with more.
fn heap_within(memory: Memory) -> u64 {
    let bytes = memory.bytes();
    (bytes / 3 * 2).saturating_sub(128 << 20).max(bytes / 3)
}

impl Monitor {
    fn connections(max_active_downstream_connections: u64) -> Self {
        let config = DownstreamConnections { max_active_downstream_connections };
        Self::Connections(Extension::new(CONNECTIONS_MONITOR, config))
    }

    fn heap(max_heap_size_bytes: u64) -> Self {
        Self::Heap(Extension::new(HEAP_MONITOR, FixedHeap { max_heap_size_bytes }))
    }
}

impl OverloadAction {
    fn new(name: &str, when: When) -> Self {
        let triggers = [Trigger { name: HEAP_MONITOR, when }];
        Self { name: format!("envoy.overload_actions.{name}"), triggers, typed_config: None }
    }

    fn with(self, timers: ScaledTimers) -> Self {
        Self { typed_config: Some(timers), ..self }
    }
}

impl When {
    fn above(value: f64) -> Self {
        Self::Threshold { value }
    }

    fn scaled(scaling_threshold: f64, saturation_threshold: f64) -> Self {
        Self::Scaled { scaling_threshold, saturation_threshold }
    }
}

impl ScaledTimers {
    /// Requests that wait for an upstream, and clients that ask for nothing.
    fn new() -> Self {
        let timer = |timer| ScaledTimer { timer, min_timeout: "2s" };
        Self {
            type_url: "type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig",
            timer_scale_factors: [
                timer("HTTP_DOWNSTREAM_STREAM_IDLE"),
                timer("HTTP_DOWNSTREAM_CONNECTION_IDLE"),
            ],
        }
    }
}
