//! Tracing by the connection manager, with Envoy's tracer for OpenTelemetry.

use prost::Message;
use serde::Serialize;

use super::access_log::FractionalPercent;
use super::message::{Extension, Named, is_unset, typed};
use crate::settings::{Percentage, Settings};

/// The cluster of the collector.
pub(super) const COLLECTOR: &str = "ingress_tracing";

/// `http_connection_manager.v3.HttpConnectionManager.Tracing`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Tracing {
    /// Otherwise, clients could have their requests traced by `x-client-trace-id`.
    #[prost(message, optional, tag = "3")]
    client_sampling: Option<Percent>,
    #[prost(message, optional, tag = "4")]
    random_sampling: Option<Percent>,
    #[prost(message, repeated, tag = "8")]
    custom_tags: Vec<CustomTag>,
    #[prost(message, optional, tag = "9")]
    provider: Option<Named<OpenTelemetry, 3>>,
}

/// `type.v3.Percent`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Percent {
    #[prost(double, tag = "1")]
    value: f64,
}

/// `type.tracing.v3.CustomTag`, with a value of the access log.
#[derive(Clone, PartialEq, Message, Serialize)]
struct CustomTag {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(string, tag = "6")]
    value: String,
}

/// `trace.v3.OpenTelemetryConfig`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct OpenTelemetry {
    #[prost(message, optional, tag = "1")]
    grpc_service: Option<GrpcService>,
    #[prost(string, tag = "2")]
    service_name: String,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "is_unset")]
    sampler: Option<Extension<ParentBased>>,
}

/// `samplers.v3.ParentBasedSamplerConfig`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ParentBased {
    #[prost(message, optional, tag = "1")]
    wrapped_sampler: Option<Extension<RatioBased>>,
}

/// `samplers.v3.TraceIdRatioBasedSamplerConfig`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct RatioBased {
    #[prost(message, optional, tag = "1")]
    sampling_percentage: Option<FractionalPercent>,
}

/// `core.v3.GrpcService`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct GrpcService {
    #[prost(message, optional, tag = "1")]
    envoy_grpc: Option<EnvoyGrpc>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct EnvoyGrpc {
    #[prost(string, tag = "1")]
    cluster_name: String,
}

typed! {
    ParentBased =
        "envoy.extensions.tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig",
    RatioBased =
        "envoy.extensions.tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig",
    OpenTelemetry = "envoy.config.trace.v3.OpenTelemetryConfig",
}

impl Tracing {
    /// `None` if nothing is traced. Behind trusted proxies, the first span of a trace decides
    /// whether it is sampled; Envoy's own decision would override that.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let tracing = settings.tracing.as_ref()?;
        let percent = tracing.sampling_percent;
        let (envoys, sampler) = if settings.starts_traces() {
            (percent, None)
        } else {
            (Percentage::ALL, Some(ParentBased::otherwise(percent)))
        };
        let tag = |name: &str| CustomTag {
            tag: name.to_owned(),
            value: format!("%FILTER_STATE(wasm.{name}:PLAIN)%"),
        };
        let envoy_grpc = Some(EnvoyGrpc { cluster_name: COLLECTOR.to_owned() });
        let tracer = OpenTelemetry {
            grpc_service: Some(GrpcService { envoy_grpc }),
            service_name: tracing.service_name.clone(),
            sampler,
        };
        Some(Self {
            client_sampling: Some(Percent { value: 0.0 }),
            random_sampling: Some(Percent { value: envoys.into() }),
            custom_tags: vec![tag("ingress_route"), tag("route_rule")],
            provider: Some(Named::new("envoy.tracers.opentelemetry", tracer)),
        })
    }
}

impl ParentBased {
    /// As the parent, or this percentage of the traces that begin here.
    fn otherwise(percent: Percentage) -> Extension<Self> {
        let ratio = RatioBased { sampling_percentage: Some(percent.into()) };
        let name = |sampler: &str| format!("envoy.tracers.opentelemetry.samplers.{sampler}");
        let wrapped_sampler = Some(Extension::new(&name("trace_id_ratio_based"), ratio));
        Extension::new(&name("parent_based"), Self { wrapped_sampler })
    }
}
