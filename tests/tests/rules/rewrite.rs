//! Paths and hosts as the upstream receives them, and added headers.

use crate::setup::{Ruled, rule};

#[test]
fn the_upstream_sees_the_path_and_host_of_the_rule() {
    let by_uri = |name: &str, uri: &str, rewrite: &str| {
        rule(name, &format!("match: {{request: {{headers: {{uri: {uri}}}}}}}, rewrite: {rewrite}"))
    };
    let by_route = |name: &str, rewrite: &str| {
        rule(
            name,
            &format!("match: {{request: {{headers: {{x-rewrite: {name}}}}}}}, rewrite: {rewrite}"),
        )
    };
    let edge = Ruled::start(&[
        by_uri("a", "{prefix: /old/}", "{uri: /new/}"),
        by_uri("b", "{prefix: /cut}", "{uri: /}"),
        by_uri("c", "{exact: /one}", "{uri: /two}"),
        by_uri("d", "{regex: '/r/.*'}", "{uri: /regex}"),
        by_uri("e", "{prefix: /host/}", "{authority: 'internal.example:81'}"),
        by_uri("f", "{prefix: /both/}", "{uri: /x/, authority: internal.example}"),
        by_uri("g", "{prefix: /dots.}", "{uri: /}"),
        by_route("h", "{uri: /new}"),
        by_route("i", "{uri: /}"),
    ]);
    for (path, headers, sees, original) in [
        ("/old/x?y=/old/", &[][..], "/new/x?y=/old/", true),
        ("/old/", &[], "/new/", true),
        ("/cut/x", &[], "/x", true),
        ("/cut", &[], "/", true),
        ("/cut?q", &[], "/?q", true),
        ("/cutter", &[], "/ter", true),
        ("/one?q", &[], "/two?q", true),
        ("/r/a/b?q", &[], "/regex?q", true),
        ("/host/x", &[], "/host/x", false),
        ("/both/y", &[], "/x/y", true),
        // The path of the Ingress, if the rule has none: its prefix, or all of it.
        ("/shop/x", &["x-rewrite: h"], "/newx", true),
        ("/shop/x", &["x-rewrite: i"], "/x", true),
        ("/shop/", &["x-rewrite: i"], "/", true),
        ("/exact?q", &["x-rewrite: h"], "/new?q", true),
        ("/", &["x-rewrite: i"], "/", false),
        ("/x", &["x-rewrite: i"], "/x", false),
    ] {
        let seen = edge.get_with(path, headers);
        assert_eq!((seen.status, seen.path.as_str()), (200, sees), "{path} {headers:?}");
        let kept = seen.request_headers.get("x-envoy-original-path").map(String::as_str);
        assert_eq!(kept, original.then_some(path), "{path}");
        let host = match path.split('/').nth(1) {
            Some("host") => "internal.example:81",
            Some("both") => "internal.example",
            _ => "shop.example",
        };
        assert_eq!(seen.host, host, "{path}");
    }
    // A joined path that would leave the rule's prefix.
    assert_eq!(edge.get("/dots.../admin").outcome(), "400");
    assert_eq!(edge.get("/dots.x").path, "/x");
}

#[test]
fn appended_headers_stand_beside_the_clients() {
    let edge = Ruled::start(&[rule("a", "appendHeaders: {x-added: by the rule, x-both: '2'}")]);
    let seen = edge.get_with("/", &["x-both: 1"]);
    assert_eq!(seen.request_headers["x-added"], "by the rule");
    assert_eq!(seen.request_headers["x-both"], "1,2");
}
