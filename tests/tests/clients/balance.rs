//! Which endpoint of a service gets a request.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ingress_tests::{Answer, Service, Serving, Upstream, listen, raw, read_head, wait_until};

use crate::upstreams::web_at;
use crate::{serve_web, web_manifests};

/// How many of eighty requests an endpoint gets that responds to none of them.
fn stuck(flags: &[&str]) -> usize {
    let (listener, address) = listen();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            if read_head(&mut stream) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            open.push(stream);
        }
    });
    let quick = Upstream::start("web");
    let serving = serve_web(&web_at(&[address, quick.address]), "", flags);
    let mut answered = 0;
    let clients: Vec<_> = (1..=80)
        .map(|sent| {
            let mut client = TcpStream::connect(serving.http).expect("a connection");
            let request = b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n";
            client.write_all(request).expect("a request is sent");
            wait_until("one of them has it", || {
                answered += quick.take_received().len();
                answered + count.load(Ordering::Relaxed) == sent
            });
            client
        })
        .collect();
    drop(clients);
    count.load(Ordering::Relaxed)
}

#[test]
fn a_setting_prefers_endpoints_that_respond() {
    // Each worker of Envoy counts for itself.
    assert_eq!(stuck(&["--concurrency", "1"]), 40);
    let fewer = stuck(&["--concurrency", "1", "--load-balancing", "leastRequest"]);
    assert!((1..=32).contains(&fewer), "{fewer}");
}

const COOKIE: &str = "ingressctl/session-cookie";

fn ask(serving: &Serving, cookies: &str) -> Answer {
    let request = format!("GET / HTTP/1.1\r\nHost: web.example\r\n{cookies}\r\n");
    raw(serving.http, request.as_bytes())
}

/// New clients: the cookie of each, and which upstream has responded.
fn new_clients(serving: &Serving, count: usize) -> BTreeMap<String, String> {
    let client = |_| {
        let answer = ask(serving, "");
        let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
        let value = cookie.strip_suffix("; Path=/; HttpOnly").expect("a session").to_owned();
        assert!(value.starts_with("at="), "{value}");
        (value, answer.by())
    };
    (0..count).map(client).collect()
}

fn return_of(serving: &Serving, cookie: &str) -> String {
    let answer = ask(serving, &format!("Cookie: a=b; {cookie}; c=d\r\n"));
    assert_eq!(answer.header("set-cookie"), None);
    answer.by()
}

#[test]
fn a_session_stays_at_its_endpoint() {
    let upstreams = ["one", "two", "three"].map(Upstream::start);
    let web = Service::new("web").annotated(COOKIE, "at");
    let web = upstreams.iter().fold(web, Service::at);
    let serving = serve_web(&web, "", &[]);
    let clients = new_clients(&serving, 40);
    let used: BTreeSet<_> = clients.values().map(String::as_str).collect();
    assert_eq!(used, BTreeSet::from(["one", "two", "three"]));
    for _ in 0..3 {
        for (cookie, upstream) in &clients {
            assert_eq!(return_of(&serving, cookie), *upstream);
        }
    }
    for received in upstreams.iter().flat_map(Upstream::take_received) {
        assert!(received.values("x-ingress-session").is_empty());
    }

    // If an endpoint goes, its clients move, and few others.
    let web = Service::new("web").annotated(COOKIE, "at");
    let web = upstreams[..2].iter().fold(web, Service::at);
    serving.replace(&web_manifests(&web, ""));
    let of_third = clients.iter().find(|(_, upstream)| *upstream == "three").expect("one").0;
    wait_until("the endpoint is removed", || return_of(&serving, of_third) != "three");
    let stays = |(cookie, upstream): &(&String, &String)| return_of(&serving, cookie) == **upstream;
    let (moved, others): (Vec<_>, Vec<_>) =
        clients.iter().partition(|(_, upstream)| *upstream == "three");
    assert_eq!(moved.iter().filter(|client| stays(client)).count(), 0);
    let staying = others.iter().filter(|client| stays(client)).count();
    assert!(staying * 2 > others.len(), "{staying} of {}", others.len());
}

#[test]
fn a_session_stays_at_its_version_and_weights_count_for_clients() {
    let [old, new, copy] = ["old", "new", "copy"].map(Upstream::start);
    let web = Service::new("web")
        .annotated(COOKIE, "at")
        .at_pod(&old, "old", &[("version", "old")])
        .at_pod(&new, "new", &[("version", "new")]);
    let rule = "{apiVersion: config.istio.io/v1alpha2, kind: RouteRule, metadata: {name: web}, \
                spec: {destination: {name: web}, route: [{labels: {version: old}, weight: 75}, \
                {labels: {version: new}, weight: 25}], mirror: {name: copy}}}";
    let copies = Service::new("copy").at(&copy);
    let others = format!("{rule}\n---\n{}", copies.manifests());
    let serving = serve_web(&web, &others, &[]);
    let clients = new_clients(&serving, 400);
    let count = clients.values().filter(|upstream| *upstream == "new").count();
    // Four standard deviations.
    assert!((65..=135).contains(&count), "{count}");
    for (cookie, upstream) in clients.iter().take(50) {
        assert_eq!(return_of(&serving, cookie), *upstream);
    }
    let mut received = Vec::new();
    wait_until("a copy arrives", || {
        received.extend(copy.take_received());
        !received.is_empty()
    });
    received.extend([old, new].iter().flat_map(Upstream::take_received));
    assert!(received.iter().all(|request| request.values("x-ingress-session").is_empty()));
}

#[test]
fn only_with_the_annotation_there_is_a_cookie() {
    let upstream = Upstream::start("web");
    let web = Service::new("web").at(&upstream);
    let serving = serve_web(&web, "", &[]);
    assert_eq!(ask(&serving, "Cookie: a=1\r\n").header("set-cookie"), None);
    let serving = serve_web(&web.annotated(COOKIE, "at"), "", &[]);
    assert!(ask(&serving, "Cookie: a=1\r\n").header("set-cookie").is_some());
}
