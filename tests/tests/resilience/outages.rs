//! Temporary outages of the API or its data.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ingress_tests::{ApiServer, Gateway};

use crate::load::{Load, Probes};
use crate::setup::{BUSY, Ruled, assert_nothing_was_rejected, busy, metric, rule, wait};

/// An API server that these tests stop, one test at a time.
fn api() -> (&'static ApiServer, MutexGuard<'static, ()>) {
    static API: LazyLock<ApiServer> = LazyLock::new(|| ApiServer::start(&[]));
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    (&API, turn)
}

/// The duration of an outage.
const OUTAGE: Duration = Duration::from_secs(30);

/// The time limit for a change after an outage: the longest interval between two
/// tries, plus a margin for a busy machine.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn thirty_seconds_without_the_api_fail_no_request() {
    let (api, _turn) = api();
    let namespace = api.namespace("api-away");
    let ruled = Ruled::create(&namespace);
    let mut gateway = Gateway::start(&namespace);
    let load = Ruled::load(&gateway);
    let probes = Probes::start(gateway.health_address());
    api.stop_server();
    thread::sleep(OUTAGE);
    api.start_server();
    let took = ruled.add_host(&gateway, "after.example", SOON);
    wait(SOON * 2, "all watches are up", || {
        gateway
            .health("/metrics")
            .body
            .lines()
            .all(|line| !line.starts_with("ingressctl_watch_up{") || line.ends_with(" 1"))
    });
    probes.stop();

    // While an API server starts, it returns 404 for custom resources; the
    // controller often sends a request at that moment.
    for round in 0..2 {
        api.stop_server();
        if round == 1 {
            gateway.kill_controller();
            gateway.launch_controller();
        }
        api.start_server();
        ruled.add_host(&gateway, &format!("after-{round}.example"), SOON * 2);
    }
    let asked = load.stop();
    assert_nothing_was_rejected(&gateway);
    println!(
        "{OUTAGE:?} without the API: a change is served {took:?} after; {asked} requests, none failed"
    );
}

#[test]
fn a_while_without_etcd_fails_no_request() {
    let (api, _turn) = api();
    let namespace = api.namespace("etcd-away");
    let ruled = Ruled::create(&namespace);
    let gateway = Gateway::start(&namespace);
    let load = Ruled::load(&gateway);
    let probes = Probes::start(gateway.health_address());
    api.stop_etcd();
    // Long enough to lose the Lease.
    thread::sleep(Duration::from_secs(15));
    api.start_etcd();
    let took = ruled.add_host(&gateway, "after.example", SOON);
    wait(Duration::from_secs(30), "it leads again", || metric(&gateway, "ingressctl_leader") == 1);
    probes.stop();
    let asked = load.stop();
    println!("15 s without etcd: a change is served {took:?} after; {asked} requests, none failed");
}

/// A suspended controller resumes after the API server has discarded the changes
/// that it missed: a real 410.
#[test]
fn what_was_missed_is_listed_anew() {
    let (api, _turn) = api();
    let namespace = api.namespace("missed");
    let ruled = Ruled::create(&namespace);
    let gateway = Gateway::start(&namespace);
    wait(SOON, "v2", || gateway.get(BUSY, "/").by() == "v2");
    let load = Load::start(busy(&gateway, &["v1", "v2"]));
    gateway.pause_controller();
    // Its connections are closed, so it receives nothing; and the server keeps its
    // history in memory only.
    api.stop_server();
    api.start_server();
    ruled.writer.apply(&rule("busy", "v1"));
    api.stop_server();
    api.start_server();
    gateway.resume_controller();
    wait(SOON, "the change that was missed", || gateway.get(BUSY, "/").by() == "v1");
    assert!(gateway.log().contains("the watch of RouteRule failed: 410"));
    println!("a watch restarted after 410, {} requests, none failed", load.stop());
}
