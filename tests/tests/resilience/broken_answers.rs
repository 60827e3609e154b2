//! An API with invalid responses: a proxy injects failures on demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ingress_tests::{ApiProxy, ApiServer, Asked, Gateway, Namespace, Verdict};

use crate::load::{Load, Probes, Target};
use crate::setup::{BUSY, Ruled, assert_nothing_was_rejected, ingress, wait};

/// The longest interval between two tries, plus a margin for a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// A gateway that reaches the API through a proxy, with more Ingresses than fit on
/// a page.
struct Behind<'a> {
    ruled: Ruled,
    gateway: Gateway,
    proxy: ApiProxy,
    _namespace: Namespace<'a>,
}

/// The size of a page.
const PAGE: usize = 10;
const INGRESSES: usize = 55;

impl<'a> Behind<'a> {
    fn start(api: &'a ApiServer, name: &str) -> Self {
        let namespace = api.namespace(name);
        let ruled = Ruled::create(&namespace);
        for index in 0..INGRESSES {
            let name = format!("page-{index}");
            ruled.writer.apply(&ingress(&name, &format!("{name}.example"), &[("/", "other")]));
        }
        // The last object on the last page.
        ruled.writer.apply(&ingress("zz-last", "last.example", &[("/", "other")]));
        let proxy = ApiProxy::start(&namespace);
        proxy.page(PAGE);
        let gateway = Gateway::start_as(&namespace, &proxy.kubeconfig(), &[]);
        Self { ruled, gateway, proxy, _namespace: namespace }
    }

    /// Clients of the object on the last page, and of a service with a rule.
    fn load(&self) -> [Load; 2] {
        let busy = Ruled::load(&self.gateway);
        self.gateway.wait_for("last.example", "/", 200);
        let target =
            Target { address: self.gateway.http, host: "last.example", path: "/", by: &["other"] };
        [busy, Load::start(target)]
    }

    /// Restarts all watches, and lets `judge` decide about all requests until
    /// `done`. Then all requests succeed again, and a change is served.
    fn suffer(
        &self,
        what: &str,
        judge: impl FnMut(&Asked) -> Verdict + Send + 'static,
        done: impl FnMut() -> bool,
    ) {
        self.proxy.judge(judge);
        self.proxy.cut();
        // Several tries, each after the longest interval.
        wait(SOON * 2, what, done);
        let watched = Count::default();
        let count = watched.clone();
        self.proxy.judge(move |asked| {
            if asked.is_for("routerules") && asked.is_watch() {
                count.up();
            }
            Verdict::Pass
        });
        self.proxy.cut();
        let host = format!("after-{what}.example");
        self.ruled.add_host(&self.gateway, &host, SOON);
        // The next case must start with running watches.
        wait(SOON, "rules are watched again", || watched.get() > 0);
    }
}

/// A counter.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn half_a_list_is_no_list() {
    let api = ApiServer::shared();
    let behind = Behind::start(api, "half-a-list");
    let load = behind.load();
    for (what, failure) in [
        ("500", Verdict::Status(500)),
        ("410", Verdict::Status(410)),
        ("cut", Verdict::Cut),
        ("page", Verdict::Page),
    ] {
        let failed = Count::default();
        let count = failed.clone();
        // Every watch has to start again, and lists fail in the middle.
        let judge = move |asked: &Asked| {
            if asked.is_watch() {
                Verdict::Watched(410)
            } else if asked.is_list() && asked.is_next_page() {
                count.up();
                failure
            } else {
                Verdict::Pass
            }
        };
        behind.suffer(&format!("half-{what}"), judge, || failed.get() >= 3);
    }
    let asked: usize = load.map(Load::stop).iter().sum();
    assert_nothing_was_rejected(&behind.gateway);
    println!("4 kinds of partial lists, {asked} requests, none failed");
}

