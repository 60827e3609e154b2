//! The output of `ingressctl rbac`, applied: it grants the permissions that the
//! controller needs, and no others. These tests start their own servers, because
//! they change objects that other tests use.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use ingress_tests::{
    ApiServer, Authority, Gateway, Kubectl, Service, TlsClient, Upstream, ingressctl, machine_ip,
    wait_until, workspace,
};
use serde_json::{Value, json};

use crate::setup::{host_to, ingress};

const USER: &str = "system:serviceaccount:istio-system:istio-ingress-service-account";
const READ: [&str; 3] = ["get", "list", "watch"];

/// An Ingress with a certificate, and one of another class.
const WITH_TLS: &str = r"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: secure, namespace: shop, annotations: {kubernetes.io/ingress.class: istio}}
spec: {tls: [{hosts: [shop.example], secretName: shop-certs}], rules: [{host: shop.example}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: foreign, namespace: shop, annotations: {kubernetes.io/ingress.class: nginx}}
spec: {tls: [{hosts: [shop.example], secretName: foreign-certs}], rules: [{host: shop.example}]}
";

/// The output for all samples and these Ingresses, in JSON.
fn printed(flags: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let with_tls = folder.path().join("with-tls.yaml");
    std::fs::write(&with_tls, WITH_TLS).unwrap();
    let mut command = Command::new(ingressctl());
    command.args(["rbac", "-o", "json", "-f"]).arg(&with_tls).args(flags);
    for sample in std::fs::read_dir(workspace().join("config/samples")).unwrap() {
        let sample = sample.unwrap().path();
        if sample.join("ingress.yaml").is_file() {
            command.arg("-f").arg(sample);
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A server where only the printed objects grant permissions.
fn server_with(objects: &Value) -> ApiServer {
    let api = ApiServer::start(&[]);
    let kubectl = api.kubectl();
    kubectl.run(&["create", "namespace", "shop"]).unwrap();
    let deployed = workspace().join("config/deploy/rbac.yaml");
    kubectl.run(&["delete", "-f", text(&deployed)]).unwrap();
    kubectl.apply(&objects.to_string());
    wait_until("they are granted", || can(&kubectl, &["list", "ingresses.networking.k8s.io"]));
    api
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Whether `kubectl auth can-i` grants a permission to the gateway's account.
fn can(kubectl: &Kubectl, question: &[&str]) -> bool {
    kubectl.run(&[&["auth", "can-i", "--as", USER], question].concat()).is_ok()
}

/// A permission: namespace, verb, group, resource, subresource and name.
type Right<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

/// All permissions that the controller needs.
fn needed() -> Vec<Right<'static>> {
    let mut needed = Vec::new();
    for verb in READ {
        for group in ["networking.k8s.io", "extensions"] {
            needed.push(("default", verb, group, "ingresses", "", ""));
        }
        needed.push(("", verb, "networking.k8s.io", "ingressclasses", "", ""));
        needed.push(("default", verb, "config.istio.io", "routerules", "", ""));
        for resource in ["services", "endpoints", "pods"] {
            needed.push(("default", verb, "", resource, "", ""));
        }
        needed.push(("default", verb, "discovery.k8s.io", "endpointslices", "", ""));
        needed.push(("istio-system", verb, "", "secrets", "", "istio-ingress-certs"));
        // The Secrets that the sample secure-ingress names.
        needed.push(("default", verb, "", "secrets", "", "istio-ingress-certs"));
        needed.push(("shop", verb, "", "secrets", "", "shop-certs"));
    }
    for group in ["networking.k8s.io", "extensions"] {
        needed.push(("shop", "patch", group, "ingresses", "status", ""));
    }
    for verb in ["list", "create", "patch", "delete"] {
        needed.push(("shop", verb, "", "events", "", ""));
    }
    needed.push(("istio-system", "create", "coordination.k8s.io", "leases", "", ""));
    for verb in ["get", "update", "patch"] {
        needed.push(("istio-system", verb, "coordination.k8s.io", "leases", "", "istio-ingress"));
    }
    needed
}

/// The permissions among `rights` that the account lacks.
fn lacking<'a>(kubectl: &Kubectl, rights: &[Right<'a>]) -> Vec<Right<'a>> {
    let reviews = rights.iter().map(|(namespace, verb, group, resource, part, name)| {
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": USER, "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group,
                "resource": resource, "subresource": part, "name": name,
            }},
        })
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": reviews.collect::<Vec<_>>()});
    let answer = kubectl.run_with(&["create", "-o", "json", "-f", "-"], &list.to_string()).unwrap();
    let answers = serde_json::Deserializer::from_str(&answer).into_iter::<Value>();
    let answers = answers.map(Result::unwrap);
    let answers: Vec<_> = answers
        .flat_map(|value| value["items"].as_array().cloned().unwrap_or_else(|| vec![value]))
        .collect();
    assert_eq!(answers.len(), rights.len());
    let is_refused = |answer: &Value| answer["status"]["allowed"] != true;
    let refused = rights.iter().zip(&answers).filter(|(_, answer)| is_refused(answer));
    refused.map(|(right, _)| *right).collect()
}

