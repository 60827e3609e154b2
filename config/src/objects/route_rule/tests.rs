use std::cell::RefCell;

use ingress_filter::table::{AbortStatus, StringMatch};

use super::*;
use crate::finding::Findings;
use crate::manifest::read_text;

/// The rule for `web` in `shop` with `spec` as the rest of its spec, or its errors.
fn read(spec: &str) -> Result<RouteRule, Vec<String>> {
    let text = format!(
        "apiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {{name: r, namespace: shop}}\n\
         spec:\n  destination: {{name: web}}\n  {spec}\n"
    );
    let manifests = read_text("f.yaml", &text);
    let findings = RefCell::new(Findings::new());
    let reading = Reading::strict(&manifests.objects[0], &findings);
    let rule = RouteRule::read(&reading, &scope(true));
    rule.ok_or_else(|| findings.into_inner().into_iter().map(|f| f.to_string()).collect())
}

fn scope(cross_namespace: bool) -> Scope {
    Scope { cluster_domain: "cluster.local".into(), cross_namespace }
}

fn forwarding(spec: &str) -> Forwarding {
    match read(spec).map(|rule| rule.effect) {
        Ok(Effect::Forward(forwarding)) => *forwarding,
        other => panic!("{spec}: {other:?}"),
    }
}

#[test]
fn a_rule_is_read_once_unless_it_may_name_other_services() {
    let manifests = read_text(
        "f.yaml",
        "apiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {name: r}\n\
         spec: {destination: {name: web, namespace: other}}\n",
    );
    let read = |cross_namespace| RouteRule::of(&manifests.objects[0], &scope(cross_namespace));
    let first = read(true);
    assert!(first.value.is_some(), "{:?}", first.findings);
    assert!(Arc::ptr_eq(&first, &read(true)));
    assert!(read(false).value.is_none());
    assert_eq!(read(false).findings.len(), 1);
}

#[test]
fn percentages_are_counted_in_millionths() {
    for (percent, per_million) in [
        ("100", Some(1_000_000)),
        ("50", Some(500_000)),
        ("0.1", Some(1_000)),
        ("33.3333", Some(333_333)),
        ("0.0001", Some(1)),
        ("99.99999", Some(1_000_000)),
        ("0", None),
        ("-0.0", None),
    ] {
        let spec = format!("httpFault: {{delay: {{percent: {percent}, fixedDelay: 1s}}}}");
        let delay = forwarding(&spec).fault.and_then(|fault| fault.delay);
        assert_eq!(delay.map(|delay| delay.per_million), per_million, "{percent}");
    }
}

#[test]
fn the_only_share_takes_everything() {
    for (route, weights) in [
        ("[]", &[][..]),
        ("[{}]", &[100]),
        ("[{weight: 0}]", &[100]),
        ("[{weight: 100}]", &[100]),
        ("[{weight: 100}, {}]", &[100, 0]),
        ("[{weight: 1}, {weight: 99}]", &[1, 99]),
    ] {
        let shares = forwarding(&format!("route: {route}")).route;
        let found: Vec<_> = shares.iter().map(|share| share.weight).collect();
        assert_eq!(found, weights, "{route}");
    }
}

#[test]
fn labels_may_stand_beside_a_destination_or_in_it() {
    for share in [
        "{labels: {version: v1}}",
        "{destination: {name: web}, labels: {version: v1}}",
        "{destination: {name: web, labels: {version: v1}}}",
        "{destination: {name: web, labels: {version: v1}}, labels: {version: v1}}",
    ] {
        let route = forwarding(&format!("route: [{share}]")).route;
        assert_eq!(route[0].labels.get("version").map(String::as_str), Some("v1"), "{share}");
        assert!(route[0].destination.as_ref().is_none_or(|other| other.labels.is_empty()));
    }
}

#[test]
fn a_service_without_a_namespace_is_the_rules_neighbour() {
    for (service, expected) in [
        ("{name: a}", ("shop", "a")),
        ("{name: a, domain: svc.cluster.local}", ("shop", "a")),
        ("{name: a, namespace: b}", ("b", "a")),
        ("{service: a.b.svc.cluster.local}", ("b", "a")),
    ] {
        let mirror = forwarding(&format!("mirror: {service}")).mirror.unwrap();
        assert_eq!((&*mirror.namespace, &*mirror.name), expected, "{service}");
    }
}

#[test]
fn a_source_without_a_namespace_is_of_any() {
    let rule = read("match: {source: {name: istio-ingress}}").unwrap();
    assert_eq!(rule.condition.source.unwrap().namespace, None);
}

#[test]
fn a_bare_string_is_exact() {
    let rule = read("match: {request: {headers: {x-user: jason}}}").unwrap();
    let value = &rule.condition.request.headers[0].value;
    assert_eq!(*value, StringMatch::Exact("jason".into()));
}

#[test]
fn a_grpc_status_has_a_name_and_a_number() {
    for (status, number) in
        [("OK", 0), ("UNAVAILABLE", 14), ("UNAUTHENTICATED", 16), ("14", 14), ("\"14\"", 14)]
    {
        let spec = format!("httpFault: {{abort: {{percent: 1, grpcStatus: {status}}}}}");
        let abort = forwarding(&spec).fault.and_then(|fault| fault.abort).unwrap();
        assert_eq!(abort.status, AbortStatus::Grpc(number), "{status}");
    }
}

#[test]
fn all_that_is_wrong_is_reported() {
    let errors =
        read("precedence: x\n  route: [{weight: 5}]\n  mirror: web\n  rewrite: {}\n  l4Fault: {}");
    assert_eq!(errors.unwrap_err().len(), 5);
}
