//! The certificate that a client gets.

use std::process::Command;
use std::time::{Duration, SystemTime};

use ingress_tests::{Authority, Serving, TlsClient, Upstream, tool, wait_until};
use serde_json::{Value, json};

use crate::setup::{DEFAULT, Hosts, ingress, manifests};

#[test]
fn each_host_has_the_certificate_of_its_own_secret() {
    let hosts = Hosts::new();
    let serving = Serving::start(&hosts.manifests());
    let client = TlsClient::new(&hosts.authority, &[]);
    for (host, _, issued) in &hosts.certificates {
        let host = host.replace('*', "any");
        let mut connection = client.connect(serving.https(), &host).unwrap();
        assert_eq!(connection.certificate(), issued.der(), "{host}");
        assert_eq!(connection.get(&host, "/").by(), "a", "{host}");
    }
    // Host names are case-insensitive (RFC 6066 section 3).
    let connection = client.connect(serving.https(), "ONE.Example").unwrap();
    assert_eq!(connection.certificate(), hosts.certificates[0].2.der());
}

/// Old clients support RSA only; for others, ECDSA is faster.
#[test]
fn a_host_may_have_a_certificate_of_each_type_of_key() {
    let (authority, upstream) = (Authority::new(), Upstream::start("a"));
    let rsa = authority.issue_rsa(&["one.example", "two.example"]);
    let ecdsa = authority.issue(&["one.example"]);
    let hosts = [("one.example", "rsa"), ("one.example", "ecdsa"), ("two.example", "rsa")];
    let objects = [
        ingress("web", "a", &hosts),
        rsa.secret("default", "rsa"),
        ecdsa.secret("default", "ecdsa"),
    ];
    let serving = Serving::start(&manifests(&upstream, &objects));
    let client = TlsClient::new(&authority, &[]);
    let certificate = |host: &str| {
        let mut connection = client.connect(serving.https(), host).unwrap();
        assert_eq!(connection.get(host, "/").by(), "a");
        connection.certificate()
    };
    assert_eq!(certificate("one.example"), ecdsa.der());
    assert_eq!(certificate("two.example"), rsa.der());
    let status = |host: &str, cipher: &str| {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--noproxy", "*", "--insecure", "--tls-max", "1.2"]);
        curl.args(["--ciphers", cipher, "--output", "/dev/null", "--write-out", "%{http_code}"]);
        curl.args(["--resolve", &format!("{host}:{}:127.0.0.1", serving.https().port())]);
        curl.arg(format!("https://{host}:{}/", serving.https().port()));
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    let (of_rsa, of_ecdsa) = ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256");
    for (host, cipher, expected) in [
        ("one.example", of_rsa, "200"),
        ("one.example", of_ecdsa, "200"),
        ("two.example", of_rsa, "200"),
        ("two.example", of_ecdsa, "000"),
    ] {
        assert_eq!(status(host, cipher), expected, "{host} {cipher}");
    }

    // A new one takes effect, also if it is not the first.
    let renewed = authority.issue(&["one.example"]);
    let objects = [&objects[..2], &[renewed.secret("default", "ecdsa")]].concat();
    serving.replace(&manifests(&upstream, &objects));
    wait_until("the renewed certificate", || certificate("one.example") == renewed.der());
    let objects = [ingress("web", "a", &hosts[..1]), objects[1].clone()];
    serving.replace(&manifests(&upstream, &objects));
    wait_until("only the RSA certificate", || certificate("one.example") == rsa.der());
}

#[test]
fn who_asks_for_no_host_or_an_unknown_one_gets_the_default_certificate() {
    let hosts = Hosts::new();
    let serving = Serving::start(&hosts.manifests());
    let client = TlsClient::new(&hosts.authority, &[]);
    let connection = client.connect(serving.https(), "unknown.example").unwrap();
    assert_eq!(connection.certificate(), hosts.default.der());
    let connection = client.without_sni().connect(serving.https(), "default.example").unwrap();
    assert_eq!(connection.certificate(), hosts.default.der());
    // A wildcard matches one label: with two labels, the client gets the default
    // certificate, which is not valid for the host.
    for host in ["a.b.wild.example", "wild.example"] {
        let error = client.connect(serving.https(), host).err().expect("a wrong name").to_string();
        assert!(error.contains("default.example"), "{error}");
    }
}

#[test]
fn without_a_default_certificate_only_known_hosts_have_a_handshake() {
    let (authority, upstream) = (Authority::new(), Upstream::start("a"));
    let one = authority.issue(&["one.example"]);
    let hosts = [("one.example", "one"), ("gone.example", "gone"), ("*.gone.example", "gone")];
    let objects = [ingress("web", "a", &hosts), one.secret("default", "one")];
    let serving = Serving::start(&manifests(&upstream, &objects));
    let client = TlsClient::new(&authority, &[]);
    assert_eq!(client.get(serving.https(), "one.example", "/").unwrap().by(), "a");
    for host in ["two.example", "gone.example", "any.gone.example"] {
        assert!(client.connect(serving.https(), host).is_err(), "{host}");
    }
    assert!(client.without_sni().connect(serving.https(), "one.example").is_err());
}

#[test]
fn the_default_certificate_is_served_without_any_tls_entry() {
    let (authority, upstream) = (Authority::new(), Upstream::start("a"));
    let default = authority.issue(&["default.example"]);
    let mut plain = ingress("web", "a", &[("default.example", "")]);
    plain["spec"].as_object_mut().unwrap().remove("tls");
    let objects = [plain, default.secret(DEFAULT.0, DEFAULT.1)];
    let serving = Serving::start(&manifests(&upstream, &objects));
    let client = TlsClient::new(&authority, &[]);
    assert_eq!(client.get(serving.https(), "default.example", "/").unwrap().by(), "a");
}

#[test]
fn a_certificate_that_cannot_be_used_is_skipped_and_the_others_are_served() {
    let (authority, upstream) = (Authority::new(), Upstream::start("a"));
    let good = authority.issue(&["good.example"]);
    let other = authority.issue(&["mismatched.example"]);
    let default = authority.issue(&[
        "malformed.example",
        "mismatched.example",
        "huge.example",
        "missing.example",
    ]);
    let mut malformed = good.secret("default", "malformed");
    malformed["stringData"]["tls.crt"] = json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END");
    let mut mismatched = other.secret("default", "mismatched");
    mismatched["stringData"]["tls.key"] = json!(good.key);
    let mut huge = good.secret("default", "huge");
    huge["stringData"]["tls.crt"] = json!(good.chain.repeat(20_000));
    let hosts = ["good", "malformed", "mismatched", "huge", "missing"]
        .map(|secret| (format!("{secret}.example"), secret));
    let hosts: Vec<_> = hosts.iter().map(|(host, secret)| (&**host, *secret)).collect();
    let objects = [
        ingress("web", "a", &hosts),
        good.secret("default", "good"),
        malformed,
        mismatched,
        huge,
        default.secret(DEFAULT.0, DEFAULT.1),
    ];
    let serving = Serving::start(&manifests(&upstream, &objects));
    let client = TlsClient::new(&authority, &[]);
    for (host, secret) in hosts {
        let connection = client.connect(serving.https(), host).unwrap();
        let expected = if secret == "good" { &good } else { &default };
        assert_eq!(connection.certificate(), expected.der(), "{host}");
    }
}

/// Clients decide: they may ignore the expiry, or have another clock.
#[test]
fn a_certificate_is_served_before_its_time_and_after_it() {
    let (authority, upstream) = (Authority::new(), Upstream::start("a"));
    let now = SystemTime::now();
    let hour = Duration::from_hours(1);
    let expired = authority.issue_within(&["expired.example"], now - 2 * hour, now - hour);
    let early = authority.issue_within(&["early.example"], now + hour, now + 2 * hour);
    let default = authority.issue(&["expired.example", "early.example"]);
    let objects = [
        ingress("web", "a", &[("expired.example", "expired"), ("early.example", "early")]),
        expired.secret("default", "expired"),
        early.secret("default", "early"),
        default.secret(DEFAULT.0, DEFAULT.1),
    ];
    let serving = Serving::start(&manifests(&upstream, &objects));
    let client = TlsClient::new(&authority, &[]);
    for (host, expected) in [("expired.example", "expired"), ("early.example", "not valid yet")] {
        let error = client.connect(serving.https(), host).err().expect("expiry").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The host belongs to the namespace of the older Ingress, whatever the younger one
/// declares.
#[test]
fn another_namespace_cannot_change_the_certificate_of_a_host() {
    let (authority, upstream) = (Authority::new(), Upstream::start("a"));
    let own = authority.issue(&["one.example"]);
    let foreign = authority.issue(&["one.example", "below.wild.example"]);
    let wild = authority.issue(&["*.wild.example"]);
    let in_namespace = |mut object: Value, namespace: &str, created: &str| {
        object["metadata"]["namespace"] = namespace.into();
        object["metadata"]["creationTimestamp"] = created.into();
        object
    };
    let hosts = [("one.example", "own"), ("*.wild.example", "wild")];
    let owner = in_namespace(ingress("web", "a", &hosts), "default", "2020-02-01T00:00:00Z");
    let mut younger = ingress("other", "a", &[("one.example", "foreign")]);
    younger["spec"]["tls"][0]["hosts"] = json!(["one.example", "below.wild.example"]);
    let younger = in_namespace(younger, "tenant", "2020-03-01T00:00:00Z");
    let objects = [
        // The younger one is first in the manifests.
        younger,
        owner,
        foreign.secret("tenant", "foreign"),
        own.secret("default", "own"),
        wild.secret("default", "wild"),
    ];
    let serving = Serving::start(&manifests(&upstream, &objects));
    let client = TlsClient::new(&authority, &[]);
    for (host, expected) in [("one.example", &own), ("below.wild.example", &wild)] {
        let connection = client.connect(serving.https(), host).unwrap();
        assert_eq!(connection.certificate(), expected.der(), "{host}");
    }
}
