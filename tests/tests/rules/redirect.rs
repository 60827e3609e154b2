//! Redirects, as the client sees them.

use crate::setup::{Ruled, rule};

#[test]
fn a_client_is_sent_where_the_rule_says() {
    let at = |name: &str, redirect: &str| {
        rule(
            name,
            &format!(
                "match: {{request: {{headers: {{uri: {{prefix: /{name}}}}}}}}}, redirect: {redirect}"
            ),
        )
    };
    let edge = Ruled::start(&[
        at("path", "{uri: /new}"),
        at("query", "{uri: '/new?own=1'}"),
        at("host", "{authority: 'www.example.com:8443'}"),
        at("both", "{uri: /new, authority: www.example.com}"),
    ]);
    for (path, location) in [
        ("/path/x", "http://shop.example/new"),
        ("/path/x?a=b&c", "http://shop.example/new?a=b&c"),
        ("/query?a=b", "http://shop.example/new?own=1"),
        ("/host/x?a=b", "http://www.example.com:8443/host/x?a=b"),
        ("/host//evil.example", "http://www.example.com:8443/host/evil.example"),
        ("/both/x?q", "http://www.example.com/new?q"),
        ("/path/%0d%0aset-cookie:%20a=b?%0d%0a", "http://shop.example/new?%0d%0a"),
    ] {
        let seen = edge.get(path);
        assert_eq!((seen.status, seen.by.as_str()), (302, ""), "{path}");
        assert_eq!(seen.response_headers["location"], location, "{path}");
    }
    // A HEAD request gets the same redirect.
    let head = edge.ask("HEAD", "/path", &[]);
    assert_eq!(
        (head.status, &*head.response_headers["location"]),
        (302, "http://shop.example/new")
    );
    assert!(edge.received("v1").is_empty() && edge.received("v2").is_empty());
}

#[test]
fn no_path_of_a_clients_becomes_a_host() {
    let edge = Ruled::start(&[rule("all", "redirect: {authority: www.example.com}")]);
    for (path, location) in [
        ("//evil.example/x", "http://www.example.com/evil.example/x"),
        ("//", "http://www.example.com//"),
        ("/\\evil.example", "http://www.example.com/evil.example"),
        ("/.//evil.example", "http://www.example.com/evil.example"),
        ("/@evil.example", "http://www.example.com/@evil.example"),
    ] {
        let seen = edge.get(path);
        assert_eq!((seen.status, &*seen.response_headers["location"]), (302, location), "{path}");
    }
    // The scheme is that of the connection, whatever the client claims.
    for claim in ["x-forwarded-proto: https", "x-forwarded-proto: javascript"] {
        let location = &edge.get_with("/", &[claim]).response_headers["location"];
        assert_eq!(location, "http://www.example.com/", "{claim}");
    }
}
