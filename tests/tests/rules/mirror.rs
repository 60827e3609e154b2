//! Copies of requests.

use crate::setup::{Ruled, rule};
use ingress_tests::{Received, wait_until};

/// The requests that reach the mirror; copies arrive without a fixed delay.
fn copies(edge: &Ruled, count: usize) -> Vec<Received> {
    let mut all = Vec::new();
    wait_until("the copies arrive", || {
        all.extend(edge.received("other"));
        all.len() >= count
    });
    all
}

#[test]
fn a_copy_goes_to_the_mirror_and_its_answer_nowhere() {
    let edge = Ruled::start(&[rule(
        "a",
        "match: {request: {headers: {uri: {prefix: /mirrored}}}}, route: [{labels: {version: v1}}], \
         mirror: {name: other}, appendHeaders: {x-added: 'yes'}",
    )]);
    // A slow copy delays no request.
    let seen = edge.get_with("/mirrored?q", &["x-user: me", "x-answer-x-y: z"]);
    assert_eq!((seen.status, seen.by.as_str()), (200, "v1"));
    let copy = copies(&edge, 1).pop().expect("a copy");
    assert_eq!(copy.path, "/mirrored?q");
    assert_eq!(copy.values("host"), [b"shop.example-shadow"]);
    assert_eq!(copy.values("x-user"), [b"me"]);
    assert_eq!(copy.values("x-added"), [b"yes"]);
    let internal: Vec<_> =
        copy.header_names().into_iter().filter(|name| name.starts_with("x-ingress-")).collect();
    assert!(internal.is_empty(), "{internal:?}");

    assert_eq!(edge.get("/not").status, 200);
    for _ in 0..20 {
        assert_eq!(edge.serving.get("shop.example", "/mirrored").by(), "v1");
    }
    assert_eq!(copies(&edge, 20).len(), 20, "one copy each, none of the other path");
    assert_eq!(
        edge.explain("/mirrored", &[]).mirror.as_deref(),
        Some("other.default.svc.cluster.local|80")
    );
}

#[test]
fn a_dead_mirror_harms_no_client() {
    let rules =
        [rule("a", "route: [{labels: {version: v1}}], mirror: {name: web, labels: {version: v2}}")];
    let mut edge = Ruled::start(&rules);
    assert_eq!(edge.ask_envoy("GET", "/", &[]).by, "v1");
    wait_until("the copy arrives", || !edge.received("v2").is_empty());
    edge.stop("v2");
    let start = std::time::Instant::now();
    for _ in 0..50 {
        let seen = edge.ask_envoy("GET", "/", &[]);
        assert_eq!((seen.status, seen.by.as_str()), (200, "v1"));
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

/// With mirrors, Envoy selects its route in a different way.
#[test]
fn beside_mirrors_trace_and_upgrades_are_refused_as_ever() {
    let mirrored = |path: &str| {
        rule(
            path,
            &format!(
                "match: {{request: {{headers: {{uri: {{prefix: /{path}}}}}}}}}, mirror: {{name: other}}"
            ),
        )
    };
    let edge = Ruled::start(&[mirrored("one"), mirrored("two")]);
    for path in ["/one", "/two", "/none"] {
        assert_eq!(edge.ask_envoy("TRACE", path, &[]).status, 405, "{path}");
        let upgrade = ["connection: upgrade", "upgrade: websocket"];
        assert_eq!(edge.ask_envoy("GET", path, &upgrade).status, 403, "{path}");
        assert_eq!(edge.get(path).status, 200, "{path}");
        if path != "/none" {
            copies(&edge, 1);
        }
    }
}
