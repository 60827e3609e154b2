//! Changes of objects with and without load.

use std::thread;
use std::time::{Duration, Instant};

use ingress_tests::{ApiServer, Gateway};

use crate::load::Load;
use crate::setup::{BUSY, Ruled, assert_nothing_was_rejected, busy, ingress, rule, wait};

const PATIENCE: Duration = Duration::from_secs(20);

/// The number of concurrent writers: each waits for the API most of the time.
const WRITERS: usize = 4;

/// A thousand changes: each of 250 Ingresses is created, gets another path and
/// another host; every second one is then deleted, and the others change once more.
fn change(ruled: &Ruled, index: usize) {
    let (name, host) = (format!("beside-{index}"), format!("host-{index}.example"));
    let writer = &ruled.writer;
    writer.apply(&ingress(&name, &host, &[("/", "other")]));
    writer.apply(&ingress(&name, &host, &[("/", "other"), ("/more", "busy")]));
    writer.apply(&ingress(&name, &format!("new-{host}"), &[("/", "other"), ("/more", "busy")]));
    if index.is_multiple_of(2) {
        writer.delete(&ingress(&name, &host, &[]));
    } else {
        writer.apply(&ingress(&name, &format!("last-{host}"), &[("/", "other")]));
    }
}

#[test]
fn a_thousand_changes_of_ingresses_fail_no_request() {
    let api = ApiServer::shared();
    let namespace = api.namespace("a-thousand-changes");
    let ruled = Ruled::create(&namespace);
    let gateway = Gateway::start(&namespace);
    let load = Ruled::load(&gateway);
    let start = Instant::now();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let ruled = &ruled;
            scope.spawn(move || {
                (0..250).skip(writer).step_by(WRITERS).for_each(|index| change(ruled, index));
            });
        }
    });
    let written = start.elapsed();
    for index in 240..250 {
        let host = format!("host-{index}.example");
        let (last, status) = if index % 2 == 0 { ("new", 404) } else { ("last", 200) };
        // An object that is deleted in the end did not exist at first either.
        wait(PATIENCE, &host, || {
            gateway.get(&format!("{last}-{host}"), "/").status == status
                && gateway.get(&host, "/").status == 404
        });
        let is_more = gateway.get(&format!("last-{host}"), "/more").by() == "v2";
        assert!(!is_more, "the removed path is still served by its old service");
    }
    let served = start.elapsed();
    let applied = gateway.log().matches("applied").count();
    assert_nothing_was_rejected(&gateway);
    let asked = load.stop();
    println!(
        "1,000 changes written in {written:?}, served after {served:?} in {applied} steps; \
         {asked} requests, none failed"
    );
}

#[test]
fn a_rule_that_flips_five_hundred_times_fails_no_request() {
    let api = ApiServer::shared();
    let namespace = api.namespace("a-rule-that-flips");
    let ruled = Ruled::create(&namespace);
    let gateway = Gateway::start(&namespace);
    wait(PATIENCE, "v2", || gateway.get(BUSY, "/").by() == "v2");
    let load = Load::start(busy(&gateway, &["v1", "v2"]));
    let flips = 500;
    let start = Instant::now();
    for flip in 1..=flips {
        ruled.writer.apply(&rule("busy", ["v2", "v1"][flip % 2]));
        // Sometimes the test waits until a change is served; otherwise the next one
        // follows immediately.
        if flip % 50 == 25 {
            wait(PATIENCE, "v1", || gateway.get(BUSY, "/").by() == "v1");
        }
    }
    let written = start.elapsed();
    wait(PATIENCE, "the last version", || (0..20).all(|_| gateway.get(BUSY, "/").by() == "v2"));
    let tail = Ruled::load(&gateway);
    wait(PATIENCE, "requests", || tail.asked() > 1_000);
    tail.stop();
    assert_nothing_was_rejected(&gateway);
    let asked = load.stop();
    println!("{flips} flips written in {written:?}; {asked} requests, none failed");
}
