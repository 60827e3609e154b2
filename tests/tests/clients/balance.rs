//! Which endpoint of a service gets a request.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ingress_tests::{Upstream, wait_until};

use crate::upstreams::{listen, read_request, serve_with};

/// How many of eighty requests an endpoint gets that responds to none of them.
fn stuck(flags: &[&str]) -> usize {
    let (listener, address) = listen();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            if read_request(&mut stream) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            open.push(stream);
        }
    });
    let quick = Upstream::start("web");
    let serving = serve_with(&[address, quick.address], flags);
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
