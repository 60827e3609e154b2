//! The addresses of the gateway, from the command line or a Service.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;

use futures::{TryStreamExt, future};
use k8s_openapi::api::core::v1::Service;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::controller::api::{ApiTask, FailureLog, single};

/// The items of `status.loadBalancer.ingress`.
pub(super) type Addresses = Vec<Value>;

const WATCH: ApiTask = ApiTask {
    what: "watch the published Service",
    permission: "list and watch on services in its namespace",
};

/// The source of the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// A Service: the address of its load balancer, otherwise its external IPs.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// These IP addresses and host names.
    Addresses(Vec<String>),
}

/// Publishes the addresses to `sender`; `None` while they are unknown.
pub(super) async fn follow(
    client: &Client,
    publish: Option<&Publish>,
    sender: watch::Sender<Option<Addresses>>,
) -> Infallible {
    match publish {
        None => {}
        Some(Publish::Addresses(addresses)) => {
            let addresses = addresses.iter().map(|address| item(address)).collect();
            sender.send_replace(Some(addresses));
        }
        Some(Publish::Service { namespace, name }) => {
            return follow_service(client.clone(), namespace, name, &sender).await;
        }
    }
    future::pending().await
}

async fn follow_service(
    client: Client,
    namespace: &str,
    name: &str,
    sender: &watch::Sender<Option<Addresses>>,
) -> Infallible {
    let services = Api::<Service>::namespaced(client, namespace);
    let mut failure_log = FailureLog::default();
    loop {
        let events = watcher(services.clone(), single(name)).default_backoff();
        let mut events = pin!(events);
        let mut is_there = false;
        loop {
            match events.try_next().await {
                Ok(Some(event)) => {
                    // The start of a list is not a result yet.
                    if !matches!(event, watcher::Event::Init) {
                        failure_log.resolve(WATCH);
                    }
                    take(event, &mut is_there, sender, (namespace, name));
                }
                // The watch is retried.
                Err(error) => failure_log.failed(WATCH, &error.into()),
                // The stream does not end.
                Ok(None) => break,
            }
        }
    }
}

fn take(
    event: watcher::Event<Service>,
    is_there: &mut bool,
    sender: &watch::Sender<Option<Addresses>>,
    (namespace, name): (&str, &str),
) {
    match event {
        watcher::Event::Init => *is_there = false,
        watcher::Event::InitApply(service) | watcher::Event::Apply(service) => {
            *is_there = true;
            let addresses = of_service(&service);
            let number = addresses.len();
            let is_new = sender.send_if_modified(|now| {
                let is_new = now.as_ref() != Some(&addresses);
                *now = Some(addresses);
                is_new
            });
            if is_new {
                info!(namespace, name, addresses = number, "the published Service has addresses");
            }
        }
        // The Service may be recreated: removing its addresses meanwhile would
        // also remove DNS records.
        watcher::Event::Delete(_) => warn!(
            namespace,
            name, "the published Service was deleted; the status of Ingresses is kept"
        ),
        watcher::Event::InitDone if !*is_there => warn!(
            namespace,
            name, "the Service to publish does not exist; the status of Ingresses is kept"
        ),
        watcher::Event::InitDone => {}
    }
}

/// The addresses of `service`, with only the fields that an Ingress has in every
/// API version: a server drops unknown fields (`ipMode`, formerly `ports`), and
/// the status would always differ.
fn of_service(service: &Service) -> Addresses {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    let items = ingress.iter().filter_map(|ingress| {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        match (text(&ingress.ip), text(&ingress.hostname)) {
            (None, None) => None,
            (Some(ip), None) => Some(json!({ "ip": ip })),
            (None, Some(hostname)) => Some(json!({ "hostname": hostname })),
            (Some(ip), Some(hostname)) => Some(json!({ "hostname": hostname, "ip": ip })),
        }
    });
    let items: Addresses = items.collect();
    if !items.is_empty() {
        return items;
    }
    let spec = service.spec.as_ref();
    let external = spec.and_then(|spec| spec.external_ips.as_deref()).unwrap_or_default();
    external.iter().map(|ip| json!({ "ip": ip })).collect()
}

fn item(address: &str) -> Value {
    match address.parse::<IpAddr>() {
        Ok(ip) => json!({ "ip": ip.to_string() }),
        Err(_) => json!({ "hostname": address }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(status: &Value, external: &Value) -> Addresses {
        let service = json!({ "spec": { "externalIPs": external }, "status": status });
        of_service(&serde_json::from_value(service).unwrap())
    }

    #[test]
    fn a_balancer_comes_before_external_addresses() {
        let balancer = json!({ "loadBalancer": { "ingress": [
            { "ip": "1.1.1.1", "ipMode": "VIP", "ports": [{ "port": 80, "protocol": "TCP" }] },
            { "hostname": "lb.example.com", "ip": "" },
            { "ports": [] },
        ] } });
        let external = json!(["2.2.2.2", "2001:db8::1"]);
        assert_eq!(
            service(&balancer, &external),
            [json!({ "ip": "1.1.1.1" }), json!({ "hostname": "lb.example.com" })]
        );
        for none in [json!({}), json!({ "loadBalancer": {} })] {
            assert_eq!(
                service(&none, &external),
                [json!({ "ip": "2.2.2.2" }), json!({ "ip": "2001:db8::1" })]
            );
        }
        assert!(service(&json!({}), &json!(null)).is_empty());
    }

    #[test]
    fn an_address_is_an_ip_or_a_name() {
        assert_eq!(item("10.0.0.1"), json!({ "ip": "10.0.0.1" }));
        assert_eq!(item("2001:DB8::1"), json!({ "ip": "2001:db8::1" }));
        assert_eq!(item("lb.example.com"), json!({ "hostname": "lb.example.com" }));
    }
}
