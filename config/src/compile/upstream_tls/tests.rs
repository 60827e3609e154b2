use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::compile::{
    Caches, Circumstances, Compiled, Refused, UnreadableSecret, UnreadableSecrets, compile_objects,
};
use crate::finding::Code;
use crate::manifest::read_text;
use crate::model::{Cluster, Roots, UpstreamSecrets, UpstreamTls, Verification};
use crate::selection::secrets_wanted;
use crate::settings::Settings;

/// A self-signed certificate, and its key.
fn issue() -> (String, String) {
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.not_after = (SystemTime::now() + Duration::from_hours(24 * 100)).into();
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn secret(name: &str, data: &Value) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace}, "stringData": data,
    })
}

fn authority(name: &str) -> Value {
    secret(name, &json!({"ca.crt": issue().0}))
}

/// A Service at port 443, with these annotations.
fn service(name: &str, port: &str, annotations: &[(&str, &str)]) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    let annotations =
        annotations.iter().map(|(name, value)| (format!("ingressctl/{name}"), *value));
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": namespace, "annotations": annotations.collect::<Value>(),
        },
        "spec": {"ports": [{"name": port, "port": 443}, {"name": "http", "port": 80}]},
    })
}

/// An Ingress that sends all requests to a port of this service.
fn ingress(service: &str, port: u16) -> Value {
    let (namespace, service) = service.split_once('/').unwrap();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {
            "name": service, "namespace": namespace,
            "annotations": {"kubernetes.io/ingress.class": "istio"},
        },
        "spec": {"rules": [{"host": format!("{service}.{namespace}.example"), "http": {"paths": [{
            "path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number": port}}},
        }]}}]},
    })
}

/// A rule for requests to `service`.
fn rule(service: &str, spec: Value) -> Value {
    let (namespace, name) = service.split_once('/').unwrap();
    let mut spec = spec;
    spec["destination"] = json!({"name": name});
    json!({
        "apiVersion": "config.istio.io/v1alpha2", "kind": "RouteRule",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })
}

#[derive(Default)]
struct Site {
    unreadable: UnreadableSecrets,
    refused: Refused,
    settings: Settings,
}

impl Site {
    fn compile(&self, objects: &[Value]) -> Compiled {
        let documents: Vec<_> = objects.iter().map(ToString::to_string).collect();
        let manifests = read_text("f", &documents.join("\n---\n"));
        let caches = Caches::default();
        let here = Circumstances::of_manifests(&self.settings, &self.refused, &caches);
        let circumstances = Circumstances { unreadable: &self.unreadable, ..here };
        let compiled =
            compile_objects(manifests.objects(), manifests.findings.clone(), &circumstances);
        let wanted = secrets_wanted(manifests.objects(), &self.settings);
        assert_eq!(wanted.value, compiled.secrets, "known beforehand");
        compiled
    }
}

fn compile(objects: &[Value]) -> Compiled {
    Site::default().compile(objects)
}

fn tls_of<'c>(compiled: &'c Compiled, cluster: &str) -> Option<&'c UpstreamTls> {
    let clusters = &compiled.gateway.clusters;
    let Cluster { tls, .. } = &**clusters.get(cluster)?;
    Some(tls.as_ref().expect("TLS"))
}

fn codes(compiled: &Compiled) -> Vec<Code> {
    compiled.findings.iter().map(|finding| finding.code).collect()
}

/// The named Secrets, without that of the default certificate.
fn named(compiled: &Compiled) -> Vec<String> {
    let names = compiled.secrets.iter().map(ToString::to_string);
    names.filter(|name| !name.starts_with("istio-system/")).collect()
}

const CLUSTER: &str = "web.shop.svc.cluster.local|443";

#[test]
fn without_annotations_the_system_and_the_names_of_the_service_count() {
    let compiled = compile(&[service("shop/web", "https", &[]), ingress("shop/web", 443)]);
    let expected = UpstreamTls {
        server_name: "web.shop.svc.cluster.local".into(),
        verification: Some(Verification {
            roots: Roots::File("/etc/ssl/certs/ca-certificates.crt".into()),
            names: vec!["web.shop.svc.cluster.local".into(), "web.shop.svc".into()],
        }),
        client: None,
    };
    assert_eq!(tls_of(&compiled, CLUSTER), Some(&expected));
    assert_eq!((codes(&compiled), compiled.recheck_at), (vec![], None));
}

#[test]
fn secrets_of_the_namespace_are_used_and_checked_again() {
    let (chain, key) = issue();
    let annotations = [("upstream-ca-secret", "ca"), ("upstream-client-secret", "own")];
    let compiled = compile(&[
        service("shop/web", "https", &annotations),
        ingress("shop/web", 443),
        authority("shop/ca"),
        authority("other/ca"),
        secret("shop/own", &json!({"tls.crt": chain, "tls.key": key})),
    ]);
    let tls = tls_of(&compiled, CLUSTER).unwrap();
    let roots = &tls.verification.as_ref().unwrap().roots;
    assert_eq!(*roots, Roots::Secret("upstream-ca:shop/ca".into()));
    assert_eq!(tls.client.as_deref(), Some("upstream-client:shop/own"));
    let secrets = &compiled.gateway.upstream_secrets;
    assert_eq!(secrets.authorities.keys().collect::<Vec<_>>(), ["upstream-ca:shop/ca"]);
    assert_eq!(secrets.clients.keys().collect::<Vec<_>>(), ["upstream-client:shop/own"]);
    assert_eq!(named(&compiled), ["shop/ca", "shop/own"]);
    assert_eq!(codes(&compiled), []);
    assert!(compiled.recheck_at.is_some());
}

