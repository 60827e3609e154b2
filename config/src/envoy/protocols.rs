//! The protocol options of the HTTP connection manager: for HTTP/1, for HTTP/2, and for
//! both.

use ingress_filter::names::NO_HOST;
use prost::{Enumeration, Message};
use serde::Serialize;

use super::core::StringMatcher;
use super::message::{Duration, is_unset, json_names};
use crate::settings::HeadersWithUnderscores;

/// `core.v3.HttpProtocolOptions`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct CommonHttpProtocolOptions {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "is_unset")]
    idle_timeout: Option<Duration>,
    #[prost(enumeration = "UnderscoresAction", tag = "5")]
    #[serde(skip_serializing_if = "is_unset", serialize_with = "UnderscoresAction::json")]
    headers_with_underscores_action: i32,
    #[prost(message, optional, tag = "2")]
    max_headers_count: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum UnderscoresAction {
    Allow = 0,
    RejectRequest = 1,
    DropHeader = 2,
}

json_names!(UnderscoresAction {
    Allow = "ALLOW",
    RejectRequest = "REJECT_REQUEST",
    DropHeader = "DROP_HEADER",
});

/// `core.v3.Http1ProtocolOptions`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Http1ProtocolOptions {
    #[prost(bool, tag = "2")]
    accept_http_10: bool,
    #[prost(string, tag = "3")]
    default_host_for_http_10: String,
    #[prost(message, repeated, tag = "11")]
    ignore_http_11_upgrade: Vec<StringMatcher>,
}

/// `core.v3.Http2ProtocolOptions`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Http2ProtocolOptions {
    #[prost(message, optional, tag = "2")]
    max_concurrent_streams: Option<u32>,
    #[prost(message, optional, tag = "3")]
    initial_stream_window_size: Option<u32>,
    #[prost(message, optional, tag = "4")]
    initial_connection_window_size: Option<u32>,
}

impl CommonHttpProtocolOptions {
    /// Accepts more headers in responses than Envoy's default of 100; their size is
    /// limited in any case.
    pub(super) fn for_upstreams() -> Self {
        Self { max_headers_count: Some(1_000), ..Self::default() }
    }

    pub(super) fn for_clients(underscores: HeadersWithUnderscores) -> Self {
        let action = match underscores {
            HeadersWithUnderscores::Drop => UnderscoresAction::DropHeader,
            HeadersWithUnderscores::Reject => UnderscoresAction::RejectRequest,
            HeadersWithUnderscores::Allow => UnderscoresAction::Allow,
        };
        Self {
            idle_timeout: Some(Duration::seconds(3600)),
            headers_with_underscores_action: action.into(),
            max_headers_count: Some(100),
        }
    }
}

impl Http1ProtocolOptions {
    /// Accepts HTTP/1.0, and ignores upgrades to protocols other than WebSocket, as a
    /// server may (RFC 9110 section 7.8).
    pub(super) fn new() -> Self {
        Self {
            accept_http_10: true,
            default_host_for_http_10: NO_HOST.to_owned(),
            ignore_http_11_upgrade: vec![StringMatcher::text_matching(other_than("websocket"))],
        }
    }
}

impl Http2ProtocolOptions {
    pub(super) fn new() -> Self {
        Self {
            max_concurrent_streams: Some(100),
            initial_stream_window_size: Some(64 * 1024),
            initial_connection_window_size: Some(1024 * 1024),
        }
    }
}

/// A regular expression for all texts except `word` in any case. RE2 has no look-ahead, so
/// it follows `word` letter by letter: either another letter comes next, or the text ends
/// too early or too late.
fn other_than(word: &str) -> String {
    let longer = ".+".to_owned();
    let rest =
        word.chars().rev().fold(longer, |rest, next| format!("(?:[^{next}].*|{next}{rest})?"));
    format!("(?i){rest}")
}

#[cfg(test)]
mod tests {
    use ingress_filter::Pattern;

    use super::*;

    #[test]
    fn every_other_word_is_another_one() {
        let pattern = Pattern::new(&other_than("websocket")).unwrap();
        for other in
            ["", "w", "websocke", "websockets", "webzocket", "xwebsocket", "h2c", "TLS/1.2"]
        {
            assert!(pattern.matches(other.as_bytes()), "{other}");
        }
        for same in ["websocket", "WebSocket", "WEBSOCKET"] {
            assert!(!pattern.matches(same.as_bytes()), "{same}");
        }
    }
}
