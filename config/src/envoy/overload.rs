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

/// The connection limit if the memory is unknown.
const MAX_CONNECTIONS: u64 = 50_000;

/// The memory of an idle HTTP/2 connection, twice that with TLS.
const CONNECTION_BYTES: u64 = 64 << 10;

/// The least buffer size from which on streams are tracked by size, as a power of
/// two: the buffer limit of a connection.
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

/// The fill level of the heap at which an action starts.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Threshold {
        value: f64,
    },
    /// Its effect increases with the fill level.
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
    /// The limits for `memory`; only that of connections if it is unknown.
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
            // A flood of requests fills about 50 MiB in this time.
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

/// The rest of Envoy's memory is for its code, the module in each worker, free
/// memory that was not returned, and data that arrives before the heap is checked
/// again, which does not depend on the memory.
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
    /// Requests that wait for an upstream, and idle clients.
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