#[test]
fn the_printed_rights_are_what_the_controller_needs_and_no_more() {
    let objects = printed(&[]);
    let api = server_with(&objects);
    let kubectl = api.kubectl();
    let needed = needed();
    wait_until("no permission is missing", || lacking(&kubectl, &needed).is_empty());

    assert!(can(&kubectl, &["get", "secret/istio-ingress-certs", "-n", "istio-system"]));
    for question in [
        "list secrets -A",
        "watch secrets -A",
        "list secrets -n istio-system",
        "watch secrets -n shop",
        "get secret/foreign-certs -n shop",
        "get secret/shop-certs -n istio-system",
        "get secret/istio-ingress-certs -n shop",
        "get secret/shop-certs -n default",
        "get secret/istio-ingress-certs -n kube-system",
        "get secret/istio.default -n default",
        "get secret/istio.istio-mixer-service-account -n istio-system",
        "get secret/istio.istio-citadel-service-account -n istio-system",
        "update secret/istio-ingress-certs -n istio-system",
        "patch secret/istio-ingress-certs -n istio-system",
        "delete secret/istio-ingress-certs -n istio-system",
        "create secrets -n istio-system",
        "deletecollection secrets -n istio-system",
        "get configmaps -n istio-system",
        "get serviceaccounts -n istio-system",
        "create serviceaccounts/token -n istio-system",
        "impersonate serviceaccounts -n istio-system",
        "create pods -n istio-system",
        "create pods/exec -n istio-system",
        "update ingresses.networking.k8s.io -n shop",
        "bind clusterroles",
        "* *",
    ] {
        assert!(!can(&kubectl, &question.split(' ').collect::<Vec<_>>()), "can {question}");
    }
    others_have_nothing(&kubectl, &needed);
    each_rule_is_needed(&kubectl, &objects, &needed);
    one_namespace_is_less(&kubectl);
}

/// With `--namespace`, there is no access to other namespaces.
fn one_namespace_is_less(kubectl: &Kubectl) {
    kubectl.apply(&printed(&["--namespace", "shop"]).to_string());
    let can = |question: &str| can(kubectl, &question.split(' ').collect::<Vec<_>>());
    wait_until("cluster-wide permissions are revoked", || !can("list pods -n default"));
    let mut needed = needed();
    needed.retain(|right| (right.0, right.3) != ("default", "secrets"));
    for right in needed.iter_mut().filter(|right| right.0 == "default") {
        right.0 = "shop";
    }
    wait_until("no permission is missing", || lacking(kubectl, &needed).is_empty());
    for verb in ["list", "watch"] {
        assert!(can(&format!("{verb} services/istio-ingress -n istio-system")));
    }
    for question in [
        "list services -n istio-system",
        "list ingresses.networking.k8s.io -A",
        "get ingresses.networking.k8s.io -n default",
        "patch ingresses.networking.k8s.io --subresource=status -n default",
        "create events -n default",
        "list events -n default",
        "list events -A",
        "get endpointslices.discovery.k8s.io -n istio-system",
    ] {
        assert!(!can(question), "can {question}");
    }
}

