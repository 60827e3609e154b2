//! What an operator applies (`config/deploy`).

use std::fs;
use std::path::{Path, PathBuf};

use ingress_tests::{ApiServer, Kubectl, workspace};
use serde_json::{Value, json};

use crate::setup::object;

#[test]
fn each_file_of_the_deployment_is_applied_as_it_is() {
    let Some(api) = ApiServer::shared() else { return };
    // It has been applied as a whole.
    for file in files_in(&workspace().join("config/deploy")) {
        if !file.ends_with("kustomization.yaml") {
            api.kubectl().run(&["apply", "-R", "-f", file.to_str().unwrap()]).unwrap();
        }
    }
}

#[test]
fn the_gateway_has_the_rights_it_needs_and_no_others() {
    const READ: &[&str] = &["get", "list", "watch"];
    const ALL: [&str; 8] =
        ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    let Some(api) = ApiServer::shared() else { return };
    let rights = [
        ("ingresses.networking.k8s.io", READ),
        ("ingresses.extensions", READ),
        ("ingressclasses.networking.k8s.io", READ),
        ("routerules.config.istio.io", READ),
        ("services", READ),
        ("endpoints", READ),
        ("pods", READ),
        ("endpointslices.discovery.k8s.io", READ),
        ("ingresses.networking.k8s.io/status", &["patch"]),
        ("ingresses.extensions/status", &["patch"]),
        ("events", &["list", "create", "patch", "delete"]),
        ("leases.coordination.k8s.io", &[]),
        ("secrets", &[]),
        ("configmaps", &[]),
        ("namespaces", &[]),
        ("nodes", &[]),
        ("pods/exec", &[]),
        ("deployments.apps", &[]),
        ("clusterroles.rbac.authorization.k8s.io", &[]),
    ];
    let mut asked = Vec::new();
    for (resource, verbs) in &rights {
        asked
            .extend(ALL.map(|verb| (review("default", verb, resource, ""), verbs.contains(&verb))));
    }
    let lease = |verb, name| review("istio-system", verb, "leases.coordination.k8s.io", name);
    for verb in ["get", "update", "patch"] {
        asked.push((lease(verb, "istio-ingress"), true));
        asked.push((lease(verb, "another"), false));
    }
    asked.push((lease("create", ""), true));
    asked.push((lease("delete", "istio-ingress"), false));
    asked.push((review("istio-system", "get", "secrets", ""), false));

    let (reviews, expected): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": reviews}).to_string();
    let answer = api.kubectl().run_with(&["create", "-o", "json", "-f", "-"], &list).unwrap();
    let answers: Vec<_> = serde_json::Deserializer::from_str(&answer)
        .into_iter::<Value>()
        .map(Result::unwrap)
        .flat_map(|value| value["items"].as_array().cloned().unwrap_or_else(|| vec![value]))
        .collect();
    assert_eq!(answers.len(), expected.len());
    for (answer, expected) in answers.iter().zip(expected) {
        let asked = &answer["spec"]["resourceAttributes"];
        assert_eq!(answer["status"]["allowed"].as_bool(), Some(expected), "{asked}");
    }
}

/// Whether the deployed service account may do that, as a question.
fn review(namespace: &str, verb: &str, resource: &str, name: &str) -> Value {
    let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": "system:serviceaccount:istio-system:istio-ingress-service-account",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group,
                "resource": resource, "subresource": part, "name": name,
            },
        },
    })
}

