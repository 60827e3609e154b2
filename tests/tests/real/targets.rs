//! Paths as clients write them.

use ingress_tests::ingresses::{path, rule, unclassed};
use ingress_tests::{Service, Upstream, raw};
use serde_json::json;

use crate::{HOST, serve_with};

/// Envoy decodes what needs no encoding (RFC 3986 section 2.3); of what is left, the digits
/// have no case (section 6.2.2.1).
#[test]
fn percent_encoded_letters_match_in_every_spelling_of_the_path() {
    let [listed, rest] = ["listed", "rest"].map(Upstream::start);
    let paths = [
        path("/caf%C3%A9", "Prefix", "listed"),
        path("/A~", "Exact", "listed"),
        path("/%e2%82%ac", "Exact", "listed"),
        path("/", "Prefix", "rest"),
    ];
    let ingress = unclassed("web", &json!({"rules": [rule(HOST, &paths)]}));
    let [one, two] = [("listed", &listed), ("rest", &rest)]
        .map(|(name, upstream)| Service::new(name).at(upstream).manifests());
    let serving = serve_with(&format!("{one}\n---\n{two}\n---\n{ingress}\n"), &[]);
    for (target, by, path) in [
        ("/caf%C3%A9", "listed", "/caf%C3%A9"),
        ("/caf%C3%A9/x%20y", "listed", "/caf%C3%A9/x%20y"),
        ("/caf%c3%a9", "listed", "/caf%c3%a9"),
        ("/caf%C3%a9/%e2", "listed", "/caf%C3%a9/%e2"),
        ("/CAF%C3%A9", "rest", "/CAF%C3%A9"),
        ("/caf%C3%A8", "rest", "/caf%C3%A8"),
        ("/%e2%82%ac", "listed", "/%e2%82%ac"),
        ("/%E2%82%AC", "listed", "/%E2%82%AC"),
        ("/A~", "listed", "/A~"),
        ("/%41%7e", "listed", "/A~"),
        ("/%41%7E", "listed", "/A~"),
        ("/x/%2e%2E/A~", "listed", "/A~"),
        ("/a%zz%", "rest", "/a%zz%"),
        // Not encoded, or ambiguous.
        ("/caf\u{e9}", "400", ""),
        ("/a%2fb", "400", ""),
        ("/a%2Fb", "400", ""),
        ("/a%00", "400", ""),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        assert_eq!(raw(serving.http, request.as_bytes()).by(), by, "{target}");
        let received = [&listed, &rest].map(Upstream::take_received).concat();
        let received: Vec<_> = received.iter().map(|request| &*request.path).collect();
        let expected: &[&str] = if path.is_empty() { &[] } else { &[path] };
        assert_eq!(received, expected, "{target}");
    }
}