#[test]
fn an_api_that_answers_wrongly_fails_no_request() {
    let api = ApiServer::shared();
    let behind = Behind::start(api, "wrong-answers");
    let load = behind.load();
    let probes = Probes::start(behind.gateway.health_address());
    for (what, failure) in [
        ("status-401", Verdict::Status(401)),
        ("status-403", Verdict::Status(403)),
        ("status-410", Verdict::Status(410)),
        ("status-429", Verdict::Status(429)),
        ("status-500", Verdict::Status(500)),
        ("status-503", Verdict::Status(503)),
        ("watched-410", Verdict::Watched(410)),
        ("watched-500", Verdict::Watched(500)),
        ("page", Verdict::Page),
        ("stall", Verdict::Stall),
        ("cut", Verdict::Cut),
    ] {
        let failed = Count::default();
        let count = failed.clone();
        let judge = move |asked: &Asked| {
            if asked.is_list() || asked.is_watch() {
                count.up();
                failure
            } else {
                Verdict::Pass
            }
        };
        behind.suffer(what, judge, || failed.get() >= 6);
    }
    probes.stop();
    let asked: usize = load.map(Load::stop).iter().sum();
    assert_nothing_was_rejected(&behind.gateway);
    println!("11 kinds of invalid responses, {asked} requests, none failed");
}

#[test]
fn a_watch_that_may_not_begin_where_it_ended_begins_anew() {
    let api = ApiServer::shared();
    let behind = Behind::start(api, "watch-refused");
    let load = behind.load();
    // Until the controller lists the objects, all watches are too old.
    let listed = Arc::new(Mutex::new(Vec::<String>::new()));
    let lists = Arc::clone(&listed);
    behind.proxy.judge(move |asked| {
        let mut listed = lists.lock().unwrap();
        if asked.is_list() {
            listed.push(asked.path.clone());
        }
        if asked.is_watch() && !listed.contains(&asked.path) {
            return Verdict::Status(410);
        }
        Verdict::Pass
    });
    behind.proxy.cut();
    behind.ruled.add_host(&behind.gateway, "after.example", SOON);
    let asked: usize = load.map(Load::stop).iter().sum();
    println!("watches rejected with 410, {asked} requests, none failed");
}

/// While an API server starts, it responds with 404 for custom resources. It may
/// become ready between that response and the controller's check of `/readyz`.
#[test]
fn rules_that_are_not_found_for_a_moment_are_not_gone() {
    let api = ApiServer::shared();
    let behind = Behind::start(api, "not-found");
    let load = behind.load();
    for is_up in [false, true] {
        for round in 0..3 {
            let asked = Count::default();
            let count = asked.clone();
            let judge = move |asked: &Asked| {
                if asked.is_for("readyz") {
                    return if is_up { Verdict::Pass } else { Verdict::Status(500) };
                }
                if !asked.is_for("routerules") {
                    return Verdict::Pass;
                }
                if asked.is_watch() {
                    return Verdict::Watched(410);
                }
                count.up();
                // A ready server returns 404 once, and is then busy for a while.
                Verdict::Status(if is_up && count.get() > 1 { 500 } else { 404 })
            };
            let what = format!("not-found-{is_up}-{round}");
            behind.suffer(&what, judge, || asked.get() >= 4);
        }
    }
    let asked: usize = load.map(Load::stop).iter().sum();
    println!("rules not found for a moment, {asked} requests, all used the rules");
}

/// A deleted CRD of RouteRules removes the rules.
#[test]
fn rules_that_are_not_found_for_long_are_gone() {
    let api = ApiServer::shared();
    let behind = Behind::start(api, "no-rules");
    behind.proxy.judge(|asked| {
        if asked.is_for("routerules") { Verdict::Status(404) } else { Verdict::Pass }
    });
    behind.proxy.cut();
    wait(SOON, "the default route", || behind.gateway.get(BUSY, "/").by() == "v1");
    behind.proxy.heal();
    wait(SOON, "the rule", || (0..8).all(|_| behind.gateway.get(BUSY, "/").by() == "v2"));
}

#[test]
fn connections_that_break_all_the_time_fail_no_request() {
    let api = ApiServer::shared();
    let behind = Behind::start(api, "broken-connections");
    let load = behind.load();
    for index in 0..30 {
        behind.proxy.cut();
        let name = format!("page-{index}");
        let host = format!("moved-{index}.example");
        behind.ruled.writer.apply(&ingress(&name, &host, &[("/", "busy")]));
        behind.proxy.cut();
        // At any moment of the update.
        thread::sleep(Duration::from_millis(index * 7));
    }
    wait(SOON, "the last change", || behind.gateway.get("moved-29.example", "/").by() == "v2");
    wait(SOON, "the first change", || behind.gateway.get("moved-0.example", "/").by() == "v2");
    let asked: usize = load.map(Load::stop).iter().sum();
    assert_nothing_was_rejected(&behind.gateway);
    println!("connections closed 60 times, {asked} requests, none failed");
}
