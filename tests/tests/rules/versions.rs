//! Versions, weights and other services.

use std::collections::BTreeMap;
use std::thread;

use crate::setup::{Ruled, rule};
use ingress_tests::KeepAlive;

/// The number of this many requests that each upstream served; other responses are
/// counted by status.
fn shares(edge: &Ruled, path: &str, count: usize) -> BTreeMap<String, usize> {
    let counted = |count: usize| {
        let http = edge.serving.http;
        let path = path.to_owned();
        thread::spawn(move || {
            let mut client = KeepAlive::connect(http);
            let mut shares = BTreeMap::new();
            for _ in 0..count {
                *shares.entry(client.get("shop.example", &path).by()).or_insert(0) += 1;
            }
            shares
        })
    };
    // Two connections, so that both workers select versions.
    let halves = [counted(count / 2), counted(count - count / 2)];
    let mut all = BTreeMap::new();
    for half in halves {
        for (by, count) in half.join().expect("a client") {
            *all.entry(by).or_insert(0) += count;
        }
    }
    all
}

fn at(name: &str, route: &str) -> String {
    rule(
        name,
        &format!("match: {{request: {{headers: {{uri: {{prefix: /{name}}}}}}}}}, route: {route}"),
    )
}

#[test]
fn requests_are_spread_by_weight() {
    let edge = Ruled::start(&[
        at("split", "[{labels: {version: v1}, weight: 75}, {labels: {version: v2}, weight: 25}]"),
        at("zero", "[{labels: {version: v1}, weight: 100}, {labels: {version: v2}, weight: 0}]"),
        at("only", "[{labels: {version: v2}}]"),
        at(
            "service",
            "[{destination: {name: other}, weight: 60}, {labels: {version: v1}, weight: 40}]",
        ),
        at("gone", "[{labels: {version: v1}, weight: 50}, {labels: {version: v9}, weight: 50}]"),
    ]);
    // 43.3 is a standard deviation; six of them in each direction.
    let split = shares(&edge, "/split", 10_000);
    assert_eq!(split.values().sum::<usize>(), 10_000);
    assert!((7_240..=7_760).contains(&split["v1"]), "{split:?}");
    assert_eq!(split.len(), 2, "{split:?}");
    assert_eq!(shares(&edge, "/zero", 10_000), [("v1".to_owned(), 10_000)].into());
    assert_eq!(shares(&edge, "/only", 100), [("v2".to_owned(), 100)].into());
    let service = shares(&edge, "/service", 4_000);
    assert!((2_210..=2_590).contains(&service["other"]) && service.len() == 2, "{service:?}");
    // A version without pods keeps its weight: other versions do not get its
    // requests.
    let gone = shares(&edge, "/gone", 2_000);
    assert!((860..=1_140).contains(&gone["503"]) && gone.len() == 2, "{gone:?}");
    // All versions, if no rule selects one.
    let any = shares(&edge, "/", 200);
    assert_eq!(any.len(), 2, "{any:?}");
    assert_eq!(edge.explain("/split", &[]).split.len(), 2);
}

#[test]
fn a_version_that_no_service_has_answers_503() {
    let edge = Ruled::start(&[at("empty", "[{labels: {version: v9}}]")]);
    assert_eq!(edge.ask_envoy("GET", "/empty", &[]).status, 503);
    assert!(edge.get("/").by.starts_with('v'));
}
