//! Restarts of the controller, Envoy and the API: meanwhile no handshake gets the
//! default certificate, which is for other hosts, so clients would reject it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ingress_tests::{ApiProxy, ApiServer, Edge, Gateway, Verdict, wait_until};

use super::site::{Site, secure};

fn site(api: &'static ApiServer, name: &str) -> Site<'static> {
    let site = Site::create(api, name);
    site.create_allowed(&[secure("web", &[("one.example", "one")])]);
    site.create_secret("default", &["default.example"]);
    site
}

#[test]
fn a_controller_that_is_restarted_takes_no_certificate_away() {
    let api = ApiServer::shared();
    let site = site(api, "tls-restarts");
    let one = site.create_secret("one", &["one.example"]);
    let mut gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    let edge = Edge::clone(&gateway);
    let mut open = site.client.connect(edge.https(), "one.example").unwrap();
    site.under_load_of(edge.https(), "one.example", || {
        for _ in 0..3 {
            gateway.kill_controller();
            assert_eq!(open.get("one.example", "/").by(), "web");
            gateway.start_controller();
            let log = gateway.log();
            // The new controller applies the state that it reads.
            let one = site.replace_secret("one", &["one.example"]);
            site.wait_for(&gateway, "one.example", &one);
            assert!(gateway.log().len() > log.len());
            assert_eq!(open.get("one.example", "/").by(), "web", "an open connection stays open");
        }
    });
}

#[test]
fn an_envoy_that_is_restarted_has_its_certificates() {
    let api = ApiServer::shared();
    let site = site(api, "tls-envoy-restarts");
    let one = site.create_secret("one", &["one.example"]);
    let mut gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    gateway.restart_envoy();
    site.wait_for(&gateway, "one.example", &one);
    let one = site.replace_secret("one", &["one.example"]);
    site.wait_for(&gateway, "one.example", &one);
    // Both at once, as when the node restarts.
    gateway.kill_controller();
    gateway.relaunch_envoy();
    gateway.start_controller();
    gateway.await_envoy();
    site.wait_for(&gateway, "one.example", &one);
}

#[test]
fn https_is_served_on_while_the_api_is_away() {
    let api = ApiServer::shared();
    let site = site(api, "tls-api-away");
    let one = site.create_secret("one", &["one.example"]);
    let proxy = ApiProxy::start(&site.namespace);
    let mut gateway = Gateway::start_as(&site.namespace, &proxy.kubeconfig(), &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    let edge = Edge::clone(&gateway);
    site.under_load_of(edge.https(), "one.example", || {
        let tries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tries);
        proxy.judge(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Verdict::Cut
        });
        proxy.cut();
        wait_until("its requests fail", || tries.load(Ordering::Relaxed) > 20);
        gateway.kill_controller();
        gateway.start_controller();
        assert_eq!(gateway.health("/readyz").status, 200);
        proxy.heal();
        let one = site.replace_secret("one", &["one.example"]);
        site.wait_for(&gateway, "one.example", &one);
    });
}

/// An API server that is too busy to respond, at an unfavourable time.
#[test]
fn an_api_that_fails_for_a_moment_at_a_restart_takes_no_certificate_away() {
    let api = ApiServer::shared();
    let site = site(api, "tls-moment");
    let one = site.create_secret("one", &["one.example"]);
    let proxy = ApiProxy::start(&site.namespace);
    let mut gateway = Gateway::start_as(&site.namespace, &proxy.kubeconfig(), &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    let edge = Edge::clone(&gateway);
    site.under_load_of(edge.https(), "one.example", || {
        for status in [500, 429, 401] {
            gateway.kill_controller();
            let tries = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&tries);
            proxy.judge(move |asked| {
                let fails = asked.is_for("secrets") && count.fetch_add(1, Ordering::Relaxed) < 4;
                if fails { Verdict::Status(status) } else { Verdict::Pass }
            });
            gateway.start_controller();
            wait_until("it has been requested", || tries.load(Ordering::Relaxed) > 6);
            let one = site.replace_secret("one", &["one.example"]);
            site.wait_for(&gateway, "one.example", &one);
        }
    });
}