/// Only the account of the gateway has the permissions.
fn others_have_nothing(kubectl: &Kubectl, rights: &[Right<'_>]) {
    let others = ["istio-pilot", "istio-mixer", "istio-citadel", "default"];
    for other in others {
        let suffix = if other == "default" { "" } else { "-service-account" };
        let user = format!("system:serviceaccount:istio-system:{other}{suffix}");
        for (namespace, verb, group, resource, _, name) in rights.iter().step_by(5) {
            let resource = [*resource, group].join(".");
            let resource = resource.trim_end_matches('.');
            let what = if name.is_empty() { resource.into() } else { format!("{resource}/{name}") };
            let question = ["auth", "can-i", "--as", &user, "-n", namespace, verb, &what];
            assert!(kubectl.run(&question).is_err(), "{question:?}");
        }
    }
}

/// Without any one of the rules, a permission is missing.
fn each_rule_is_needed(kubectl: &Kubectl, objects: &Value, needed: &[Right<'_>]) {
    let mut count = 0;
    for object in objects["items"].as_array().unwrap() {
        for index in 0..object["rules"].as_array().map_or(0, Vec::len) {
            let mut without = object.clone();
            without["rules"].as_array_mut().unwrap().remove(index);
            kubectl.apply(&without.to_string());
            let rule = &object["rules"][index];
            wait_until(&format!("{rule} is missing"), || !lacking(kubectl, needed).is_empty());
            kubectl.apply(&object.to_string());
            wait_until("no permission is missing", || lacking(kubectl, needed).is_empty());
            count += 1;
        }
    }
    assert_eq!(count, 12);
}

#[test]
fn a_secret_is_listed_and_watched_by_its_name_alone() {
    let api = server_with(&printed(&[]));
    let kubectl = api.kubectl();
    for (namespace, name) in [
        ("istio-system", "istio-ingress-certs"),
        ("default", "istio-ingress-certs"),
        ("default", "istio.default"),
        ("istio-system", "istio.istio-pilot-service-account"),
        ("shop", "shop-certs"),
        ("shop", "foreign-certs"),
    ] {
        kubectl.run(&["-n", namespace, "create", "secret", "generic", name]).unwrap();
    }
    let ask = |namespace: &str, query: &str| {
        let path = format!("/api/v1/namespaces/{namespace}/secrets?{query}");
        kubectl.run(&["--as", USER, "get", "--raw", &path])
    };
    let names = |list: &str| {
        let list: Value = serde_json::from_str(list).unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (namespace, name) in [
        ("istio-system", "istio-ingress-certs"),
        ("default", "istio-ingress-certs"),
        ("shop", "shop-certs"),
    ] {
        let selector = format!("fieldSelector=metadata.name%3D{name}");
        assert_eq!(names(&ask(namespace, &selector).unwrap()), [name]);
        let watched = ask(namespace, &format!("{selector}&watch=true&timeoutSeconds=1")).unwrap();
        let event: Value = serde_json::from_str(watched.lines().next().unwrap()).unwrap();
        assert_eq!(event["object"]["metadata"]["name"], name);
    }
    for (namespace, query) in [
        ("istio-system", ""),
        ("istio-system", "watch=true&timeoutSeconds=1"),
        ("istio-system", "fieldSelector=metadata.name%3Distio.istio-pilot-service-account"),
        ("istio-system", "fieldSelector=metadata.name!%3Dx"),
        ("shop", "fieldSelector=metadata.name%3Dforeign-certs"),
        ("shop", "fieldSelector=metadata.name%3Distio-ingress-certs"),
        ("default", "fieldSelector=metadata.name%3Distio.default"),
        ("default", "fieldSelector=metadata.name%3Dshop-certs"),
    ] {
        let answer = ask(namespace, query);
        assert!(answer.as_ref().is_err_and(|e| e.contains("forbidden")), "{query}: {answer:?}");
    }
}

#[test]
fn a_controller_of_one_namespace_runs_on_the_rights_for_it() {
    const FLAGS: [&str; 4] = ["--gateway-namespace", "confined", "--namespace", "confined"];
    let api = ApiServer::start(&[]);
    let namespace = api.namespace("confined");
    let deployed = workspace().join("config/deploy/rbac.yaml");
    api.kubectl().run(&["delete", "-f", text(&deployed)]).unwrap();
    api.kubectl().apply(&printed(&FLAGS).to_string());
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    namespace.create(&ingress("broken", &host_to("broken.example", "nowhere")));
    namespace.create(
        &json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": "more"}, "spec": {"controller": "istio.io/ingress-controller"}})
        .to_string(),
    );
    let authority = Authority::new();
    let issued = authority.issue(&["web.example"]);
    let default = issued.secret("istio-system", "istio-ingress-certs");
    api.kubectl().create(&default.to_string());
    let mut gateway = Gateway::start_with(&namespace, &["--publish-address", "203.0.113.8"]);
    gateway.wait_for("web.example", "/", 200);
    wait_until("HTTPS", || TcpStream::connect(gateway.https()).is_ok());
    let client = TlsClient::new(&authority, &[]);
    assert_eq!(client.get(gateway.https(), "web.example", "/").unwrap().status, 200);
    wait_until("the status", || {
        let ingress = namespace.get("ingresses.networking.k8s.io", "web");
        ingress["status"]["loadBalancer"]["ingress"] == json!([{"ip": "203.0.113.8"}])
    });
    wait_until("an Event", || !namespace.events_on("Ingress", "broken").is_empty());

    // What is found in a namespace that is not watched is only in the log.
    let day = Duration::from_hours(24);
    let yesterday = SystemTime::now() - day;
    let expired = authority.issue_within(&["web.example"], yesterday - day, yesterday);
    api.kubectl().apply(&expired.secret("istio-system", "istio-ingress-certs").to_string());
    wait_until("the finding", || gateway.log().contains("certificate-expired"));
    // The next controller finds the Events of this one.
    namespace.create(&ingress("second", &host_to("second.example", "nowhere")));
    wait_until("its Event", || !namespace.events_on("Ingress", "second").is_empty());
    gateway.kill_controller();
    namespace.delete("ingress", "second");
    namespace.create(&Service::new("nowhere").at(&upstream).manifests());
    gateway.start_controller();
    wait_until("the Event is deleted", || namespace.events_on("Ingress", "broken").is_empty());
    let log = gateway.log();
    // Timestamps may contain the digits, too.
    for complaint in ["forbidden", " 403", "may not be read"] {
        assert!(!log.contains(complaint), "{log}");
    }

    let user = "system:serviceaccount:confined:istio-ingress-service-account";
    for question in ["list ingresses -n shop", "get pods -n default", "patch ingresses/status -A"] {
        let question: Vec<_> = question.split(' ').collect();
        let answer = namespace.run(&[&["auth", "can-i", "--as", user][..], &question].concat());
        assert!(answer.is_err(), "can {question:?}");
    }
}
