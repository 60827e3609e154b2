//! A controller that is killed at any moment.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ingress_tests::{ApiProxy, ApiServer, Gateway, Upstream, Verdict, machine_ip, meanwhile};

use crate::setup::{Ruled, assert_nothing_was_rejected, ingress, rule, slice, wait};

const KILLS: u64 = 20;

/// The time limit until it serves the existing objects, with the API available.
const SOON: Duration = Duration::from_secs(20);

/// The changes: hosts that are added and removed, and thus clusters, and endpoints
/// and versions of a service without load.
fn change(ruled: &Ruled, upstream: &Upstream, index: usize) {
    let name = format!("stream-{}", index % 10);
    let service = ["other", "busy"][index % 2];
    let host = format!("stream-{index}.example");
    ruled.writer.apply(&ingress(&name, &host, &[("/", service)]));
    ruled.writer.apply(&slice("other", &format!("more-{}", index % 3), upstream.address));
    ruled.writer.apply(&rule("other", ["v1", "v2"][index / 7 % 2]));
    ruled.writer.delete(&rule("other", ""));
}

fn is_left_over(name: &str) -> bool {
    name.starts_with(".ingressctl-")
}

#[test]
fn twenty_kills_fail_no_request() {
    let api = ApiServer::shared();
    let namespace = api.namespace("twenty-kills");
    let ruled = Ruled::create(&namespace);
    let upstream = Upstream::forgetful(machine_ip(), "other");
    let proxy = ApiProxy::start(&namespace);
    let mut gateway = Gateway::start_as(&namespace, &proxy.kubeconfig(), &[]);
    let load = Ruled::load(&gateway);
    let changes = AtomicUsize::new(0);
    let next_change = || change(&ruled, &upstream, changes.fetch_add(1, Ordering::Relaxed));
    let ((), changes) = meanwhile(1, next_change, || {
        for kill in 0..KILLS {
            // At any moment of its start, and after it.
            let longest = if kill % 2 == 0 { 300 } else { 1_500 };
            thread::sleep(Duration::from_millis(kill * 7_919 % longest));
            gateway.kill_controller();
            if kill == KILLS / 2 {
                start_without_api(&mut gateway, &proxy);
            } else {
                gateway.launch_controller();
            }
        }
    });
    gateway.kill_controller();
    gateway.start_controller();
    let took = ruled.add_host(&gateway, "after.example", SOON);
    assert_nothing_was_rejected(&gateway);
    let files = fs::read_dir(gateway.shared_folder()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| is_left_over(name)).collect();
    assert!(left.is_empty(), "{left:?}");
    let (asked, changes) = (load.stop(), changes * 4);
    println!(
        "{} kills, {changes} changes, the last served {took:?} after; {asked} requests, none failed",
        KILLS + 1
    );
}

/// It is ready with Envoy's current state, and serves new objects as soon as
/// possible.
fn start_without_api(gateway: &mut Gateway, proxy: &ApiProxy) {
    proxy.judge(|_| Verdict::Cut);
    gateway.start_controller();
    assert_eq!(gateway.health("/readyz").status, 200);
    proxy.heal();
    let log = gateway.log();
    wait(SOON, "it applies missed changes", || {
        gateway.log().get(log.len()..).is_some_and(|log| log.contains("applied"))
    });
}
