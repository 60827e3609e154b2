//! The CRD of RouteRules: which objects the API accepts and rejects.

use std::fs;
use std::path::Path;
use std::process::Command;

use ingress_tests::{ApiServer, Kubectl, ingressctl, workspace};
use serde_json::{Value, json};

use crate::deployment::{documents, files_in, samples};
use crate::setup::object;

#[test]
fn every_rule_of_the_samples_is_taken() {
    let api = ApiServer::shared();
    let mut count = 0;
    for folder in samples() {
        let namespace = folder.file_name().unwrap().to_str().unwrap();
        let namespace = api.namespace(&format!("rules-of-{namespace}"));
        for document in
            documents(&folder).iter().filter(|text| text.contains("\nkind: RouteRule\n"))
        {
            namespace.create(document);
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

/// Invalid specs that a schema can detect, and the field in the error.
const WRONG_SPECS: &[(&str, &str)] = &[
    ("{}", "spec.destination"),
    ("{destination: web}", "spec.destination"),
    ("{destination: {}}", "spec.destination"),
    ("{destination: {name: Web}}", "spec.destination.name"),
    ("{destination: {name: a.b}}", "spec.destination.name"),
    ("{destination: {name: web, labels: {version: v1}}}", "spec.destination.labels"),
    ("{destination: {name: web, service: a.b.svc.cluster.local}}", "spec.destination"),
    ("{destination: {name: web, domain: cluster.local}}", "spec.destination.domain"),
    ("{destination: {service: web}}", "spec.destination.service"),
    ("{destination: {service: web..svc.cluster.local}}", "spec.destination.service"),
    ("{destination: {service: '*'}}", "spec.destination.service"),
    ("{destination: {service: a.b.svc.cluster.local, namespace: b}}", "spec.destination"),
];

/// The same for fields next to `destination: {name: web}`.
const WRONG_BESIDE_DESTINATION: &[(&str, &str)] = &[
    ("precedence: 2147483648", "spec.precedence"),
    ("precedence: 1.5", "spec.precedence"),
    ("precedence: \"1\"", "spec.precedence"),
    ("match: all", "spec.match"),
    ("match: {udp: {}}", "spec.match"),
    ("match: {source: {labels: {istio: ingress}}}", "spec.match.source"),
    ("match: {tcp: {sourceSubnet: 10.0.0.0/8}}", "spec.match.tcp.sourceSubnet"),
    ("match: {request: {headers: [uri]}}", "spec.match.request.headers"),
    ("match: {request: {headers: {uri: {}}}}", "spec.match.request.headers.uri"),
    (
        "match: {request: {headers: {uri: {exact: /a, prefix: /b}}}}",
        "spec.match.request.headers.uri",
    ),
    ("match: {request: {headers: {uri: {prefix: 5}}}}", "spec.match.request.headers.uri.prefix"),
    ("route: {weight: 100}", "spec.route"),
    ("route: [{weight: 101}]", "spec.route.weight"),
    ("route: [{weight: -1}]", "spec.route.weight"),
    ("route: [{labels: {version: a/b}}]", "spec.route.labels.version"),
    ("route: [{destination: {}}]", "spec.route.destination"),
    ("redirect: {}", "spec.redirect"),
    ("redirect: {uri: x}", "spec.redirect.uri"),
    ("redirect: {uri: //evil.example}", "spec.redirect.uri"),
    ("redirect: {uri: /a}, route: [{}]", "spec"),
    ("redirect: {uri: /a}, rewrite: {uri: /b}", "spec"),
    ("redirect: {uri: /a}, websocketUpgrade: true", "spec"),
    ("redirect: {uri: /a}, httpFault: {delay: {fixedDelay: 1s}}", "spec"),
    ("rewrite: {}", "spec.rewrite"),
    ("rewrite: {uri: \"/a?b\"}", "spec.rewrite.uri"),
    ("rewrite: {uri: \"/a b\"}", "spec.rewrite.uri"),
    ("websocketUpgrade: yes please", "spec.websocketUpgrade"),
    ("httpReqTimeout: {simpleTimeout: {}}", "spec.httpReqTimeout.simpleTimeout.timeout"),
    ("httpReqTimeout: {simpleTimeout: {timeout: 4}}", "spec.httpReqTimeout.simpleTimeout.timeout"),
    (
        "httpReqTimeout: {simpleTimeout: {timeout: 4 seconds}}",
        "spec.httpReqTimeout.simpleTimeout.timeout",
    ),
    (
        "httpReqTimeout: {simpleTimeout: {timeout: 4s, overrideHeaderName: X-Time}}",
        "spec.httpReqTimeout.simpleTimeout.overrideHeaderName",
    ),
    (
        "httpReqTimeout: {simpleTimeout: {timeout: 4s, overrideHeaderName: x-envoy-upstream-rq-timeout-ms}}",
        "spec.httpReqTimeout.simpleTimeout.overrideHeaderName",
    ),
    ("httpReqRetries: {simpleRetry: {attempts: -1}}", "spec.httpReqRetries.simpleRetry.attempts"),
    (
        "httpReqRetries: {simpleRetry: {attempts: 2147483648}}",
        "spec.httpReqRetries.simpleRetry.attempts",
    ),
    ("httpFault: {}", "spec.httpFault"),
    ("httpFault: {delay: {percent: 101, fixedDelay: 1s}}", "spec.httpFault.delay.percent"),
    ("httpFault: {delay: {percent: 1, exponentialDelay: 1s}}", "spec.httpFault.delay"),
    ("httpFault: {abort: {percent: 1, httpStatus: 600}}", "spec.httpFault.abort.httpStatus"),
    ("httpFault: {abort: {percent: 1, httpStatus: 500, grpcStatus: OK}}", "spec.httpFault.abort"),
    ("httpFault: {abort: {percent: 1, http2Error: REFUSED_STREAM}}", "spec.httpFault.abort"),
    ("l4Fault: {}", "spec"),
    ("mirror: web", "spec.mirror"),
    ("corsPolicy: {allowMethods: [FETCH]}", "spec.corsPolicy.allowMethods"),
    ("corsPolicy: {allowHeaders: [X-A]}", "spec.corsPolicy.allowHeaders"),
    ("corsPolicy: {maxAge: 60}", "spec.corsPolicy.maxAge"),
    ("appendHeaders: {x-a: \"\"}", "spec.appendHeaders.x-a"),
    ("appendHeaders: {x-a: \"a\\nb\"}", "spec.appendHeaders.x-a"),
    ("match: {source: {name: Gateway}}", "spec.match.source.name"),
    ("match: {source: {service: gateway}}", "spec.match.source.service"),
    ("match: {tcp: {sourceSubnet: [everywhere]}}", "spec.match.tcp.sourceSubnet"),
    ("match: {tcp: {sourceSubnet: [10.0.0.0/]}}", "spec.match.tcp.sourceSubnet"),
    ("match: {request: {headers: {\"\": a}}}", "spec.match.request.headers"),
    ("match: {request: {headers: {\":path\": /a}}}", "spec.match.request.headers"),
    ("match: {request: {headers: {uri: {suffix: /a}}}}", "spec.match.request.headers.uri"),
    ("route: [{weight: 50}]", "spec.route"),
    ("route: [{destination: {service: web}, weight: 100}]", "spec.route.destination.service"),
    ("redirect: {uri: \"/a#b\"}", "spec.redirect.uri"),
    ("redirect: {authority: \"\"}", "spec.redirect.authority"),
    ("redirect: {authority: user@example.com}", "spec.redirect.authority"),
    ("redirect: {authority: example..com}", "spec.redirect.authority"),
    ("redirect: {authority: \"example.com:http\"}", "spec.redirect.authority"),
    ("redirect: {uri: /a}, websocket_upgrade: true", "spec"),
    ("redirect: {uri: /a}, http_fault: {delay: {percent: 1, fixedDelay: 1s}}", "spec"),
    ("rewrite: {uri: a}", "spec.rewrite.uri"),
    ("rewrite: {authority: https://example.com}", "spec.rewrite.authority"),
    ("httpReqTimeout: {simpleTimeout: {timeout: 0s}}", "spec.httpReqTimeout.simpleTimeout.timeout"),
    (
        "httpReqTimeout: {simpleTimeout: {timeout: 0.0ms}}",
        "spec.httpReqTimeout.simpleTimeout.timeout",
    ),
    (
        "httpReqTimeout: {simpleTimeout: {timeout: 99999999999ms}}",
        "spec.httpReqTimeout.simpleTimeout.timeout",
    ),
    (
        "httpReqRetries: {simpleRetry: {attempts: 1, perTryTimeout: 0m0s}}",
        "spec.httpReqRetries.simpleRetry.perTryTimeout",
    ),
    ("httpFault: {delay: {percent: 1}}", "spec.httpFault.delay"),
    ("httpFault: {delay: {percent: 1, fixedDelay: 0s}}", "spec.httpFault.delay.fixedDelay"),
    ("httpFault: {delay: {percent: 0.00001, fixedDelay: 1s}}", "spec.httpFault.delay.percent"),
    (
        "httpFault: {delay: {percent: 1, fixedDelay: 1s, exponential_delay: 1s}}",
        "spec.httpFault.delay",
    ),
    ("httpFault: {abort: {percent: 1}}", "spec.httpFault.abort"),
    ("httpFault: {abort: {percent: 1, http_status: 500, grpcStatus: OK}}", "spec.httpFault.abort"),
    ("httpFault: {abort: {percent: 1, grpcStatus: 17}}", "spec.httpFault.abort.grpcStatus"),
    ("httpFault: {abort: {percent: 1, grpcStatus: \"17\"}}", "spec.httpFault.abort.grpcStatus"),
    ("httpFault: {abort: {percent: 1, grpcStatus: GONE}}", "spec.httpFault.abort.grpcStatus"),
    ("l4_fault: {}", "spec"),
    ("mirror: {service: web}", "spec.mirror.service"),
    ("corsPolicy: {allowOrigin: [\"http://a,http://b\"]}", "spec.corsPolicy.allowOrigin"),
    (
        "corsPolicy: {allowOrigin: [\"*\"], allowCredentials: \"yes\"}",
        "spec.corsPolicy.allowCredentials",
    ),
    ("appendHeaders: {\"\": a}", "spec.appendHeaders"),
    ("appendHeaders: {\":path\": /a}", "spec.appendHeaders"),
    ("appendHeaders: {host: a}", "spec.appendHeaders"),
    ("appendHeaders: {content-length: \"5\"}", "spec.appendHeaders"),
    ("appendHeaders: {transfer-encoding: chunked}", "spec.appendHeaders"),
    ("appendHeaders: {x-a: 5}", "spec.appendHeaders.x-a"),
];

fn wrong_specs() -> impl Iterator<Item = (String, &'static str)> {
    let whole = WRONG_SPECS.iter().map(|(spec, field)| ((*spec).to_owned(), *field));
    let with = |(rest, field): &(_, _)| (format!("{{destination: {{name: web}}, {rest}}}"), *field);
    whole.chain(WRONG_BESIDE_DESTINATION.iter().map(with))
}

fn rule(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

#[test]
fn a_rule_that_is_wrong_is_refused_where_a_schema_can_tell() {
    let api = ApiServer::shared();
    let namespace = api.namespace("bad-rules");
    for (spec, field) in wrong_specs() {
        refuses(&namespace, &spec, field);
    }
}

/// The API and the compiler must agree on what is valid.
#[test]
fn what_the_api_refuses_is_an_error_of_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    let specs: Vec<_> = wrong_specs().collect();
    let rules = specs.iter().enumerate().map(|(at, (spec, _))| rule(&format!("rule-{at}"), spec));
    let web = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    let manifests: Vec<_> = rules.chain([web.to_owned()]).collect();
    fs::write(&path, manifests.join("---\n")).unwrap();
    let output = Command::new(ingressctl()).args(["check", "-f"]).arg(path).output().unwrap();
    let findings = String::from_utf8(output.stdout).unwrap();
    for (at, (spec, _)) in specs.iter().enumerate() {
        let error = format!(": error: RouteRule default/rule-{at}: ");
        assert!(findings.contains(&error), "{spec} is accepted; {findings}");
    }
}

#[test]
fn a_rule_that_is_right_is_taken() {
    let api = ApiServer::shared();
    let namespace = api.namespace("good-rules");
    let mut rules = Vec::new();
    for case in files_in(&workspace().join("config/tests/golden")) {
        let findings = fs::read_to_string(case.join("findings.txt")).unwrap_or_default();
        for document in documents_of_case(&case) {
            let Ok(mut object) = serde_saphyr::from_str::<Value>(&document) else { continue };
            let metadata = &object["metadata"];
            let name = metadata["name"].as_str().unwrap_or_default();
            let within = metadata["namespace"].as_str().unwrap_or("default");
            let is_wrong = findings.contains(&format!(": error: RouteRule {within}/{name}: "));
            let is_rule =
                object["kind"] == "RouteRule" && object["apiVersion"] == "config.istio.io/v1alpha2";
            if is_rule && !is_wrong {
                object["metadata"] = json!({"name": format!("rule-{}", rules.len())});
                rules.push(object);
            }
        }
    }
    assert!(rules.len() > 50, "{}", rules.len());
    let list = json!({"apiVersion": "v1", "kind": "List", "items": rules}).to_string();
    namespace.run_with(&["create", "--validate=false", "-f", "-"], &list).unwrap();
}

/// The documents in the manifests of a golden case, some of which are not valid
/// YAML.
fn documents_of_case(case: &Path) -> Vec<String> {
    let text = fs::read(case.join("in.yaml")).unwrap_or_default();
    String::from_utf8_lossy(&text).split("\n---\n").map(str::to_owned).collect()
}

/// Asserts that the API rejects a rule because of that field.
#[track_caller]
fn refuses(kubectl: &Kubectl, spec: &str, field: &str) {
    // Without kubectl's own validation, which uses the same schema.
    let answer = kubectl.run_with(&["create", "--validate=false", "-f", "-"], &rule("bad", spec));
    let error = answer.expect_err(&format!("{spec} is accepted"));
    let names_it = error.contains(&format!("{field}:")) || error.contains(&format!("\"{field}\""));
    assert!(names_it, "{spec}: {error}");
}

#[test]
fn a_rule_keeps_what_the_schema_does_not_know() {
    let api = ApiServer::shared();
    let namespace = api.namespace("unknown-fields");
    let spec = json!({
        "destination": {"name": "web", "more": 1},
        "match": {
            "more": 1,
            "tcp": {"source_subnet": ["10.0.0.0/8"]},
            "request": {"more": 1, "headers": {"uri": {"prefix": "/a"}, "x-b": "c"}},
        },
        "route": [{"wieght": 100}],
        "http_fault": {"abort": {"percent": 1, "grpc_status": "OK"}},
        "httpFault": {"delay": {"percent": 0.5, "fixed_delay": "1s"}},
        "httpReqRetries": {"simple_retry": {"attempts": 1}},
        "corsPolicy": {"allow_origin": ["*"]},
    });
    let rule = object("config.istio.io/v1alpha2", "RouteRule", &json!({"name": "rule"}), &spec);
    namespace.run_with(&["create", "--validate=false", "-f", "-"], &rule).unwrap();
    assert_eq!(namespace.get("routerule", "rule")["spec"], spec);
}
