//! The termination of a gateway pod.

use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ingress_tests::{ApiServer, Gateway};

use crate::load::{Client, Target};
use crate::setup::{Ruled, busy, wait};

/// Less than the default grace period of a pod, so that no request is interrupted.
const GRACE: Duration = Duration::from_secs(30);

/// A client that keeps its connection until the server closes it, as behind a load
/// balancer that then uses another pod. Returns what failed.
fn stay(target: Target) -> JoinHandle<Result<usize, String>> {
    thread::spawn(move || {
        let mut client = Client::new(target, true);
        for asked in 1.. {
            match client.ask("") {
                Ok(reply) if reply.status != 200 => return Err(format!("{reply:?}")),
                Ok(reply) if reply.is_last => return Ok(asked),
                Ok(_) => {}
                Err(error) => return Err(format!("after {asked} requests: {error}")),
            }
        }
        Ok(0)
    })
}

/// A request with a response time of this length.
fn slow(target: Target, delay: Duration) -> JoinHandle<Result<u16, String>> {
    thread::spawn(move || {
        let header = format!("x-delay-ms: {}\r\n", delay.as_millis());
        let reply = Client::new(target, true).ask(&header);
        reply.map(|reply| reply.status).map_err(|error| error.to_string())
    })
}

#[test]
fn one_that_is_asked_to_end_finishes_what_it_has_begun() {
    let api = ApiServer::shared();
    let namespace = api.namespace("asked-to-end");
    let _ruled = Ruled::create(&namespace);
    let flags = ["--drain-delay", "3s", "--drain-timeout", "15s"];
    let mut gateway = Gateway::start_with(&namespace, &flags);
    let load = Ruled::load(&gateway);
    let target = busy(&gateway, &["v2"]);
    let staying: Vec<_> = (0..4).map(|_| stay(target)).collect();
    wait(GRACE, "a load", || load.asked() > 100);
    let start = Instant::now();
    gateway.ask_to_end();
    wait(Duration::from_secs(2), "the pod is not ready", || {
        gateway.health("/readyz").status == 503
    });
    let told = start.elapsed();
    // Until all load balancers have noticed it, requests continue, on new
    // connections, too.
    let before = load.asked();
    wait(Duration::from_secs(2), "it serves on", || load.asked() > before + 100);
    load.stop();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // Longer than the rest of the delay.
    let slow: Vec<_> = (0..4).map(|_| slow(target, Duration::from_secs(6))).collect();
    for staying in staying {
        let asked = staying.join().unwrap().expect("responses until the connection closes");
        assert!(asked > 10, "{asked}");
    }
    let gone = start.elapsed();
    assert!(gone > Duration::from_secs(3), "{gone:?}");
    for slow in slow {
        assert_eq!(slow.join().unwrap(), Ok(200));
    }
    assert_eq!(gateway.wait_for_end(), (Some(0), Some(0)));
    assert!(TcpStream::connect(target.address).is_err());
    let took = start.elapsed();
    assert!(took < GRACE, "{took:?}");
    println!("not ready after {told:?}, clients left after {gone:?}, ended after {took:?}");
}

#[test]
fn one_that_is_asked_twice_ends_at_once() {
    let api = ApiServer::shared();
    let namespace = api.namespace("asked-twice");
    let _ruled = Ruled::create(&namespace);
    let mut gateway = Gateway::start_with(&namespace, &["--drain-delay", "60s"]);
    gateway.ask_to_end();
    wait(Duration::from_secs(2), "the pod is not ready", || {
        gateway.health("/readyz").status == 503
    });
    let start = Instant::now();
    gateway.ask_to_end();
    assert_eq!(gateway.wait_for_controller(), Some(0));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
}
