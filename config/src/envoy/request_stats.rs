//! The statistics of requests, which Envoy counts when a request ends, without another call
//! of the module.

use std::collections::{BTreeMap, BTreeSet};

use prost::{Enumeration, Message};
use serde::Serialize;

use super::matcher::{Matcher, OnMatch};
use super::message::{Extension, is_unset, json_names, typed};

/// The statistic of requests, and of their durations in milliseconds.
pub(crate) const REQUESTS: &str = "ingress_requests";
pub(crate) const DURATIONS: &str = "ingress_request_duration_ms";

/// The name under which requests are counted, as the filter stores it, or `-`.
pub(crate) const COUNT_AS: &str = "count_as";
/// The class of the status, such as `2xx`.
const STATUS: &str = "status";
/// Why the response is not that of the upstream or of a rule.
const OUTCOME: &str = "outcome";

/// The class of statuses without a response, because the client disconnected.
const NO_CLASS: &str = "none";

/// The beginning of the status, and the class.
const CLASSES: [(&str, &str); 5] =
    [("1", "1xx"), ("2", "2xx"), ("3", "3xx"), ("4", "4xx"), ("5", "5xx")];

/// The outcome with any other flag.
const OTHER_OUTCOME: &str = "other";

/// The beginning of Envoy's flags, and the outcome. After retries, the flag of the last attempt
/// is the second one.
const OUTCOMES: [(&str, &str); 19] = [
    ("-", "answered"),
    ("DC", "client_disconnected"),
    ("DPE", "client_protocol_error"),
    ("DT", "duration_limit"),
    ("NC", "cluster_missing"),
    ("OM", "overloaded"),
    ("SI", "idle"),
    ("UC", "upstream_disconnected"),
    ("UF", "upstream_unreachable"),
    ("UH", "no_endpoints"),
    ("UO", "upstream_overloaded"),
    ("UPE", "upstream_protocol_error"),
    ("UR", "upstream_reset"),
    ("URX", "retries_exhausted"),
    ("URX,UC", "upstream_disconnected"),
    ("URX,UF", "upstream_unreachable"),
    ("URX,UR", "upstream_reset"),
    ("URX,UT", "timeout"),
    ("UT", "timeout"),
];

/// `access_loggers.stats.v3.Config`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct RequestStats {
    #[prost(message, optional, tag = "6")]
    stats_scope: Option<Scope>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    counters: Vec<Counter>,
}

/// `type.v3.Scope`. Listeners have a logger for each certificate, and all share it.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Scope {
    #[prost(message, optional, tag = "1")]
    max_counters: Option<u32>,
    #[prost(message, optional, tag = "3")]
    max_histograms: Option<u32>,
    #[prost(bool, tag = "4")]
    enable_eviction: bool,
    #[prost(string, tag = "6")]
    sharing_name: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Histogram {
    #[prost(message, optional, tag = "1")]
    stat: Option<Stat>,
    #[prost(enumeration = "Unit", tag = "2")]
    #[serde(serialize_with = "Unit::json")]
    unit: i32,
    #[prost(string, tag = "3")]
    value_format: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Unit {
    Unspecified = 0,
    Milliseconds = 3,
}

json_names!(Unit { Unspecified = "Unspecified", Milliseconds = "Milliseconds" });

#[derive(Clone, PartialEq, Message, Serialize)]
struct Counter {
    #[prost(message, optional, tag = "1")]
    stat: Option<Stat>,
    #[prost(message, optional, tag = "3")]
    value_fixed: Option<u64>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Stat {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    tags: Vec<Tag>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Tag {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value_format: String,
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "is_unset")]
    rules: Option<Matcher<StatTagValueInput, TransformStat>>,
}

/// `matching.common_inputs.stats.v3.StatTagValueInput`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct StatTagValueInput {}

/// `matching.actions.transform_stat.v3.TransformStat`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct TransformStat {
    #[prost(message, optional, tag = "3")]
    update_tag: Option<UpdateTag>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct UpdateTag {
    #[prost(string, tag = "2")]
    new_tag_value: String,
}

typed! {
    RequestStats = "envoy.extensions.access_loggers.stats.v3.Config",
    StatTagValueInput = "envoy.extensions.matching.common_inputs.stats.v3.StatTagValueInput",
    TransformStat = "envoy.extensions.matching.actions.transform_stat.v3.TransformStat",
}

impl RequestStats {
    /// For `limit` names. Envoy's limit is for all of them together, so it has room for each
    /// class and outcome of each name: otherwise, names with many of them would leave none for
    /// the others. Counters that are not used cost nothing.
    pub(super) fn new(limit: u32) -> Self {
        let counted = || Tag::new(COUNT_AS, "%FILTER_STATE(wasm.count_as:PLAIN)%");
        let status = Tag::new(STATUS, "%RESPONSE_CODE%").renamed(&CLASSES, NO_CLASS);
        let outcome = Tag::new(OUTCOME, "%RESPONSE_FLAGS%").renamed(&OUTCOMES, OTHER_OUTCOME);
        // Those of requests without a name, too.
        let names = limit.saturating_add(2);
        Self {
            stats_scope: Some(Scope {
                max_counters: Some(names.saturating_mul(counters_of_a_name())),
                max_histograms: Some(names),
                enable_eviction: true,
                sharing_name: "ingress".to_owned(),
            }),
            histograms: vec![Histogram {
                stat: Some(Stat { name: DURATIONS.to_owned(), tags: vec![counted()] }),
                unit: Unit::Milliseconds.into(),
                value_format: "%DURATION%".to_owned(),
            }],
            counters: vec![Counter {
                stat: Some(Stat {
                    name: REQUESTS.to_owned(),
                    tags: vec![counted(), status, outcome],
                }),
                value_fixed: Some(1),
            }],
        }
    }
}

/// The number of pairs of a class and an outcome.
fn counters_of_a_name() -> u32 {
    let classes = CLASSES.len() + 1;
    let outcomes: BTreeSet<_> = OUTCOMES.iter().map(|(_, outcome)| *outcome).collect();
    u32::try_from(classes * (outcomes.len() + 1)).unwrap_or(u32::MAX)
}

impl Tag {
    fn new(name: &str, value_format: &str) -> Self {
        let value_format = value_format.to_owned();
        Self { name: name.to_owned(), value_format, rules: None }
    }

    /// With another value for each prefix of the value.
    fn renamed(self, names: &[(&str, &str)], otherwise: &str) -> Self {
        let name = |name: &str| {
            let update_tag = Some(UpdateTag { new_tag_value: name.to_owned() });
            OnMatch::action("rename", TransformStat { update_tag })
        };
        let map: BTreeMap<_, _> =
            names.iter().map(|(prefix, new)| ((*prefix).to_owned(), name(new))).collect();
        let input = Extension::new("value", StatTagValueInput {});
        Self { rules: Some(Matcher::by_prefix(input, map, name(otherwise))), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name with all classes and outcomes leaves room for all others with theirs.
    #[test]
    fn no_name_uses_up_the_counters_of_others() {
        let scope = RequestStats::new(500).stats_scope.unwrap();
        // 6 classes and 16 outcomes; the other two names are `other` and none.
        assert_eq!(scope.max_counters, Some(502 * 6 * 16));
        assert_eq!(scope.max_histograms, Some(502));
    }
}
