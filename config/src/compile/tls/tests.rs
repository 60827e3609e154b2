use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::Https;
use crate::compile::Caches;
use crate::compile::{
    Circumstances, Compiled, Refused, UnreadableSecret, UnreadableSecrets, Where, compile_objects,
};
use crate::manifest::{Manifests, read_text};
use crate::selection::secrets_wanted;
use crate::settings::Settings;

const A_DAY: Duration = Duration::from_hours(24);

/// A certificate for `hosts`, valid for a hundred days, and its private key.
fn issue(hosts: &[&str]) -> (String, String) {
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.not_before = (SystemTime::now() - A_DAY).into();
    params.not_after = (SystemTime::now() + 100 * A_DAY).into();
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A Secret with such a certificate.
fn secret(name: &str, hosts: &[&str]) -> Value {
    let (chain, key) = issue(hosts);
    secret_of(name, &chain, &key)
}

fn secret_of(name: &str, chain: &str, key: &str) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"tls.crt": chain, "tls.key": key},
    })
}

/// An Ingress with a default backend, a rule for each of `hosts`, and `tls`.
fn ingress(name: &str, hosts: &[&str], tls: &Value) -> Value {
    let rules: Vec<_> = hosts.iter().map(|host| json!({"host": host})).collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"tls": tls, "rules": rules},
    })
}

fn read_objects(objects: &[Value]) -> Manifests {
    let documents: Vec<_> = objects.iter().map(ToString::to_string).collect();
    read_text("f", &documents.join("\n---\n"))
}

fn compile(objects: &[Value], now: SystemTime, unreadable: &UnreadableSecrets) -> Compiled {
    let manifests = read_objects(objects);
    let findings = manifests.findings.clone();
    let (settings, caches) = (Settings::default(), Caches::default());
    let circumstances = Circumstances {
        refused: &Refused::default(),
        place: Where::OwnMachine,
        settings: &settings,
        now,
        unreadable,
        caches: &caches,
    };
    compile_objects(manifests.objects(), findings, &circumstances)
}

fn compile_now(objects: &[Value]) -> Compiled {
    compile(objects, SystemTime::now(), &UnreadableSecrets::new())
}

fn findings(compiled: &Compiled) -> Vec<String> {
    compiled.findings.iter().map(ToString::to_string).collect()
}

/// The findings at `now` for an Ingress that has `host` with this Secret.
fn findings_of(secret: Value, host: &str, now: SystemTime) -> Vec<String> {
    let tls = json!([{"hosts": [host], "secretName": "cert"}]);
    findings(&compile(&[ingress("web", &[], &tls), secret], now, &UnreadableSecrets::new()))
}

/// The certificate of each host, and all certificates.
fn served(compiled: &Compiled) -> (BTreeMap<&str, &str>, Vec<&str>) {
    let Some(Https { certificates, hosts, .. }) = &compiled.gateway.https else {
        return Default::default();
    };
    let by_host = hosts.iter().map(|(host, name)| (&**host, &**name)).collect();
    (by_host, certificates.keys().map(|name| &**name).collect())
}

const DEFAULT: &str = "istio-system/istio-ingress-certs";

#[test]
fn a_sound_certificate_for_the_host_is_no_finding() {
    let secret = secret("default/cert", &["*.foo.example"]);
    assert_eq!(findings_of(secret, "bar.foo.example", SystemTime::now()), [""; 0]);
}

#[test]
fn a_certificate_for_another_host_is_a_warning_at_the_host() {
    let secret = secret("default/cert", &["foo.example"]);
    let found = findings_of(secret, "bar.example", SystemTime::now());
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(
        finding.contains(
            "warning: Ingress default/web: spec.tls[0].hosts[0]: the certificate in Secret \
             `cert` covers `foo.example` but not this host"
        ),
        "{finding}"
    );
}

#[test]
fn a_key_that_is_not_the_certificates_is_an_error_and_never_shown() {
    let (chain, _) = issue(&["foo.example"]);
    let (_, key) = issue(&["foo.example"]);
    let secret = secret_of("default/cert", &chain, &key);
    let found = findings_of(secret, "foo.example", SystemTime::now());
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(finding.contains("error: Secret default/cert: stringData.tls.key: "), "{finding}");
    assert!(key.lines().all(|line| !finding.contains(line)), "{finding}");
}

