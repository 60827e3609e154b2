//! The access log, and the statistics of requests, which are an access log to Envoy.

use std::collections::BTreeMap;

use prost::{Enumeration, Message, Oneof};
use serde::Serialize;

use super::matcher::Part;
use super::message::{Any, any_message, is_unset, json_names, typed};
use super::request_stats::RequestStats;
use crate::settings::{LogOptions, OnlyErrors, Percentage, Settings};

/// `accesslog.v3.AccessLog`, for those that are used.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum AccessLog {
    Stdout(Log<StdoutAccessLog>),
    File(Log<FileAccessLog>),
    Stats(Log<RequestStats>),
}

any_message!(AccessLog { Stdout(Log<StdoutAccessLog>), File, Stats });

/// One with a configuration of type `T`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Log<T: Part> {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "is_unset")]
    filter: Option<LogFilter>,
    #[prost(message, optional, tag = "4")]
    typed_config: Option<Any<T>>,
}

/// `access_loggers.stream.v3.StdoutAccessLog`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct StdoutAccessLog {
    #[prost(message, optional, tag = "1")]
    log_format: Option<LogFormat>,
}

/// `access_loggers.file.v3.FileAccessLog`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct FileAccessLog {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(message, optional, tag = "5")]
    log_format: Option<LogFormat>,
}

/// `core.v3.SubstitutionFormatString`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct LogFormat {
    #[prost(oneof = "Format", tags = "2, 5")]
    #[serde(flatten)]
    format: Option<Format>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[prost(message, tag = "2")]
    JsonFormat(Struct),
    #[prost(message, tag = "5")]
    TextFormatSource(InlineString),
}

/// `core.v3.DataSource`, a text.
#[derive(Clone, PartialEq, Message, Serialize)]
struct InlineString {
    #[prost(string, tag = "3")]
    inline_string: String,
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

/// `accesslog.v3.AccessLogFilter`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct LogFilter {
    #[prost(oneof = "FilterKind", tags = "1, 5, 6")]
    #[serde(flatten)]
    kind: Option<FilterKind>,
}

#[expect(clippy::enum_variant_names, reason = "these are Envoy's names")]
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum FilterKind {
    #[prost(message, tag = "1")]
    StatusCodeFilter(StatusCodeFilter),
    #[prost(message, tag = "5")]
    RuntimeFilter(RuntimeFilter),
    #[prost(message, tag = "6")]
    AndFilter(AndFilter),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct StatusCodeFilter {
    #[prost(message, optional, tag = "1")]
    comparison: Option<Comparison>,
}

/// `accesslog.v3.ComparisonFilter`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Comparison {
    #[prost(enumeration = "Operator", tag = "1")]
    #[serde(serialize_with = "Operator::json")]
    op: i32,
    #[prost(message, optional, tag = "2")]
    value: Option<RuntimeNumber>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Operator {
    Equal = 0,
    AtLeast = 1,
}

json_names!(Operator { Equal = "EQ", AtLeast = "GE" });

/// `core.v3.RuntimeUInt32`. Envoy requires a key, by which nothing changes the value.
#[derive(Clone, PartialEq, Message, Serialize)]
struct RuntimeNumber {
    #[prost(uint32, tag = "2")]
    default_value: u32,
    #[prost(string, tag = "3")]
    runtime_key: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct RuntimeFilter {
    #[prost(string, tag = "1")]
    runtime_key: String,
    #[prost(message, optional, tag = "2")]
    percent_sampled: Option<FractionalPercent>,
    /// Otherwise, clients could select whether they are logged by `x-request-id`.
    #[prost(bool, tag = "3")]
    use_independent_randomness: bool,
}

/// `type.v3.FractionalPercent`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct FractionalPercent {
    #[prost(uint32, tag = "1")]
    numerator: u32,
    #[prost(enumeration = "Denominator", tag = "2")]
    #[serde(serialize_with = "Denominator::json")]
    denominator: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Denominator {
    Hundred = 0,
    Million = 2,
}

json_names!(Denominator { Hundred = "HUNDRED", Million = "MILLION" });

#[derive(Clone, PartialEq, Message, Serialize)]
struct AndFilter {
    #[prost(message, repeated, tag = "1")]
    filters: Vec<LogFilter>,
}

typed! {
    FileAccessLog = "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    StdoutAccessLog = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
}

impl AccessLog {
    /// All that the settings select.
    pub(super) fn all(settings: &Settings) -> Vec<Self> {
        let log = settings.access_log.0.as_ref().map(Self::of_requests);
        let stats = settings.request_metrics.then(|| {
            let stats = RequestStats::new(settings.request_metrics_limit);
            Self::Stats(Log::new("envoy.access_loggers.stats", None, stats))
        });
        log.into_iter().chain(stats).collect()
    }

    fn of_requests(options: &LogOptions) -> Self {
        let filter = LogFilter::new(options.only, options.percent);
        let log_format = Some(LogFormat::new(options));
        if let Some(path) = options.file.clone() {
            let log = FileAccessLog { path, log_format };
            return Self::File(Log::new("envoy.access_loggers.file", filter, log));
        }
        Self::Stdout(Log::new(
            "envoy.access_loggers.stdout",
            filter,
            StdoutAccessLog { log_format },
        ))
    }
}

impl From<Percentage> for FractionalPercent {
    fn from(percent: Percentage) -> Self {
        Self { numerator: percent.millionths(), denominator: Denominator::Million.into() }
    }
}

impl<T: Part> Log<T> {
    fn new(name: &str, filter: Option<LogFilter>, config: T) -> Self {
        Self { name: name.to_owned(), filter, typed_config: Some(Any(config)) }
    }
}

impl LogFormat {
    fn new(options: &LogOptions) -> Self {
        let format = if let Some(text) = &options.text {
            Format::TextFormatSource(InlineString { inline_string: text.0.clone() })
        } else {
            let fields = options.fields().iter();
            let fields =
                fields.map(|field| (field.name(), Text { text: field.operator().to_owned() }));
            Format::JsonFormat(Struct { fields: fields.collect() })
        };
        Self { format: Some(format) }
    }
}

impl LogFilter {
    /// The requests that are logged; `None` for all.
    fn new(only: Option<OnlyErrors>, percent: Option<Percentage>) -> Option<Self> {
        let least = only.map(|only| match only {
            OnlyErrors::Errors => 400,
            OnlyErrors::ServerErrors => 500,
        });
        let filters = least.map(Self::status_from).into_iter().chain(percent.map(Self::sampled));
        let mut filters: Vec<_> = filters.collect();
        if filters.len() > 1 {
            return Some(Self { kind: Some(FilterKind::AndFilter(AndFilter { filters })) });
        }
        filters.pop()
    }

    fn status_from(default_value: u32) -> Self {
        let runtime_key = "ingress.access_log.status".to_owned();
        let value = Some(RuntimeNumber { default_value, runtime_key });
        let comparison = Some(Comparison { op: Operator::AtLeast.into(), value });
        Self { kind: Some(FilterKind::StatusCodeFilter(StatusCodeFilter { comparison })) }
    }

    fn sampled(percent: Percentage) -> Self {
        let filter = RuntimeFilter {
            runtime_key: "ingress.access_log.percent".to_owned(),
            percent_sampled: Some(percent.into()),
            use_independent_randomness: true,
        };
        Self { kind: Some(FilterKind::RuntimeFilter(filter)) }
    }
}
