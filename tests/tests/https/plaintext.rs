//! Plain HTTP to paths of Ingresses with TLS.

use ingress_tests::{Serving, TlsClient, free_port, raw};

use crate::setup::{Hosts, documents, ingress};

/// A path without TLS next to paths with TLS, and the setting for plain HTTP.
fn serve(hosts: &Hosts, http_for_tls: &str) -> Serving {
    let mut plain = ingress("plain", "a", &[("plain.example", "")]);
    plain["spec"].as_object_mut().unwrap().remove("tls");
    let https = format!("127.0.0.1:{}", free_port());
    let flags = ["--https", &https, "--http-for-tls", http_for_tls, "--access-log=false"];
    let manifests = hosts.manifests() + &documents(&[plain]);
    let serving = Serving::start_with(&manifests, &flags);
    assert_eq!(serving.https(), https.parse().unwrap());
    assert_eq!(serving.get("plain.example", "/").by(), "a", "the path without TLS");
    let client = TlsClient::new(&hosts.authority, &[]);
    assert_eq!(client.get(serving.https(), "one.example", "/").unwrap().by(), "a");
    serving
}

#[test]
fn it_is_served_as_well_if_nothing_else_is_said() {
    let hosts = Hosts::new();
    let serving = serve(&hosts, "serve");
    assert_eq!(serving.get("one.example", "/").by(), "a");
}

#[test]
fn it_is_redirected_to_where_https_is() {
    let hosts = Hosts::new();
    let serving = serve(&hosts, "redirect");
    let answer = serving.get(&format!("one.example:{}", serving.http.port()), "/a/b?c=d");
    let expected = format!("https://one.example:{}/a/b?c=d", serving.https().port());
    assert_eq!((answer.status, answer.header("location")), (308, Some(&*expected)));
    // A client cannot claim to use TLS.
    let forged = "GET / HTTP/1.1\r\nhost: one.example\r\nx-forwarded-proto: https\r\n\r\n";
    assert_eq!(raw(serving.http, forged.as_bytes()).status, 308);
    assert!(hosts.upstream.take_received().iter().all(|request| !request.path.starts_with("/a")));
}

#[test]
fn it_is_refused_as_if_there_were_nothing() {
    let hosts = Hosts::new();
    let serving = serve(&hosts, "refuse");
    let (refused, none) = (serving.get("one.example", "/"), serving.get("none.example", "/"));
    assert_eq!((refused.status, none.status), (404, 404));
    assert_eq!(refused.body, none.body);
}
