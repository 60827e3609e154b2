//! Certificates and findings.

use std::fs;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingress_tests::{Authority, Issued};
use serde_json::Value;

use crate::page::{Page, SHOP, Served, manifests_in};

/// The shop with certificates, and the Secret of one of them.
pub(crate) fn shop_with_certificates() -> (Served, Value) {
    let authority = Authority::new();
    let now = SystemTime::now();
    let days = |number: u64| now + Duration::from_hours(24 * number) + Duration::from_hours(1);
    let issued: [(&str, Issued); 2] = [
        ("shop", authority.issue_within(&["shop.example.com"], now, days(80))),
        ("tenants", authority.issue_within(&["*.tenants.example.com"], now, days(9))),
    ];
    let folder = tempfile::tempdir().unwrap();
    let manifests = manifests_in(&folder);
    fs::write(manifests.join("shop.yaml"), SHOP).unwrap();
    let mut secrets = issued.iter().map(|(name, issued)| issued.secret("default", name));
    for secret in secrets.clone() {
        let name = secret["metadata"]["name"].as_str().unwrap();
        fs::write(manifests.join(format!("{name}-secret.json")), secret.to_string()).unwrap();
    }
    (Served::of_folder(folder), secrets.next().unwrap())
}

#[test]
fn certificates_have_their_hosts_and_days() {
    let (served, secret) = shop_with_certificates();
    let page = Page::of(served, "#view=certificates");
    let rows = page.texts("#certificates tbody tr");
    assert_eq!(rows.len(), 2);
    assert!(rows[0].contains("*.tenants.example.com") && rows[0].contains("9 days left"));
    assert!(rows[1].contains("shop.example.com") && rows[1].contains("80 days left"), "{rows:?}");
    assert_eq!(page.text("#certificates-count"), "2");

    // No key is anywhere, in no encoding.
    let document = page.run("return fetch('state.json').then((it) => it.text())").to_string();
    assert!(document.contains("80"), "{document}");
    let data = secret.get("data").or(secret.get("stringData")).unwrap();
    let key = data["tls.key"].as_str().unwrap();
    // The document has no line breaks, so the lines of the key are looked for one by one.
    let lines: Vec<_> = key.lines().filter(|line| line.len() > 8).collect();
    assert!(lines.len() > 2, "{} lines", lines.len());
    for part in lines {
        assert!(!document.contains(part) && !document.contains(&STANDARD.encode(part)));
    }
    page.finish();
}

#[test]
fn a_finding_is_beside_its_line() {
    let page = Page::open(SHOP);
    page.click("[data-view=findings]");
    let finding = "[...document.querySelectorAll('.finding')].find((it) => it.innerText.includes('service-not-found'))";
    page.run(&format!("{finding}.querySelector('details').open = true; {finding}.id = 'it'"));
    let text = page.text("#it");
    assert!(text.contains("Ingress default/shop"), "{text}");
    assert!(text.contains("add it, or correct the name"), "{text}");
    assert!(text.contains("shop.yaml:34:35"), "{text}");
    assert_eq!(page.texts("#it .excerpt .line").len(), 5);
    let marked = page.text("#it .excerpt .marked");
    assert_eq!(marked, "34 backend: {service: {name: serach, port: {number: 80}}}");
    assert_eq!(page.text("#it mark"), "serach");
    assert!(page.text("#it .explanation").len() > 20);
    page.filter("path-not-absolute");
    assert_eq!(page.texts(".finding").len(), 1);
    page.finish();
}
