//! Two replicas, only one of which writes.

use std::time::{Duration, Instant};

use ingress_tests::{ApiServer, Gateway, Namespace};
use serde_json::{Value, json};

use crate::load::Load;
use crate::setup::{Ruled, ingress, metric, wait};

/// The Lease lasts 15 s, and other replicas check it every 2 s.
const TAKEOVER: Duration = Duration::from_secs(25);

const SOON: Duration = Duration::from_secs(15);

const ADDRESS: &str = "192.0.2.1";

fn leads(gateway: &Gateway) -> bool {
    metric(gateway, "ingressctl_leader") == 1
}

/// The number of writes by a replica.
fn written(gateway: &Gateway) -> u64 {
    ["status", "event"]
        .map(|report| {
            let labels = format!("{{report=\"{report}\",result=\"success\"}}");
            metric(gateway, &format!("ingressctl_report_writes_total{labels}"))
        })
        .iter()
        .sum()
}

/// Whether the Ingress has the address.
fn is_published(namespace: &Namespace<'_>, name: &str) -> bool {
    let ingress = namespace.get("ingress", name);
    ingress["status"]["loadBalancer"] == json!({"ingress": [{"ip": ADDRESS}]})
}

/// The Events on an object.
fn events_on(namespace: &Namespace<'_>, name: &str) -> Vec<Value> {
    let events = namespace.list("events").into_iter();
    events.filter(|event| event["involvedObject"]["name"] == name).collect()
}

/// The fields that change with each write.
fn versions(namespace: &Namespace<'_>) -> Vec<Value> {
    let objects = [namespace.list("ingresses"), namespace.list("events")].concat();
    objects.iter().map(|object| object["metadata"]["resourceVersion"].clone()).collect()
}

#[test]
fn one_replica_writes_and_another_takes_over() {
    let api = ApiServer::shared();
    let namespace = api.namespace("replicas");
    let ruled = Ruled::create(&namespace);
    // An invalid Ingress: its service does not exist.
    ruled.writer.apply(&ingress("wrong", "wrong.example", &[("/", "nobody")]));
    let flags = ["--publish-address", ADDRESS];
    let mut first = Gateway::start_with(&namespace, &flags);
    wait(SOON, "the first leads", || leads(&first));
    let second = Gateway::start_with(&namespace, &flags);
    let load = [Ruled::load(&first), Ruled::load(&second)];
    wait(SOON, "a status", || is_published(&namespace, "busy"));
    wait(SOON, "an Event", || events_on(&namespace, "wrong").len() == 1);
    ruled.add_host(&second, "both.example", SOON);
    ruled.add_host(&first, "both.example", SOON);
    wait(SOON, "a status", || is_published(&namespace, "both.example"));
    assert!(leads(&first) && !leads(&second));
    assert_eq!(written(&second), 0);

    let before = versions(&namespace);
    let start = Instant::now();
    first.kill_controller();
    wait(TAKEOVER, "another leads", || leads(&second));
    let took = start.elapsed();
    ruled.add_host(&second, "after.example", SOON);
    wait(SOON, "a status by the other", || is_published(&namespace, "after.example"));
    // All earlier objects stay unchanged: nothing is written twice.
    ruled.writer.delete(&ingress("after.example", "", &[]));
    assert_eq!(versions(&namespace), before);
    assert_eq!(written(&second), 1, "only the new status");

    // The first one restarts as the second replica.
    first.start_controller();
    ruled.add_host(&first, "third.example", SOON);
    wait(SOON, "a status by the other", || is_published(&namespace, "third.example"));
    assert!(!leads(&first) && leads(&second));
    assert_eq!((written(&first), written(&second)), (0, 2));
    let asked: usize = load.map(Load::stop).iter().sum();
    println!("a new leader {took:?} after a kill; {asked} requests, none failed");
}
