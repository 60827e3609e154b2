//! Secrets that Envoy would reject: their authors get an Event, and others are not
//! affected.
//!
//! Our checks detect these Secrets. No Secret is known that passes them but is
//! rejected by Envoy; the tests of `isolation` show that it would be left out
//! alone.

use std::time::{Duration, Instant};

use ingress_tests::{ApiServer, Gateway, Issued, wait_until};

use super::site::{Site, secure};
use crate::setup::{host_to, ingress};

const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_secret_that_envoy_would_refuse_gets_an_event_and_its_neighbours_go_on() {
    let api = ApiServer::shared();
    let site = Site::create(api, "tls-refused");
    site.create_allowed(&[
        secure("web", &[("one.example", "one")]),
        secure("bad", &[("key.example", "key"), ("chain.example", "chain")]),
    ]);
    site.create_secret("default", &["default.example"]);
    let one = site.create_secret("one", &["one.example"]);
    let good = site.authority.issue(&["key.example"]);
    site.namespace.create(&site.secret("key", &good.with_strange_key()));
    let stapled = site.authority.issue_to_be_stapled(&["chain.example"]);
    site.namespace.create(&site.secret("chain", &stapled));
    // At a cold start, too.
    let gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    site.under_load(&gateway, "one.example", || {
        for secret in ["key", "chain"] {
            wait_until(&format!("an Event on {secret}"), || {
                !site.namespace.events_on("Secret", secret).is_empty()
            });
        }
        for index in 0..3 {
            let (name, host) = (format!("next-{index}"), format!("next-{index}.example"));
            let start = Instant::now();
            site.namespace.create(&ingress(&name, &host_to(&host, "web")));
            gateway.wait_for(&host, "/", 200);
            let took = start.elapsed();
            println!("a neighbour's change, kubectl included: {took:?}");
            // kubectl alone takes some hundred milliseconds.
            assert!(took < SOON * 2, "{took:?}");
        }
        let mend = |name: &str, host: &str, issued: &Issued| {
            site.replace(&site.secret(name, issued));
            site.wait_for(&gateway, host, issued);
            wait_until("the Event is gone", || site.namespace.events_on("Secret", name).is_empty());
        };
        mend("key", "key.example", &good);
        let is_told = !site.namespace.events_on("Secret", "chain").is_empty();
        assert!(is_told, "the other is still rejected");
        mend("chain", "chain.example", &site.authority.issue(&["chain.example"]));
    });
}
