//! A certificate that holds by our checks and that Envoy refuses. It is a matter
//! of its own host alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ingress_tests::{Issued, Serving, TlsClient};

use crate::setup::{Hosts, documents, ingress};

/// How long a neighbour's change may take, beside one that is refused.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_refused_certificate_is_left_out_and_its_neighbours_go_on() {
    let hosts = Hosts::new();
    let good = hosts.authority.issue(&["bad.example"]);
    let bad = good.with_strange_key();
    let serving = Serving::start(&hosts.manifests());
    let https = serving.https();
    let client = TlsClient::new(&hosts.authority, &[]);
    let with = |issued: &Issued, more: &str| {
        let ingress = ingress("more", "a", &[("bad.example", "bad"), (more, "two")]);
        hosts.manifests() + &documents(&[ingress, issued.secret("default", "bad")])
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
        let served = |issued: &Issued, more: &str| {
            let start = Instant::now();
            serving.replace(&with(issued, more));
            serving.wait_for(more, "/", 200);
            let took = start.elapsed();
            println!("a neighbour's host was served after {took:?}");
            assert!(took < SOON, "{took:?}");
        };
        let certificate = || Some(client.connect(https, "bad.example").ok()?.certificate());
        for round in 0..2 {
            served(&bad, &format!("next-{round}.example"));
            served(&bad, &format!("more-{round}.example"));
            assert_ne!(certificate(), Some(good.der()), "it has the default one");
            assert_eq!(serving.get("bad.example", "/").by(), "a", "over plain HTTP");
            // Mended, and spoilt again.
            served(&good, &format!("mended-{round}.example"));
            let start = Instant::now();
            while certificate() != Some(good.der()) {
                assert!(start.elapsed() < SOON, "mended and not served");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