#[test]
fn every_rule_of_the_samples_is_taken() {
    let Some(api) = ApiServer::shared() else { return };
    let mut count = 0;
    for folder in files_in(&workspace().join("config/samples")) {
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

#[test]
fn every_ingress_of_the_samples_is_taken() {
    let Some(api) = ApiServer::shared() else { return };
    for folder in files_in(&workspace().join("config/samples")) {
        let namespace = folder.file_name().unwrap().to_str().unwrap();
        let namespace = api.namespace(&format!("ingresses-of-{namespace}"));
        for document in documents(&folder).iter().filter(|text| text.contains("\nkind: Ingress\n"))
        {
            namespace.create(document);
        }
    }
}

/// The documents in the manifests of a folder.
fn documents(folder: &Path) -> Vec<String> {
    if !folder.is_dir() {
        return Vec::new();
    }
    let manifests = files_in(folder).into_iter().filter(|path| path.is_file());
    let text: Vec<_> = manifests.map(|path| fs::read_to_string(path).unwrap()).collect();
    text.join("\n---\n").split("\n---\n").map(|text| format!("\n{text}")).collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_rule_that_is_wrong_is_refused_where_a_schema_can_tell() {
    let Some(api) = ApiServer::shared() else { return };
    let namespace = api.namespace("bad-rules");
    for (spec, field) in [
        ("{}", "spec.destination"),
        ("{destination: web}", "spec.destination"),
        ("{destination: {}}", "spec.destination"),
        ("{destination: {name: Web}}", "spec.destination.name"),
        ("{destination: {name: a.b}}", "spec.destination.name"),
        ("{destination: {name: web, labels: {version: v1}}}", "spec.destination.labels"),
        ("{destination: {name: web, service: a.b.svc.cluster.local}}", "spec.destination"),
        ("{destination: {name: web, domain: cluster.local}}", "spec.destination.domain"),
    ] {
        refuses(&namespace, spec, field);
    }
    for (rest, field) in [
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
        (
            "match: {request: {headers: {uri: {prefix: 5}}}}",
            "spec.match.request.headers.uri.prefix",
        ),
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
        (
            "httpReqTimeout: {simpleTimeout: {timeout: 4}}",
            "spec.httpReqTimeout.simpleTimeout.timeout",
        ),
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
        (
            "httpReqRetries: {simpleRetry: {attempts: -1}}",
            "spec.httpReqRetries.simpleRetry.attempts",
        ),
        (
            "httpReqRetries: {simpleRetry: {attempts: 2147483648}}",
            "spec.httpReqRetries.simpleRetry.attempts",
        ),
        ("httpFault: {}", "spec.httpFault"),
        ("httpFault: {delay: {percent: 101, fixedDelay: 1s}}", "spec.httpFault.delay.percent"),
        ("httpFault: {delay: {percent: 1, exponentialDelay: 1s}}", "spec.httpFault.delay"),
        ("httpFault: {abort: {percent: 1, httpStatus: 600}}", "spec.httpFault.abort.httpStatus"),
        (
            "httpFault: {abort: {percent: 1, httpStatus: 500, grpcStatus: OK}}",
            "spec.httpFault.abort",
        ),
        ("httpFault: {abort: {percent: 1, http2Error: REFUSED_STREAM}}", "spec.httpFault.abort"),
        ("l4Fault: {}", "spec"),
        ("mirror: web", "spec.mirror"),
        ("corsPolicy: {allowMethods: [FETCH]}", "spec.corsPolicy.allowMethods"),
        ("corsPolicy: {allowHeaders: [X-A]}", "spec.corsPolicy.allowHeaders"),
        ("corsPolicy: {maxAge: 60}", "spec.corsPolicy.maxAge"),
        ("appendHeaders: {x-a: \"\"}", "spec.appendHeaders.x-a"),
        ("appendHeaders: {x-a: \"a\\nb\"}", "spec.appendHeaders.x-a"),
    ] {
        refuses(&namespace, &format!("{{destination: {{name: web}}, {rest}}}"), field);
    }
}

/// Asserts that the API refuses a rule, because of that field.
#[track_caller]
fn refuses(kubectl: &Kubectl, spec: &str, field: &str) {
    let rule = format!(
        "apiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {{name: bad}}\nspec: {spec}\n"
    );
    // kubectl's own check would know no more than the server does.
    let answer = kubectl.run_with(&["create", "--validate=false", "-f", "-"], &rule);
    let error = answer.expect_err(&format!("{spec} is taken"));
    let names_it = error.contains(&format!("{field}:")) || error.contains(&format!("\"{field}\""));
    assert!(names_it, "{spec}: {error}");
}

#[test]
fn a_rule_keeps_what_the_schema_does_not_know() {
    let Some(api) = ApiServer::shared() else { return };
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
