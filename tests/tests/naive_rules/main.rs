//! Random RouteRules and requests: the compiler and the filter agree with an
//! evaluator that checks every rule, written directly from the description of the
//! fields.

mod evaluator;
mod requests;

use std::fmt::Write;

use ingress_filter::table::AbortStatus;
use ingress_filter::{HeaderEdit, Router, Verdict};
use ingress_tests::random::{file, manifest, rule, services};
use ingressctl::compile::compile;
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;
use proptest::prelude::*;

use evaluator::{Decided, naive, set};
use requests::{Asked, asked};

/// One host, whose paths lead to two services.
const INGRESS: &str = r#"{"apiVersion": "extensions/v1beta1", "kind": "Ingress",
 "metadata": {"name": "i", "annotations": {"kubernetes.io/ingress.class": "istio"}},
 "spec": {"rules": [{"http": {"paths": [
  {"path": "/a", "backend": {"serviceName": "two", "servicePort": 80}},
  {"path": "/b.*", "backend": {"serviceName": "two", "servicePort": 80}},
  {"path": "/.*", "backend": {"serviceName": "one", "servicePort": 80}}]}}]}}"#;

/// The decision of the filter, in the same terms.
fn decided(router: &Router, asked: &Asked) -> Decided {
    let decision = router.decide(asked);
    let mut decided = Decided::new();
    set(&mut decided, "rule", decision.rule.unwrap_or("none"));
    let text = |edit: &HeaderEdit<'_>| String::from_utf8(edit.value.to_vec()).expect("text");
    match &decision.verdict {
        Verdict::Respond(status) => set(&mut decided, "status", status.to_string()),
        Verdict::Forward(forwarding) => {
            set(&mut decided, "cluster", forwarding.cluster);
            for edit in &forwarding.edits {
                set(&mut decided, &edit.name, text(edit));
            }
            if let Some(AbortStatus::Http(status)) = forwarding.abort {
                set(&mut decided, "abort", status.to_string());
            }
        }
    }
    for edit in &decision.response_headers {
        set(&mut decided, &format!("> {}", edit.name), text(edit));
    }
    decided
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_filter_agrees_with_the_description(
        rules in prop::collection::vec(rule(), 0..8),
        requests in prop::collection::vec(asked(), 20),
    ) {
        let rules: Vec<_> =
            rules.into_iter().enumerate().map(|(index, rule)| (format!("r{index}"), rule)).collect();
        let mut text = file(&services("", |_, version| ([10, 0, 0, version], 8080).into()));
        text += INGRESS;
        for (name, rule) in &rules {
            let _ = write!(text, "\n---\n{}", manifest(name, rule, ""));
        }
        let compiled = compile(&read_text("f.yaml", &text), &Settings::default());
        prop_assert!(!compiled.has_errors(), "{:?}\n{}", compiled.findings, text);
        let router = Router::new(&compiled.gateway.table).expect("a table");
        for asked in &requests {
            prop_assert_eq!(decided(&router, asked), naive(&rules, asked), "{:?}\n{}", asked, text);
        }
    }
}
