//! A Secret that holds by our checks and that Envoy refuses: its author is told,
//! and nobody else notices.

use std::time::{Duration, Instant};

use ingress_tests::{ApiServer, Gateway, wait_until};

use super::site::{Site, secure};
use crate::setup::{host_to, ingress};

const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_secret_that_envoy_refuses_is_told_and_no_matter_to_others() {
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
    // At a cold start as well.
    let gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    site.under_load(&gateway, "one.example", || {
        for secret in ["key", "chain"] {
            wait_until(&format!("an Event on {secret}"), || {
                let events = site.events_on("Secret", secret);
                events.iter().any(|event| event.contains("Envoy refuses"))
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
        site.replace(&site.secret("key", &good));
        site.wait_for(&gateway, "key.example", &good);
        wait_until("its Event is gone", || site.events_on("Secret", "key").is_empty());
        assert!(!site.events_on("Secret", "chain").is_empty(), "the other is still refused");
    });
}