#[test]
fn what_has_expired_is_a_warning() {
    let secret = secret("default/cert", &["foo.example"]);
    let found = findings_of(secret, "foo.example", SystemTime::now() + 200 * A_DAY);
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(finding.contains("warning: Secret default/cert: stringData.tls.crt: "), "{finding}");
    assert!(finding.contains("expired"), "{finding}");
}

#[test]
fn each_host_has_the_certificate_of_its_entry_and_others_the_default_one() {
    let tls = json!([
        {"hosts": ["a.example", "*.w.example"], "secretName": "one"},
        {"hosts": ["b.example"], "secretName": "gone"},
        {"hosts": ["c.example"]},
        {"hosts": ["d.example"], "secretName": "bad"},
    ]);
    let objects = [
        ingress("web", &[], &tls),
        secret("default/one", &["a.example", "*.w.example"]),
        secret(DEFAULT, &["default.example"]),
        secret_of("default/bad", "x", "y"),
        secret("default/not-named", &["c.example"]),
    ];
    let compiled = compile_now(&objects);
    let (hosts, certificates) = served(&compiled);
    let expected = [
        ("*.w.example", "default/one"),
        ("a.example", "default/one"),
        ("b.example", "default"),
        ("c.example", "default"),
        ("d.example", "default"),
    ];
    assert_eq!(hosts, BTreeMap::from(expected));
    assert_eq!(certificates, ["default", "default/one"]);
    let asked: Vec<_> = compiled.secrets.iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["default/bad", "default/gone", "default/one", DEFAULT]);
    let manifests = read_objects(&objects);
    let wanted = secrets_wanted(manifests.objects(), &Settings::default());
    assert_eq!((wanted.value, wanted.findings), (compiled.secrets, vec![]), "known beforehand");
    let in_table = compiled
        .gateway
        .table
        .tls_hosts
        .iter()
        .map(|group| (&*group.certificate, group.hosts.len()));
    assert_eq!(in_table.collect::<Vec<_>>(), [("default", 3), ("default/one", 2)]);
}

#[test]
fn without_any_certificate_nothing_is_served_over_https() {
    let tls = json!([{"hosts": ["a.example"], "secretName": "gone"}]);
    let compiled = compile_now(&[ingress("web", &[], &tls)]);
    assert!(compiled.gateway.https.is_none());
    let found = findings(&compiled);
    assert!(
        found[0].contains("there is no Secret `default/gone` among the manifests"),
        "{found:?}"
    );
    assert!(found[0].contains("there is no default certificate either"), "{found:?}");
}

#[test]
fn the_default_certificate_is_served_without_any_ingress() {
    let compiled = compile_now(&[secret(DEFAULT, &["default.example"])]);
    assert_eq!(served(&compiled).1, ["default"]);
    assert_eq!(findings(&compiled), [""; 0]);
}

/// An Ingress with this namespace and day of January of its creation.
fn ingress_of(namespace: &str, day: u8, hosts: &[&str], tls: &Value) -> Value {
    let mut ingress = ingress("web", hosts, tls);
    ingress["metadata"]["namespace"] = namespace.into();
    ingress["metadata"]["creationTimestamp"] = format!("2026-01-{day:02}T00:00:00Z").into();
    ingress
}

#[test]
fn a_host_has_no_certificate_of_another_namespace() {
    let tls = json!([{"hosts": ["a.example", "evil.example"], "secretName": "cert"}]);
    let objects = [
        ingress_of("evil", 2, &[], &tls),
        ingress_of("owner", 1, &["a.example"], &json!([])),
        secret("evil/cert", &["a.example", "evil.example"]),
    ];
    let compiled = compile_now(&objects);
    assert_eq!(served(&compiled).0, [("evil.example", "evil/cert")].into());
    let [first, second] = &findings(&compiled)[..] else { panic!("{:?}", compiled.findings) };
    let expected = "error: Ingress evil/web: spec.tls[0].hosts[0]: host `a.example` belongs to \
                    namespace owner";
    assert!(
        first.contains(expected)
            && first.ends_with("does not get this certificate [host-of-other-namespace]")
    );
    assert!(second.contains("warning: Ingress owner/web: spec.rules[0].host: Ingress evil/web"));
}

