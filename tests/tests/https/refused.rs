//! A certificate that Envoy rejects affects only its own host.

use std::thread;
use std::time::{Duration, Instant};

use ingress_tests::{Issued, Serving, TlsClient, meanwhile};

use crate::setup::{Hosts, documents, ingress};

/// The time limit for a change while a certificate is rejected.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_refused_certificate_is_left_out_and_its_neighbours_go_on() {
    let mut hosts = Hosts::new();
    // Clients must trust the certificate for the rejected host, too.
    hosts.default = hosts.authority.issue(&["bad.example"]);
    let good = hosts.authority.issue(&["bad.example"]);
    let bad = good.with_strange_key();
    let serving = Serving::start(&hosts.manifests());
    let https = serving.https();
    let client = TlsClient::new(&hosts.authority, &[]);
    let replace = |issued: &Issued, more: &str| {
        let ingress = ingress("more", "a", &[("bad.example", "bad"), (more, "two")]);
        let objects = documents(&[ingress, issued.secret("default", "bad")]);
        serving.replace(&(hosts.manifests() + &objects));
    };
    let ask_neighbour = || {
        let mut connection = client.connect(https, "one.example").unwrap();
        assert_eq!(connection.certificate(), hosts.certificates[0].2.der());
        assert_eq!(connection.get("one.example", "/").by(), "a");
    };
    let assert_soon = |what: &str, holds: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < SOON, "not within {SOON:?}: {what}");
            thread::sleep(Duration::from_millis(1));
        }
        println!("{what} after {:?}", start.elapsed());
    };
    let assert_served = |host: &str| {
        assert_soon(host, &|| serving.get(host, "/").status == 200);
    };
    let assert_certificate = |what: &str, issued: &Issued| {
        let wanted = issued.der();
        assert_soon(what, &|| {
            // Right after a rejection, connections fail for a moment.
            let connection = client.connect(https, "bad.example");
            connection.is_ok_and(|connection| connection.certificate() == wanted)
        });
    };
    let ((), asked) = meanwhile(1, ask_neighbour, || {
        for round in 0..2 {
            for change in ["next", "more"] {
                let host = format!("{change}-{round}.example");
                replace(&bad, &host);
                assert_served(&host);
                assert_certificate("the default certificate", &hosts.default);
            }
            assert_eq!(serving.get("bad.example", "/").by(), "a", "over plain HTTP");
            let host = format!("mended-{round}.example");
            replace(&good, &host);
            assert_served(&host);
            assert_certificate("the repaired certificate", &good);
        }
    });
    println!("{asked} requests to a neighbour, none failed");
}
