//! Endpoints that are added and removed, as in a rollout of a Deployment.

use std::time::Duration;

use ingress_tests::{ApiServer, Gateway, Service, Upstream, Writer, machine_ip};

use crate::load::Load;
use crate::setup::{BUSY, assert_nothing_was_rejected, busy, ingress, slice, wait};

const PATIENCE: Duration = Duration::from_secs(20);
const ROUNDS: usize = 40;

/// Whether Envoy sends requests to this upstream.
fn is_known(gateway: &Gateway, upstream: &Upstream) -> bool {
    let clusters = gateway.admin.get("/clusters").body;
    clusters.contains(&format!("::{}::", upstream.address))
}

/// Waits until no more requests reach a removed upstream: all active ones have
/// ended.
fn wait_until_idle(upstream: &Upstream) {
    wait(PATIENCE, "an idle upstream", || {
        upstream.take_received();
        std::thread::sleep(Duration::from_millis(50));
        upstream.take_received().is_empty()
    });
}

#[test]
fn endpoints_that_roll_fail_no_request() {
    let api = ApiServer::shared();
    let namespace = api.namespace("endpoints-that-roll");
    let start = || Upstream::forgetful(machine_ip(), "pod");
    let mut now = [start(), start()];
    namespace.create(&Service::new("busy").manifests());
    let writer = Writer::new(&namespace);
    let of = |index: usize, pod: &Upstream| slice("busy", &format!("busy-{index}"), pod.address);
    for (index, pod) in now.iter().enumerate() {
        writer.apply(&of(index, pod));
    }
    writer.apply(&ingress("busy", BUSY, &[("/", "busy")]));
    let gateway = Gateway::start(&namespace);
    gateway.wait_for(BUSY, "/", 200);
    let load = Load::start(busy(&gateway, &["pod"]));
    for round in 0..ROUNDS {
        // A new endpoint is added under a new name, then an old one is removed.
        let new = start();
        let joined = slice("busy", &format!("joined-{round}"), new.address);
        writer.apply(&joined);
        wait(PATIENCE, "it joins", || is_known(&gateway, &new));
        let old = std::mem::replace(&mut now[round % 2], new);
        writer.apply(&of(round % 2, &now[round % 2]));
        wait(PATIENCE, "another leaves", || !is_known(&gateway, &old));
        wait_until_idle(&old);
        writer.delete(&joined);
    }
    assert_nothing_was_rejected(&gateway);
    let asked = load.stop();
    println!("{ROUNDS} pods replaced, {asked} requests, none failed");
}