#[test]
fn hosts_of_rules_have_no_certificate_of_another_namespace() {
    let objects = [
        ingress_of("evil", 2, &["a.example"], &json!([{"secretName": "cert"}])),
        ingress_of("owner", 1, &["a.example"], &json!([])),
        secret("evil/cert", &["a.example"]),
    ];
    assert_eq!(served(&compile_now(&objects)).0, BTreeMap::new());
}

#[test]
fn naming_a_host_under_tls_is_owning_it() {
    let tls = json!([{"hosts": ["a.example"], "secretName": "cert"}]);
    let objects = [
        ingress_of("late", 2, &["a.example"], &tls),
        ingress_of("owner", 1, &[], &tls),
        secret("late/cert", &["a.example"]),
        secret("owner/cert", &["a.example"]),
    ];
    assert_eq!(served(&compile_now(&objects)).0, [("a.example", "owner/cert")].into());
}

#[test]
fn a_host_below_a_younger_wildcard_keeps_the_default_certificate() {
    let tls = json!([{"hosts": ["*.example"], "secretName": "cert"}]);
    let objects = |owner: &str| {
        [
            ingress_of("wild", 2, &["*.example", "b.example"], &tls),
            ingress_of(owner, 1, &["a.example"], &json!([])),
            secret("wild/cert", &["*.example"]),
            secret(DEFAULT, &["default.example"]),
        ]
    };
    let foreign = compile_now(&objects("owner"));
    let expected = [("*.example", "wild/cert"), ("a.example", "default")];
    assert_eq!(served(&foreign).0, expected.into());
    let own = compile_now(&objects("wild"));
    assert_eq!(served(&own).0, [("*.example", "wild/cert")].into());
}

#[test]
fn a_host_belongs_to_the_first_that_names_it() {
    let entry = |secret: &str| json!([{"hosts": ["a.example"], "secretName": secret}]);
    let objects = [
        ingress("one", &[], &entry("first")),
        ingress("two", &[], &entry("second")),
        ingress("three", &[], &entry("first")),
        secret("default/first", &["a.example"]),
        secret("default/second", &["a.example"]),
    ];
    let compiled = compile_now(&objects);
    assert_eq!(served(&compiled), ([("a.example", "default/first")].into(), vec!["default/first"]));
    let found = findings(&compiled);
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(finding.contains("Ingress default/two: spec.tls[0].hosts[0]: already has the certificate of Secret `default/first`, from Ingress default/one"), "{finding}");
}

#[test]
fn an_entry_without_hosts_is_for_those_of_the_rules_that_the_certificate_is_for() {
    let tls = json!([{"secretName": "cert"}]);
    let objects = [
        ingress("web", &["a.example", "b.example", "x.w.example"], &tls),
        secret("default/cert", &["a.example", "*.w.example"]),
    ];
    let compiled = compile_now(&objects);
    let expected = [("a.example", "default/cert"), ("x.w.example", "default/cert")];
    assert_eq!(served(&compiled).0, BTreeMap::from(expected));
    assert_eq!(findings(&compiled), [""; 0]);
}

#[test]
fn what_may_not_be_read_names_the_role_for_all_that_is_named_there() {
    let tls = json!([
        {"hosts": ["a.example"], "secretName": "one"},
        {"hosts": ["b.example"], "secretName": "two"},
    ]);
    let objects = [ingress("web", &[], &tls), secret("default/two", &["b.example"])];
    let unreadable = [("default/one".parse().unwrap(), UnreadableSecret::Denied)].into();
    let found = findings(&compile(&objects, SystemTime::now(), &unreadable));
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(finding.contains("error: Ingress default/web: spec.tls[0].secretName: Secret `default/one` may not be read"), "{finding}");
    let role = finding.split_once("Role ").unwrap().1.split_once(" to the gateway").unwrap().0;
    let role: Value = serde_json::from_str(role).unwrap();
    assert_eq!(role["metadata"]["namespace"], "default");
    assert_eq!(role["rules"][0]["resourceNames"], json!(["one", "two"]));
    assert_eq!(role["rules"][0]["verbs"], json!(["get", "list", "watch"]));
}

