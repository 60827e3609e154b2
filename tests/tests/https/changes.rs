//! Certificates that change while clients are connected.

use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;
use std::{slice, thread};

use ingress_tests::{Serving, TlsClient, free_port, meanwhile, wait_until};

use crate::setup::{Hosts, documents, ingress, manifests};

#[test]
fn a_changed_certificate_is_there_on_the_next_handshake_and_no_request_fails() {
    const CHANGES: usize = 20;
    let mut hosts = Hosts::new();
    let serving = Serving::start(&hosts.manifests());
    let https = serving.https();
    let client = TlsClient::new(&hosts.authority, &[]);
    let mut open = client.connect(https, "one.example").unwrap();
    let ask = || {
        let mut connection = client.connect(https, "one.example").unwrap();
        for _ in 0..5 {
            assert_eq!(connection.get("one.example", "/").by(), "a");
        }
    };
    let ((), connections) = meanwhile(2, ask, || {
        for _ in 0..CHANGES {
            hosts.certificates[0].2 = hosts.authority.issue(&["one.example"]);
            serving.replace(&hosts.manifests());
            let new = hosts.certificates[0].2.der();
            let took = wait_until("the new certificate", || {
                client.connect(https, "one.example").unwrap().certificate() == new
            });
            assert!(took < Duration::from_secs(5), "{took:?}");
            // Once it is served, every connection gets it.
            for _ in 0..5 {
                assert_eq!(client.connect(https, "one.example").unwrap().certificate(), new);
            }
            assert_eq!(open.get("one.example", "/").by(), "a", "an open connection stays open");
        }
    });
    println!(
        "{} requests in {connections} connections over {CHANGES} changes, none failed",
        connections * 5
    );
    assert_eq!(
        serving.stat("listener_manager.listener_in_place_updated"),
        0,
        "no listener changed"
    );
    assert_eq!(serving.stat("listener_manager.lds.update_rejected"), 0);
}

#[test]
fn hosts_come_and_go_without_touching_the_connections_of_others() {
    let hosts = Hosts::new();
    let serving = Serving::start(&hosts.manifests());
    let https = serving.https();
    let client = TlsClient::new(&hosts.authority, &[]);
    let mut open = client.connect(https, "one.example").unwrap();
    let mut of_default = client.connect(https, "unknown.example").unwrap();
    let more = hosts.authority.issue(&["more.example", "again.example"]);
    for _ in 0..5 {
        // A host with a new Secret, and another host of an existing Secret.
        let entries = [("more.example", "more"), ("again.example", "more")];
        let objects = [ingress("more", "a", &entries), more.secret("default", "more")];
        serving.replace(&(hosts.manifests() + &documents(&objects)));
        for host in ["more.example", "again.example"] {
            wait_until("a new host", || {
                client.get(https, host, "/").is_ok_and(|answer| answer.by() == "a")
            });
        }
        serving.replace(&hosts.manifests());
        wait_until("a host is gone", || client.connect(https, "more.example").is_err());
    }
    // While Envoy drains the connections of a removed host.
    thread::sleep(Duration::from_secs(2));
    assert_eq!(open.get("one.example", "/").by(), "a");
    assert_eq!(of_default.get("one.example", "/").status, 421, "certificate for other hosts");
}

/// A host moves from one Secret to another and back under load. Connections from
/// before that get 421; for new connections, certificate and table agree.
#[test]
fn a_host_moves_to_another_secret_and_no_new_connection_is_told_it_is_the_wrong_one() {
    let hosts = Hosts::new();
    let both = ["a", "b"].map(|name| (name, hosts.authority.issue(&["moved.example"])));
    let version = |index: usize| {
        let entry = [("moved.example", both[index % 2].0)];
        let mut objects = vec![ingress("web", "a", &entry)];
        objects.extend(both.iter().map(|(name, issued)| issued.secret("default", name)));
        manifests(&hosts.upstream, &objects)
    };
    let serving = Serving::start(&version(0));
    let https = serving.https();
    let client = TlsClient::new(&hosts.authority, &[]);
    // The certificate of the last connection that got 421.
    let wrong = Mutex::new(None);
    let ask = || {
        let mut connection = client.connect(https, "moved.example").unwrap();
        let certificate = connection.certificate();
        let by = connection.get("moved.example", "/").by();
        let mut wrong = wrong.lock().unwrap();
        assert_ne!(wrong.as_ref(), Some(&certificate), "{by}: the certificate was the right one");
        *wrong = (by != "a").then_some(certificate);
        assert!(wrong.is_none() || by == "421", "{by}");
    };
    let ((), requests) = meanwhile(1, ask, || {
        for index in 1..=20 {
            serving.replace(&version(index));
            let new = both[index % 2].1.der();
            wait_until("the other certificate", || {
                client.connect(https, "moved.example").unwrap().certificate() == new
            });
        }
    });
    println!("{requests} requests while a host moved 20 times, none failed");
}

#[test]
fn https_comes_with_the_first_certificate_and_goes_with_the_last() {
    let hosts = Hosts::new();
    let web = ingress("web", "a", &[("one.example", "one")]);
    let upstream_only = manifests(&hosts.upstream, slice::from_ref(&web));
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let flags = ["--https", &address, "--concurrency", "2", "--access-log=false"];
    let serving = Serving::start_with(&upstream_only, &flags);
    assert!(serving.https.is_none(), "there is no certificate");
    assert_eq!(serving.get("one.example", "/").by(), "a");
    let address = address.parse().unwrap();
    let client = TlsClient::new(&hosts.authority, &[]);

    let secret = hosts.certificates[0].2.secret("default", "one");
    let with_secret = manifests(&hosts.upstream, &[web, secret]);
    for _ in 0..2 {
        serving.replace(&with_secret);
        wait_until("HTTPS", || {
            TcpStream::connect(address).is_ok()
                && client.get(address, "one.example", "/").is_ok_and(|answer| answer.by() == "a")
        });
        serving.replace(&upstream_only);
        wait_until("no HTTPS", || TcpStream::connect(address).is_err());
        assert_eq!(serving.get("one.example", "/").by(), "a");
    }
}
