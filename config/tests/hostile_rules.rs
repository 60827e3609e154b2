//! RouteRules with any content and in any number affect only their authors.

mod large;

use std::fmt::Write;
use std::time::Instant;

use ingress_filter::table::{Action, Backend, Destination};
use ingress_filter::{Router, Verdict};
use ingressctl::compile::{Compiled, compile};
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;
use large::{SERVICE, compile_large, ingress};

/// A rule for the service `web`, with the rest of its spec in `spec`.
fn rule(name: &str, spec: &str) -> String {
    rule_in("default", name, &format!("destination: {{name: web}}\n  {spec}"))
}

fn rule_in(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  {spec}
"
    )
}

/// The service `web`, and an Ingress for it.
fn exposed() -> String {
    SERVICE.to_owned() + &ingress("web", "foo.example.com", std::iter::once("/".to_owned()))
}

/// `web` with `rules`.
fn compile_rules(rules: &str) -> Compiled {
    let compiled =
        compile(&read_text("f.yaml", &format!("{}{rules}", exposed())), &Settings::default());
    if let Err(error) = Router::new(&compiled.gateway.table) {
        panic!("{error}\n{rules}");
    }
    compiled
}

fn backend(compiled: &Compiled) -> &Backend {
    &compiled.gateway.table.backends[0]
}

fn default_cluster(compiled: &Compiled) -> &str {
    match &backend(compiled).default {
        Action::Forward(forward) => match &forward.cluster {
            Destination::Cluster(cluster) => cluster,
            split @ Destination::Split(_) => panic!("{split:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn ten_thousand_rules_of_one_service() {
    let rules = (0..10_000).map(|number| {
        let condition = format!(
            "precedence: {number}\n  match: {{request: {{headers: {{x-user: u{number}}}}}}}"
        );
        let effect = format!("route: [{{labels: {{version: v{}}}}}]", number % 100);
        rule(&format!("r{number}"), &format!("{condition}\n  {effect}"))
    });
    let text = exposed() + &rules.collect::<String>();
    let compiled = compile_large("10,000 rules", &text);
    assert!(!compiled.has_errors());
    let rules = &backend(&compiled).rules;
    assert_eq!(rules.len(), 10_000);
    assert_eq!((&*rules[0].name, &*rules[9_999].name), ("default/r9999", "default/r0"));
    assert_eq!(compiled.gateway.clusters.len(), 101);
}

#[test]
fn ten_thousand_services_with_a_rule_each() {
    let mut text = String::new();
    for number in 0..10_000 {
        let _ = write!(
            text,
            "---
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{ports: [{{port: 80}}]}}
{}---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i{number}
  annotations: {{kubernetes.io/ingress.class: istio}}
spec:
  defaultBackend: {{service: {{name: s{number}, port: {{number: 80}}}}}}
  rules:
  - host: h{number}.example.com
    http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: s{number}, port: {{number: 80}}}}}}}}
",
            rule_in("default", &format!("r{number}"), &format!("destination: {{name: s{number}}}"))
        );
    }
    let compiled = compile_large("10,000 services with a rule each", &text);
    assert!(!compiled.has_errors());
    assert!(compiled.gateway.table.backends.iter().all(|backend| backend.rules.len() == 1));
}

#[test]
fn a_thousand_versions_of_a_thousand_pods() {
    let mut text = exposed();
    text.push_str("---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\nsubsets:\n- ports: [{port: 80}]\n  addresses:\n");
    for number in 0..1_000 {
        let (high, low) = (number / 250, number % 250);
        let _ = writeln!(
            text,
            "  - {{ip: 10.0.{high}.{low}, targetRef: {{kind: Pod, name: web-{number}}}}}"
        );
    }
    for number in 0..1_000 {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: web-{number}, labels: {{version: v{number}}}}}\n{}",
            rule(
                &format!("r{number}"),
                &format!(
                    "match: {{request: {{headers: {{a: \"{number}\"}}}}}}\n  route: [{{labels: {{version: v{number}}}}}]"
                )
            )
        );
    }
    let compiled = compile_large("1,000 versions", &text);
    assert!(compiled.findings.is_empty(), "{:?}", compiled.findings.first());
    assert_eq!(compiled.gateway.clusters.len(), 1_001);
}

/// The service `web` with this many ports, each with a path.
fn with_ports(ports: u16) -> String {
    let mut text =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n".to_owned();
    for port in 1..=ports {
        let _ = writeln!(text, "  - {{name: http-{port}, port: {port}}}");
    }
    for port in 1..=ports {
        let path = std::iter::once(format!("/{port}"));
        let exposed = ingress(&format!("web-{port}"), "foo.example.com", path);
        text.push_str(&exposed.replace("number: 80", &format!("number: {port}")));
    }
    text
}

