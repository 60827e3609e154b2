//! Secrets that are created, changed and deleted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ingress_tests::{ApiProxy, ApiServer, Asked, Gateway, Verdict, wait_until};
use serde_json::{Value, json};

use super::site::{Site, secure};
use crate::setup::ingress_of;

#[test]
fn a_certificate_comes_changes_and_goes_with_its_secret() {
    let api = ApiServer::shared();
    let site = Site::create(api, "certificates");
    let hosts = [("one.example", "one"), ("two.example", "two")];
    site.create_allowed(&[secure("web", &hosts)]);
    let default = site.create_secret("default", &["default.example", "two.example"]);
    let one = site.create_secret("one", &["one.example"]);
    let gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    site.wait_for(&gateway, "two.example", &default);
    assert_eq!(site.certificate(&gateway, "default.example"), Some(default.der()), "unknown");

    let two = site.create_secret("two", &["two.example"]);
    site.wait_for(&gateway, "two.example", &two);

    let mut open = site.client.connect(gateway.https(), "one.example").unwrap();
    site.under_load(&gateway, "one.example", || {
        for _ in 0..3 {
            let one = site.replace_secret("one", &["one.example"]);
            let took = site.wait_for(&gateway, "one.example", &one);
            println!("a changed certificate is served {took:?} after kubectl");
            assert_eq!(open.get("one.example", "/").by(), "web", "an open connection stays open");
        }
    });

    site.namespace.delete("secret", "two");
    site.wait_for(&gateway, "two.example", &default);
    assert_eq!(open.get("one.example", "/").by(), "web");
    let two = site.create_secret("two", &["two.example"]);
    site.wait_for(&gateway, "two.example", &two);
}

#[test]
fn a_malformed_certificate_is_told_on_its_secret_and_the_others_stay() {
    let api = ApiServer::shared();
    let site = Site::create(api, "malformed");
    let hosts = [("one.example", "one"), ("two.example", "two")];
    site.create_allowed(&[secure("web", &hosts)]);
    let default = site.create_secret("default", &["one.example"]);
    let one = site.create_secret("one", &["one.example"]);
    let two = site.create_secret("two", &["two.example"]);
    let gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    site.wait_for(&gateway, "two.example", &two);

    let mut malformed: Value = serde_json::from_str(&site.secret("one", &one)).unwrap();
    malformed["stringData"]["tls.crt"] = json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END");
    site.under_load(&gateway, "two.example", || {
        site.replace(&malformed.to_string());
        site.wait_for(&gateway, "one.example", &default);
        wait_until("an Event on the Secret", || {
            site.namespace.events_on("Secret", "one").iter().any(|event| event.contains("tls.crt"))
        });
        let one = site.replace_secret("one", &["one.example"]);
        site.wait_for(&gateway, "one.example", &one);
        wait_until("the Event is deleted", || site.namespace.events_on("Secret", "one").is_empty());
    });
    assert_eq!(site.certificate(&gateway, "two.example"), Some(two.der()));
}

/// Even if the API would allow more.
#[test]
fn secrets_are_asked_for_by_name_and_only_those_that_are_named() {
    let api = ApiServer::shared();
    let site = Site::create(api, "asked-by-name");
    site.create_allowed(&[secure("web", &[("one.example", "one")])]);
    let mut foreign: Value =
        serde_json::from_str(&secure("foreign", &[("x.example", "foreign")])).unwrap();
    site.namespace.create(&ingress_of("nginx", "foreign", &foreign["spec"].take()));
    let one = site.create_secret("one", &["one.example"]);
    site.create_secret("foreign", &["x.example"]);
    site.create_secret("unnamed", &["y.example"]);
    let proxy = ApiProxy::start(&site.namespace);
    let requests = Arc::new(Mutex::new(Vec::<Asked>::new()));
    let record = Arc::clone(&requests);
    proxy.judge(move |asked| {
        if asked.path.contains("secret") {
            record.lock().unwrap().push(asked.clone());
        }
        Verdict::Pass
    });
    let gateway = Gateway::start_as(&site.namespace, &proxy.kubeconfig(), &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    let default = site.create_secret("default", &["default.example"]);
    wait_until("the default certificate", || {
        site.certificate(&gateway, "default.example") == Some(default.der())
    });
    // All watches start again.
    proxy.cut();
    let one = site.replace_secret("one", &["one.example"]);
    site.wait_for(&gateway, "one.example", &one);

    let path = format!("/api/v1/namespaces/{}/secrets", site.namespace.name);
    let requests = requests.lock().unwrap();
    let names = requests.iter().map(|asked| {
        assert_eq!(asked.path, path);
        let selector = asked.query.split('&').find_map(|pair| pair.strip_prefix("fieldSelector="));
        selector.and_then(|text| text.strip_prefix("metadata.name%3D")).expect("a name").to_owned()
    });
    let names: BTreeSet<_> = names.collect();
    assert_eq!(names, BTreeSet::from(["default", "one"].map(str::to_owned)));
    assert!(requests.iter().any(Asked::is_watch));
}
