//! The filter that translates gRPC-Web, for the requests that need it.

use ingress_filter::names::CLUSTER_HEADER;
use prost::Message;
use serde::Serialize;

use super::core::StringMatcher;
use super::matcher::{FieldMatcher, Matcher, OnMatch, Predicate};
use super::message::{Extension, typed};
use super::routes::HeaderInput;
use crate::model::GRPC_WEB_PREFIX;

/// `common.matching.v3.ExtensionWithMatcher`: a filter, and the requests for which it is
/// skipped.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct SelectiveGrpcWeb {
    #[prost(message, optional, tag = "3")]
    xds_matcher: Option<Matcher<HeaderInput, SkipFilter>>,
    #[prost(message, optional, tag = "2")]
    extension_config: Option<Extension<GrpcWeb>>,
}

/// `filters.http.grpc_web.v3.GrpcWeb`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct GrpcWeb {}

/// `filters.common.matcher.action.v3.SkipFilter`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct SkipFilter {}

typed! {
    SelectiveGrpcWeb = "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
    GrpcWeb = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
    SkipFilter = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter",
}

impl SelectiveGrpcWeb {
    /// Acts on requests whose cluster, which an earlier filter has selected, is one for
    /// gRPC-Web.
    pub(super) fn by_cluster() -> Self {
        let prefix = StringMatcher::prefix(GRPC_WEB_PREFIX);
        let is_other = Predicate::new(HeaderInput::of(CLUSTER_HEADER), prefix).negated();
        let skip = FieldMatcher::new(is_other, OnMatch::action("skip", SkipFilter {}));
        Self {
            xds_matcher: Some(Matcher::any(None).preceded_by(vec![skip])),
            extension_config: Some(Extension::new("envoy.filters.http.grpc_web", GrpcWeb {})),
        }
    }
}