#[test]
fn a_services_ports_share_its_rules() {
    let mut text = with_ports(300);
    for number in 0..1_000 {
        let spec = format!("match: {{request: {{headers: {{a: \"{number}\"}}}}}}");
        text.push_str(&rule(&format!("r{number}"), &spec));
    }
    let compiled = compile_large("1,000 rules, 300 ports", &text);
    assert!(compiled.findings.is_empty(), "{:?}", compiled.findings.first());
    let backend = backend(&compiled);
    assert_eq!((backend.rules.len(), backend.ports.len()), (1_000, 300));
    let flat = compiled.gateway.table.flat().unwrap();
    assert!(flat.bytes().len() < 1 << 20, "{} bytes", flat.bytes().len());
    let router = Router::from_flat(flat.clone()).unwrap();
    for port in [1, 77, 300] {
        let headers =
            [(":authority", "foo.example.com"), (":path", &*format!("/{port}")), ("a", "5")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into()));
        let Verdict::Forward(forward) = router.decide(&headers[..]).verdict else { panic!() };
        assert_eq!(forward.cluster, format!("web.default.svc.cluster.local|{port}"));
    }
}

/// A rule that produced a table of 222 MB when each port had its own rules.
#[test]
fn a_rule_of_a_megabyte_and_150_ports() {
    let value = "v".repeat(1_000);
    let headers = (0..1_100).map(|number| format!("    x-{number}: {value}\n"));
    let spec = format!("appendHeaders:\n{}", headers.collect::<String>());
    let compiled = compile_large("1.1 MB, 150 ports", &(with_ports(150) + &rule("large", &spec)));
    assert!(compiled.findings.is_empty(), "{:?}", compiled.findings.first());
    let size = compiled.gateway.table.flat().unwrap().bytes().len();
    assert!(size < 2 << 20, "{size} bytes");
}

fn conditions(count: usize, value: impl Fn(usize) -> String) -> String {
    let mut spec = "match:\n    request:\n      headers:\n".to_owned();
    for number in 0..count {
        let _ = writeln!(spec, "        x-header-{number}: {}", value(number));
    }
    spec
}

#[test]
fn a_thousand_conditions_in_one_rule() {
    let spec = conditions(1_000, |number| format!("{{prefix: \"{number}\"}}"));
    let compiled = compile_large("1,000 conditions", &(exposed() + &rule("large", &spec)));
    assert!(compiled.findings.is_empty(), "{:?}", compiled.findings.first());
    assert_eq!(backend(&compiled).rules[0].matches.headers.len(), 1_000);
}

#[test]
fn a_service_has_no_more_regular_expressions_than_a_request_can_be_searched_for() {
    let regex = |number: usize| format!("{{regex: \"(a+)+{number}$\"}}");
    let rules = [
        rule("a", &conditions(40, regex)),
        rule("b", &conditions(24, regex)),
        rule("c", &conditions(1, regex)),
        rule("d", "match: {request: {headers: {a: b}}}"),
        rule("e", &conditions(6_000, |number| format!("{{regex: \"e{number}\"}}"))),
    ];
    let compiled = compile_large("6,065 expressions", &(exposed() + &rules.concat()));
    let names: Vec<_> = backend(&compiled).rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["default/a", "default/b", "default/d"]);
    let message = compiled.findings[0].to_string();
    assert!(
        message.contains(
            "RouteRule default/c: spec.match.request.headers.x-header-0.regex: exceeds the limit of 64"
        ),
        "{message}"
    );
    assert!(compiled.findings.iter().all(|finding| !finding.to_string().contains("default/d")));
}

#[test]
fn a_namespace_that_spends_its_expressions_hurts_no_other() {
    let mut rules = String::new();
    for number in 0..100 {
        let service = format!("greedy-{number}");
        rules.push_str(&rule_in(
            "default",
            &service,
            &format!(
                "destination: {{name: web}}\n  {}",
                conditions(1, |_| format!("{{regex: \"([ab]*a[ab]{{10}})c{number}\"}}"))
            ),
        ));
    }
    rules.push_str(
        "---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: other}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other, namespace: other, annotations: {kubernetes.io/ingress.class: istio}}
spec: {defaultBackend: {service: {name: other, port: {number: 80}}}}
",
    );
    rules.push_str(&rule_in(
        "other",
        "modest",
        &format!(
            "destination: {{name: other}}\n  {}",
            conditions(1, |_| "{regex: \"a+\"}".to_owned())
        ),
    ));
    let compiled = compile_large("100 expressions of 20 KiB", &(exposed() + &rules));
    let refused = |finding: &ingressctl::finding::Finding| {
        finding.message.contains("exceeds the budget of its namespace")
    };
    let count = compiled.findings.iter().filter(|finding| refused(finding)).count();
    assert!((60..90).contains(&count), "{count} are rejected");
    let served = compiled.gateway.table.backends.iter().flat_map(|backend| &backend.rules);
    let served: Vec<_> = served.map(|rule| &*rule.name).collect();
    assert!(served.contains(&"other/modest"), "{served:?}");
}

