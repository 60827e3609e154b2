//! The filter that translates gRPC-Web, for the requests that need it.

use prost::{Message, Oneof};
use serde::Serialize;

use ingress_filter::names::CLUSTER_HEADER;

use super::core::StringMatcher;
use super::message::{Extension, typed};
use super::routes::HeaderInput;
use crate::model::GRPC_WEB_PREFIX;

/// `common.matching.v3.ExtensionWithMatcher`: a filter, and the requests for which it is
/// skipped.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct SelectiveGrpcWeb {
    #[prost(message, optional, tag = "3")]
    xds_matcher: Option<Matcher>,
    #[prost(message, optional, tag = "2")]
    extension_config: Option<Extension<GrpcWeb>>,
}

/// `filters.http.grpc_web.v3.GrpcWeb`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct GrpcWeb {}

/// `filters.common.matcher.action.v3.SkipFilter`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct SkipFilter {}

/// `xds.type.matcher.v3.Matcher` with one predicate.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Matcher {
    #[prost(message, optional, tag = "1")]
    matcher_list: Option<MatcherList>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct MatcherList {
    #[prost(message, repeated, tag = "1")]
    matchers: Vec<FieldMatcher>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct FieldMatcher {
    #[prost(message, optional, tag = "1")]
    predicate: Option<Predicate>,
    #[prost(message, optional, tag = "2")]
    on_match: Option<OnMatch>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Predicate {
    #[prost(oneof = "MatchType", tags = "1, 4")]
    #[serde(flatten)]
    kind: Option<MatchType>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum MatchType {
    #[prost(message, tag = "1")]
    SinglePredicate(SinglePredicate),
    #[prost(message, tag = "4")]
    NotMatcher(Box<Predicate>),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct SinglePredicate {
    #[prost(message, optional, tag = "1")]
    input: Option<Extension<HeaderInput>>,
    #[prost(message, optional, tag = "2")]
    value_match: Option<StringMatcher>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct OnMatch {
    #[prost(message, optional, tag = "2")]
    action: Option<Extension<SkipFilter>>,
}

typed! {
    SelectiveGrpcWeb = "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
    GrpcWeb = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
    SkipFilter = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter",
}

impl SelectiveGrpcWeb {
    /// Acts on requests whose cluster, which an earlier filter has selected, is one for
    /// gRPC-Web.
    pub(super) fn by_cluster() -> Self {
        let is_selected = SinglePredicate {
            input: Some(HeaderInput::of(CLUSTER_HEADER)),
            value_match: Some(StringMatcher::prefix(GRPC_WEB_PREFIX)),
        };
        let is_selected = Predicate { kind: Some(MatchType::SinglePredicate(is_selected)) };
        let matcher = FieldMatcher {
            predicate: Some(Predicate { kind: Some(MatchType::NotMatcher(Box::new(is_selected))) }),
            on_match: Some(OnMatch { action: Some(Extension::new("skip", SkipFilter {})) }),
        };
        Self {
            xds_matcher: Some(Matcher {
                matcher_list: Some(MatcherList { matchers: vec![matcher] }),
            }),
            extension_config: Some(Extension::new("envoy.filters.http.grpc_web", GrpcWeb {})),
        }
    }
}
