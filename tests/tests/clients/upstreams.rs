//! What real upstreams do.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ingress_tests::{Answer, Service, Serving, Upstream, answering, listen, raw, read_head};

use crate::serve_web;

/// The service `web` with these endpoints.
fn serve(endpoints: &[SocketAddr]) -> Serving {
    serve_web(&web_at(endpoints), "", &[])
}

pub(crate) fn web_at(endpoints: &[SocketAddr]) -> Service {
    endpoints.iter().fold(Service::new("web"), |web, at| web.at_address(*at))
}

fn send(serving: &Serving, method: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} / HTTP/1.1\r\nHost: web.example\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    raw(serving.http, request.as_bytes())
}

#[test]
fn a_refused_connection_is_tried_on_another_endpoint() {
    let alive = Upstream::start("web");
    // Nothing listens there once the listener is dropped.
    let refusing = [(); 2].map(|()| listen().1);
    let serving = serve(&[refusing[0], refusing[1], alive.address]);
    let body = "x".repeat(20_000);
    for _ in 0..20 {
        assert_eq!(send(&serving, "GET", "").by(), "web");
        assert_eq!(send(&serving, "POST", &body).by(), "web");
    }
    let received = alive.take_received();
    assert_eq!(received.len(), 40);
    assert!(received.iter().all(|one| one.body.is_empty() || one.body == body.as_bytes()));
}

/// An upstream that closes each connection when its second request arrives, as a server
/// does whose keep-alive timeout ends at that moment. Counts the requests.
fn forgetful() -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, address) = listen();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let counter = Arc::clone(&counter);
            thread::spawn(move || {
                let mut stream = stream.expect("a connection");
                if read_head(&mut stream) {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let answer = b"HTTP/1.1 200 OK\r\nx-upstream: web\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer).expect("the response is sent");
                }
                if read_head(&mut stream) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (address, count)
}

#[test]
fn a_connection_that_closes_at_the_same_moment_is_tried_again_if_that_is_safe() {
    let (address, count) = forgetful();
    let serving = serve(&[address]);
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"].repeat(4) {
        assert_eq!(send(&serving, method, "").by(), "web", "{method}");
    }
    // Every second request is on a connection that then closes.
    let before = count.load(Ordering::Relaxed);
    let statuses: Vec<_> = (0..10).map(|_| send(&serving, "POST", "").status).collect();
    assert!(statuses.contains(&503), "{statuses:?}");
    assert_eq!(count.load(Ordering::Relaxed), before + 10, "no POST is sent twice");
}

#[test]
fn a_response_may_have_many_headers() {
    let headers: Vec<_> = (0..500).map(|number| format!("x-{number}: 1\r\n")).collect();
    let headers = headers.concat();
    let address = answering(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n"));
    let serving = serve(&[address]);
    let answer = send(&serving, "GET", "");
    assert_eq!((answer.status, answer.header("x-499")), (200, Some("1")));
}
