//! The access log, and the statistics of requests, which are an access log to Envoy.

use std::collections::BTreeMap;

use prost::Message;
use serde::Serialize;

use super::message::{Filter, any_message, typed};
use super::request_stats::RequestStats;
use crate::settings::Settings;

/// `accesslog.v3.AccessLog`, for those that are used.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum AccessLog {
    Stdout(Filter<StdoutAccessLog>),
    Stats(Filter<RequestStats>),
}

any_message!(AccessLog { Stdout(Filter<StdoutAccessLog>), Stats });

impl AccessLog {
    /// All that the settings select.
    pub(super) fn all(settings: &Settings) -> Vec<Self> {
        let log = settings.access_log.then(|| Self::Stdout(StdoutAccessLog::to_filter()));
        let limit = settings.request_metrics_limit;
        let stats = settings.request_metrics.then(|| {
            Self::Stats(Filter::new("envoy.access_loggers.stats", RequestStats::new(limit)))
        });
        log.into_iter().chain(stats).collect()
    }
}

/// `access_loggers.stream.v3.StdoutAccessLog`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct StdoutAccessLog {
    #[prost(message, optional, tag = "1")]
    log_format: Option<LogFormat>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct LogFormat {
    #[prost(message, optional, tag = "2")]
    json_format: Option<Struct>,
}

/// `google.protobuf.Struct`, with string values only.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(transparent)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Text>,
}

/// `google.protobuf.Value`, a string.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(transparent)]
struct Text {
    #[prost(string, tag = "3")]
    text: String,
}

/// A line of the access log.
const ACCESS_LOG_LINE: [(&str, &str); 18] = [
    ("time", "%START_TIME%"),
    ("client", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("method", "%REQ(:METHOD)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("status", "%RESPONSE_CODE%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration_ms", "%DURATION%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream", "%UPSTREAM_HOST%"),
    ("ingress_route", "%FILTER_STATE(wasm.ingress_route:PLAIN)%"),
    ("route_rule", "%FILTER_STATE(wasm.route_rule:PLAIN)%"),
    ("fault", "%FILTER_STATE(wasm.fault:PLAIN)%"),
];

typed! {
    StdoutAccessLog = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
}

impl StdoutAccessLog {
    fn to_filter() -> Filter<Self> {
        let field = |(name, text): (&str, &str)| (name.to_owned(), Text { text: text.to_owned() });
        let fields = ACCESS_LOG_LINE.into_iter().map(field).collect();
        let log_format = LogFormat { json_format: Some(Struct { fields }) };
        Filter::new("envoy.access_loggers.stdout", Self { log_format: Some(log_format) })
    }
}
