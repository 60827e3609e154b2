//! Certificates that hold by our checks and that Envoy refuses. Each is a matter
//! of its own hosts alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ingress_tests::{Issued, Serving, TlsClient};

use crate::setup::{DEFAULT, Hosts, documents, ingress};

/// How long a neighbour's change may take, beside one that is refused.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_refused_certificate_is_left_out_and_its_neighbours_go_on() {
    let hosts = Hosts::new();
    let good = hosts.authority.issue(&["bad.example"]);
    let chain = hosts.authority.issue_to_be_stapled(&["bad.example"]);
    for (what, bad) in [("key", good.with_strange_key()), ("chain", chain)] {
        let serving = Serving::start(&hosts.manifests());
        let https = serving.https();
        let client = TlsClient::new(&hosts.authority, &[]);
        let with = |issued: &Issued, more: &[(&str, &str)]| {
            let hosts_of = [&[("bad.example", "bad")][..], more].concat();
            let objects = [ingress("more", "a", &hosts_of), issued.secret("default", "bad")];
            hosts.manifests() + &documents(&objects)
        };
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut connection = client.connect(https, "one.example").unwrap();
                    assert_eq!(connection.certificate(), hosts.certificates[0].2.der());
                    assert_eq!(connection.get("one.example", "/").by(), "a");
                }
            });
            let start = Instant::now();
            serving.replace(&with(&bad, &[("two.more.example", "two")]));
            serving.wait_for("two.more.example", "/", 200);
            assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
            println!("{what}: a neighbour's host was served after {:?}", start.elapsed());
            // As where it is missing: there is a default one.
            let certificate = || client.connect(https, "bad.example").unwrap().certificate();
            let unknown = TlsClient::new(&hosts.authority, &[]);
            assert!(unknown.connect(https, "unknown.example").is_ok(), "{DEFAULT:?} is served");
            assert_eq!(serving.get("bad.example", "/").by(), "a", "over plain HTTP");

            // The next change of somebody else, too.
            let start = Instant::now();
            serving.replace(&with(&bad, &[("three.example", "two")]));
            serving.wait_for("three.example", "/", 200);
            assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());

            let start = Instant::now();
            serving.replace(&with(&good, &[("three.example", "two")]));
            while client.connect(https, "bad.example").is_err() || certificate() != good.der() {
                assert!(start.elapsed() < SOON * 5, "{what}: mended and not served");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