#[test]
fn one_bad_rule_among_a_thousand() {
    let rules = (0..1_000).map(|number| {
        let timeout = if number == 500 { "-1s" } else { "1s" };
        rule(
            &format!("r{number}"),
            &format!(
                "match: {{request: {{headers: {{a: \"{number}\"}}}}}}\n  httpReqTimeout: {{simpleTimeout: {{timeout: {timeout}}}}}"
            ),
        )
    });
    let compiled = compile_large("1,000 rules", &(exposed() + &rules.collect::<String>()));
    assert_eq!(compiled.findings.len(), 1, "{:?}", compiled.findings);
    assert_eq!(backend(&compiled).rules.len(), 999);
}

#[test]
fn text_never_becomes_a_part_of_a_clusters_name() {
    let hostile =
        ["\"v1|x\"", "\"v1,a=b\"", "\"v=1\"", "\"v1\\n\"", "\"v1\\0\"", "\"é\"", "\" v1\"", "/"];
    for text in hostile {
        for spec in [
            format!("route: [{{labels: {{version: {text}}}}}]"),
            format!("route: [{{labels: {{{text}: v1}}}}]"),
            format!("route: [{{destination: {{name: {text}}}}}]"),
            format!("route: [{{destination: {{name: web, namespace: {text}}}}}]"),
            format!("route: [{{destination: {{name: web, domain: {text}}}}}]"),
            format!("route: [{{destination: {{service: {text}}}}}]"),
            format!("mirror: {{name: {text}}}"),
            format!("mirror: {{name: web, labels: {{version: {text}}}}}"),
        ] {
            let compiled = compile_rules(&rule("hostile", &spec));
            assert!(compiled.has_errors(), "{spec}");
            assert!(backend(&compiled).rules.is_empty(), "{spec}");
            assert_eq!(compiled.gateway.clusters.len(), 1, "{spec}");
        }
    }
}

#[test]
fn a_rule_of_another_namespace_takes_nothing_over() {
    for spec in [
        "destination: {name: web, namespace: default}",
        "destination: {service: web.default.svc.cluster.local}",
        // Without a namespace, this is a service in the rule's own namespace.
        "destination: {name: web}",
    ] {
        let spec = format!("{spec}\n  redirect: {{authority: evil.example}}");
        let compiled = compile_rules(&rule_in("evil", "takeover", &spec));
        assert_eq!(compiled.findings.len(), 1, "{:?}", compiled.findings);
        assert!(backend(&compiled).rules.is_empty(), "{spec}");
        assert_eq!(default_cluster(&compiled), "web.default.svc.cluster.local|80");
    }
}

#[test]
fn an_oversized_expression_costs_its_rule_and_little_time() {
    let long = format!("\"{}\"", "a".repeat(100_000));
    for (regex, fits) in [
        ("'(a+)+$'", true),
        ("'(?:a{0,1000}){1000}'", false),
        (r"'\w{5000}'", false),
        (&*long, false),
        ("'((((((((((a{10}){10}){10}){10}){10}){10}){10}){10}){10}){10})'", false),
    ] {
        let rules =
            rule("regex", &format!("match: {{request: {{headers: {{a: {{regex: {regex}}}}}}}}}"))
                + &rule("other", "precedence: -1");
        let start = Instant::now();
        let compiled = compile_rules(&rules);
        let taken = start.elapsed();
        assert_eq!(backend(&compiled).rules.len(), 1 + usize::from(fits), "{regex:.80}");
        assert!(taken.as_secs() < 5, "{regex:.80}: {taken:?}");
    }
}

#[test]
fn a_number_that_does_not_fit_is_never_wrapped() {
    // Each would be 1 or 100 if its upper bits were dropped.
    let numbers = [
        "4294967297",
        "4294967396",
        "18446744073709551617",
        "-4294967196",
        "1.5",
        ".nan",
        ".inf",
        "1e400",
    ];
    for number in numbers {
        for spec in [
            format!("precedence: {number}"),
            format!("route: [{{weight: {number}}}]"),
            format!("httpReqRetries: {{simpleRetry: {{attempts: {number}}}}}"),
            format!("httpFault: {{abort: {{percent: 100, httpStatus: {number}}}}}"),
            format!("httpFault: {{abort: {{percent: 100, grpcStatus: {number}}}}}"),
        ] {
            let compiled = compile_rules(&rule("number", &spec));
            assert!(compiled.has_errors(), "{spec}");
            assert!(backend(&compiled).rules.is_empty(), "{spec}");
        }
    }
}
