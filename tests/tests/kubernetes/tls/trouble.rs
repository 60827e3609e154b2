//! A Secret that cannot be read affects only its own hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ingress_tests::{ApiProxy, ApiServer, Gateway, Verdict, wait_until};

use super::site::{Site, secure};

/// The time that new objects may wait for responses about their Secrets, plus a
/// margin for a busy machine.
const SOME_SECONDS: Duration = Duration::from_secs(12);

/// The API's response about two Secrets; the others are not affected.
fn holds_up_no_other(what: &str, verdict: Verdict) {
    let api = ApiServer::shared();
    let site = Site::create(api, &format!("unread-{what}"));
    let bad = ["bad-0", "bad-1"].map(|name| (format!("{name}.example"), name));
    let hosts = [("one.example", "one"), (&bad[0].0, bad[0].1)];
    let more = [("two.example", "two"), (&bad[1].0, bad[1].1)];
    site.allow(&[secure("web", &hosts), secure("more", &more)]);
    site.namespace.create(&secure("web", &hosts));
    let default = site.create_secret("default", &["default.example", &bad[0].0]);
    let one = site.create_secret("one", &["one.example"]);
    let two = site.create_secret("two", &["two.example"]);
    let proxy = ApiProxy::start(&site.namespace);
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    proxy.judge(move |asked| {
        let is_bad = asked.is_for("secrets") && asked.query.contains("name%3Dbad");
        count.fetch_add(usize::from(is_bad), Ordering::Relaxed);
        if is_bad { verdict } else { Verdict::Pass }
    });
    let start = Instant::now();
    let gateway = Gateway::start_as(&site.namespace, &proxy.kubeconfig(), &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    let started = start.elapsed();
    site.wait_for(&gateway, &bad[0].0, &default);
    // A new Ingress that names one of them, while the controller runs.
    let start = Instant::now();
    site.namespace.create(&secure("more", &more));
    site.wait_for(&gateway, "two.example", &two);
    let added = start.elapsed();
    println!("{what}: started after {started:?}, another host after {added:?}");
    assert!(started < SOME_SECONDS && added < SOME_SECONDS, "{started:?} {added:?}");
    wait_until("an Event reports it", || {
        site.namespace.events_on("Ingress", "web").iter().any(|event| event.contains("bad-0"))
    });
    // The intervals between requests for each of them increase.
    let tries = tries.load(Ordering::Relaxed);
    assert!(tries < 40, "{tries} tries");
    // It is served once it can be read.
    let read = site.create_secret("bad-0", &[&bad[0].0]);
    proxy.heal();
    proxy.cut();
    site.wait_for(&gateway, &bad[0].0, &read);
}

#[test]
fn a_secret_that_may_not_be_read_holds_up_no_other() {
    holds_up_no_other("status-403", Verdict::Status(403));
}

#[test]
fn a_secret_that_fails_to_be_read_holds_up_no_other_for_long() {
    holds_up_no_other("status-500", Verdict::Status(500));
}

#[test]
fn a_secret_that_is_not_understood_holds_up_no_other_for_long() {
    holds_up_no_other("truncated", Verdict::Truncated);
}

#[test]
fn a_secret_without_an_answer_holds_up_no_other_for_long() {
    holds_up_no_other("stall", Verdict::Stall);
}
