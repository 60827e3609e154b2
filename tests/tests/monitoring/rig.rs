//! A gateway on a real Kubernetes API with all kinds of traffic, and a Prometheus that
//! scrapes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ingress_tests::ingresses::{ingress, object, path, rule};
use ingress_tests::{
    ApiServer, Authority, Gateway, KeepAlive, Namespace, Prometheus, Service, TlsClient, Upstream,
    get, machine_ip, raw, wait_until, workspace,
};
use serde_json::json;

const HOST: &str = "shop.example.com";

/// The gateway and what it serves.
pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    namespace: Namespace<'static>,
    client: TlsClient,
    _upstream: Upstream,
}

impl Rig {
    pub(crate) fn start(name: &str) -> Self {
        let namespace = ApiServer::shared().namespace(name);
        let upstream = Upstream::forgetful(machine_ip(), "web");
        namespace.create(&Service::new("web").at(&upstream).manifests());
        // Nothing listens there.
        let nowhere = Service::new("dead").at_address((machine_ip(), 9).into());
        namespace.create(&nowhere.manifests());
        namespace.create(&Service::new("empty").manifests());
        let authority = Authority::new();
        let default = format!("{name}/default");
        let paths = [
            path("/", "Prefix", "web"),
            path("/dead", "Prefix", "dead"),
            path("/empty", "Prefix", "empty"),
        ];
        let shop = json!({
            "rules": [rule(HOST, &paths)], "tls": [{"hosts": [HOST], "secretName": "shop"}]
        });
        let shop = ingress("shop", &shop);
        namespace.allow_secrets(std::slice::from_ref(&shop), &default);
        namespace.create(&authority.issue(&[HOST]).secret(name, "shop").to_string());
        namespace.create(&shop);
        namespace.create(&object(
            "config.istio.io/v1alpha2",
            "RouteRule",
            &json!({"name": "canary"}),
            &json!({
                "destination": {"name": "web"},
                "match": {"request": {"headers": {"x-canary": {"exact": "yes"}}}},
                "httpReqTimeout": {"simpleTimeout": {"timeout": "4s"}},
            }),
        ));
        let flags = ["--default-certificate", &default, "--request-metrics", "--envoy-memory=2Gi"];
        let gateway = Gateway::start_with(&namespace, &flags);
        let client = TlsClient::new(&authority, &[]);
        let rig = Self { gateway, namespace, client, _upstream: upstream };
        rig.gateway.wait_for(HOST, "/", 200);
        wait_until("HTTPS is served", || {
            rig.client.get(rig.gateway.https(), HOST, "/").is_ok_and(|answer| answer.status == 200)
        });
        rig
    }

    /// A Prometheus that scrapes it.
    pub(crate) fn watch(&self) -> Prometheus {
        let rules = workspace().join("config/deploy/chart/monitoring/rules.yaml");
        Prometheus::start(&[self.gateway.health_address()], &rules)
    }

    /// Sends requests of all kinds while `during` runs.
    pub(crate) fn under_traffic<T>(&self, during: impl FnOnce() -> T) -> T {
        let ends = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while !ends.load(Ordering::Relaxed) {
                    self.send(number);
                    number += 1;
                    thread::sleep(Duration::from_millis(40));
                }
            });
            scope.spawn(|| {
                // A change of the configuration now and then.
                for number in 0.. {
                    if ends.load(Ordering::Relaxed) {
                        return;
                    }
                    let host = format!("more-{number}.example.com");
                    let spec = json!({"rules": [rule(&host, &[path("/", "Prefix", "web")])]});
                    self.namespace.apply(&ingress("more", &spec));
                    thread::sleep(Duration::from_secs(2));
                }
            });
            // Also if it panics.
            let _end = EndsWhenDropped(&ends);
            during()
        })
    }

    fn send(&self, number: usize) {
        let http = self.gateway.http;
        let mut kept = KeepAlive::connect(http);
        kept.get(HOST, "/");
        kept.get(HOST, &format!("/{number}"));
        match number % 5 {
            0 => drop(get(http, HOST, "/dead")),
            1 => drop(get(http, "unknown.example.com", "/")),
            2 => drop(self.client.get(self.gateway.https(), HOST, "/")),
            3 => drop(get(http, HOST, "/empty")),
            _ => {
                let request = format!(
                    "GET / HTTP/1.1\r\nhost: {HOST}\r\nx-canary: yes\r\nconnection: close\r\n\r\n"
                );
                raw(http, request.as_bytes());
            }
        }
    }
}

struct EndsWhenDropped<'a>(&'a AtomicBool);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