#[test]
fn only_secrets_of_ports_that_are_used_are_named() {
    let objects = [
        service("shop/web", "https", &[("upstream-ca-secret", "web")]),
        service("shop/plain", "http-2", &[("upstream-ca-secret", "plain")]),
        service("shop/unused", "https", &[("upstream-ca-secret", "unused")]),
        service("shop/canary", "https", &[("upstream-ca-secret", "canary")]),
        service("shop/copy", "https", &[("upstream-ca-secret", "copy")]),
        service("other/web", "https", &[("upstream-ca-secret", "web")]),
        ingress("shop/web", 443),
        ingress("shop/plain", 443),
    ];
    assert_eq!(named(&compile(&objects)), ["shop/web"]);
    let with = |more: &[Value]| named(&compile(&[&objects, more].concat()));
    let to = |namespace: &str, name: &str| json!({"name": name, "namespace": namespace});
    let split = json!({
        "route": [{"weight": 50}, {"destination": {"name": "canary"}, "weight": 50}],
        "mirror": {"name": "copy"},
    });
    assert_eq!(with(&[rule("shop/web", split.clone())]), ["shop/canary", "shop/copy", "shop/web"]);
    // No Ingress sends requests to this service.
    assert_eq!(with(&[rule("shop/unused", split)]), ["shop/web"]);
    // A rule of another namespace.
    let foreign = [
        ingress("other/web", 80),
        rule("other/web", json!({"route": [{"destination": to("shop", "canary")}]})),
    ];
    assert_eq!(with(&foreign), ["shop/web"]);
    // The port without TLS of a service that has both.
    let objects =
        [service("shop/web", "https", &[("upstream-ca-secret", "web")]), ingress("shop/web", 80)];
    assert_eq!(named(&compile(&objects)), [""; 0]);
}

#[test]
fn a_secret_that_may_not_be_read_is_told_at_the_service_with_the_role() {
    let objects =
        [service("shop/web", "https", &[("upstream-ca-secret", "ca")]), ingress("shop/web", 443)];
    let unreadable =
        UnreadableSecrets::from([("shop/ca".parse().unwrap(), UnreadableSecret::Denied)]);
    let site = Site { unreadable, ..Site::default() };
    let compiled = site.compile(&objects);
    assert_eq!(tls_of(&compiled, CLUSTER), None);
    assert_eq!(codes(&compiled), [Code::SecretNotAllowed, Code::UpstreamTlsNotUsable]);
    let told = compiled.findings[0].to_string();
    for part in [
        "error: Service shop/web: metadata.annotations.ingressctl/upstream-ca-secret: Secret \
         `shop/ca` may not be read",
        r#""resourceNames":["ca"]"#,
        "Until then ports with TLS of this service are not served",
    ] {
        assert!(told.contains(part), "{told}");
    }
    // With what was read before.
    let compiled = site.compile(&[&objects[..], &[authority("shop/ca")]].concat());
    assert!(tls_of(&compiled, CLUSTER).is_some());
    assert!(
        compiled.findings[0]
            .to_string()
            .ends_with("Until then what was read before is still used [secret-not-allowed]")
    );
}

#[test]
fn authorities_that_envoy_rejects_are_left_out() {
    let objects = [
        service("shop/web", "https", &[("upstream-ca-secret", "ca")]),
        ingress("shop/web", 443),
        authority("shop/ca"),
    ];
    let mut site = Site::default();
    let gateway = site.compile(&objects).gateway;
    let fingerprint = gateway.fingerprint("upstream-ca:shop/ca").unwrap();
    site.refused.add_certificate(fingerprint, &"no".into());
    let compiled = site.compile(&objects);
    assert_eq!(tls_of(&compiled, CLUSTER), None);
    assert_eq!(compiled.gateway.upstream_secrets, UpstreamSecrets::default());
    assert_eq!(codes(&compiled), [Code::UpstreamTlsNotUsable, Code::EnvoyRefusesCertificate]);
}

#[test]
fn an_unusable_secret_concerns_only_its_service() {
    let objects = [
        service("shop/web", "https", &[("upstream-ca-secret", "empty")]),
        service("shop/other", "https", &[("upstream-ca-secret", "ca")]),
        ingress("shop/web", 443),
        ingress("shop/other", 443),
        secret("shop/empty", &json!({"ca.crt": ""})),
        authority("shop/ca"),
    ];
    let compiled = compile(&objects);
    assert_eq!(tls_of(&compiled, CLUSTER), None);
    assert!(tls_of(&compiled, "other.shop.svc.cluster.local|443").is_some());
    assert_eq!(codes(&compiled), [Code::UpstreamTlsNotUsable, Code::PemMissing]);
}

#[test]
fn memory_for_tls_has_a_budget() {
    let settings =
        Settings { namespace_budget: "tlsBytes=400000".parse().unwrap(), ..Settings::default() };
    let site = Site { settings, ..Site::default() };
    let own = |name| service(name, "https", &[("upstream-ca-secret", "ca")]);
    let objects = [
        service("shop/a", "https", &[]),
        service("shop/b", "https", &[]),
        own("shop/c"),
        service("shop/d", "https", &[("upstream-verify", "false")]),
        authority("shop/ca"),
    ];
    let ingresses = ["a", "b", "c", "d"].map(|name| ingress(&format!("shop/{name}"), 443));
    let compiled = site.compile(&[&objects[..], &ingresses].concat());
    // The authorities of the system take most of it.
    let clusters: Vec<_> = compiled.gateway.clusters.keys().map(|name| &name[..1]).collect();
    assert_eq!(clusters, ["a", "c", "d"]);
    let left_out = compiled.findings.iter().find(|finding| finding.code == Code::BudgetExceeded);
    let told = left_out.unwrap().to_string();
    assert!(told.contains("Ingress shop/b") && told.contains("tlsBytes"), "{told}");
}