#[test]
fn hosts_and_names_that_are_none_are_errors_where_they_stand() {
    let tls = json!([
        {"hosts": ["A.example", "*", 1], "secretName": "cert"},
        {"hosts": ["b.example"], "secretName": "../x"},
        {"hosts": "c.example", "secretName": "cert"},
        {},
        7,
    ]);
    let objects = [ingress("web", &[], &tls), secret("default/cert", &["a.example"])];
    let compiled = compile_now(&objects);
    assert_eq!(served(&compiled).0, BTreeMap::new());
    let found = findings(&compiled).join("\n");
    for field in [
        "tls[0].hosts[0]",
        "tls[0].hosts[1]",
        "tls[0].hosts[2]",
        "tls[1].secretName",
        "tls[2].hosts",
        "tls[4]",
    ] {
        assert!(found.contains(&format!("spec.{field}: ")), "{field}: {found}");
    }
}

#[test]
fn it_is_looked_at_again_when_a_certificate_ends_and_at_least_hourly() {
    let objects = [secret(DEFAULT, &["default.example"])];
    let hour = Duration::from_hours(1);
    let none = UnreadableSecrets::new();
    let now = SystemTime::now();
    assert_eq!(compile(&objects, now, &none).recheck_at, Some(now + hour));
    let late = now + 100 * A_DAY - hour / 2;
    let due = compile(&objects, late, &none).recheck_at.unwrap();
    assert!(due < late + hour && due > late, "{due:?}");
    assert_eq!(compile(&[], now, &none).recheck_at, None);
}

#[test]
fn a_host_may_have_one_certificate_of_each_type_of_key() {
    const RSA: &str = include_str!("../../certificates/fixtures/rsa.pem");
    let key = &RSA[RSA.find("-----BEGIN PRIVATE KEY").unwrap()..];
    let key = KeyPair::from_pem(key).unwrap();
    let hosts = vec!["a.example".to_owned(), "b.example".to_owned()];
    let mut params = CertificateParams::new(hosts).unwrap();
    params.not_before = (SystemTime::now() - A_DAY).into();
    params.not_after = (SystemTime::now() + 100 * A_DAY).into();
    let chain = params.self_signed(&key).unwrap().pem();
    let rsa = secret_of("default/rsa", &chain, &key.serialize_pem());
    let entry = |host: &str, secret: &str| json!({"hosts": [host], "secretName": secret});
    let tls = json!([
        entry("a.example", "rsa"),
        entry("a.example", "ecdsa"),
        entry("a.example", "more"),
        entry("b.example", "ecdsa"),
        entry("c.example", "ecdsa"),
        entry("c.example", "rsa"),
    ]);
    let ecdsa = ["ecdsa", "more"]
        .map(|name| secret(&format!("default/{name}"), &["a.example", "b.example", "c.example"]));
    let [ecdsa, more] = ecdsa;
    let compiled = compile_now(&[ingress("web", &[], &tls), rsa, ecdsa, more]);
    let https = compiled.gateway.https.as_ref().unwrap();
    let chains: Vec<_> = https.chains().collect();
    let names = |certificates: &[(&str, _)]| {
        certificates.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
    };
    let chains: Vec<_> = chains.iter().map(|(name, all)| (*name, names(all))).collect();
    assert_eq!(
        chains,
        [
            ("default/ecdsa", vec!["default/ecdsa".to_owned()]),
            ("default/rsa", vec!["default/rsa".into(), "default/ecdsa".into()]),
        ]
    );
    let found = findings(&compiled);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("tls[2].hosts[0]: already has the certificate"), "{found:?}");
    // It does not cover the host.
    assert!(found[1].contains("tls[5].hosts[0]: already has the certificate"), "{found:?}");
}
