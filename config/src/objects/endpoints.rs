//! Endpoints and EndpointSlices: the addresses of each port of a service, and their pods.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Cursor, Read, Reading};
use crate::finding::Code;
use crate::manifest::Object;

/// The addresses of each port of a service in one object. A single port may have an empty
/// name.
pub(crate) type PortAddresses = BTreeMap<String, Addresses>;

/// The state of each address.
pub(crate) type Addresses = BTreeMap<SocketAddr, Endpoint>;

/// The state of an address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoint {
    /// The name of its pod, if it is known.
    pub(crate) pod: Option<Box<str>>,
    /// `false` if it terminates but still serves (KEP-1669).
    pub(crate) is_ready: bool,
}

/// The label of an `EndpointSlice` with the name of its Service.
pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";

const NO_IP: &str = "give the address of the endpoint, which is left out";

/// Reads an Endpoints object.
pub(crate) fn of_endpoints(object: &Object) -> Arc<Read<PortAddresses>> {
    Read::once(object, read_endpoints)
}

/// Reads an `EndpointSlice`.
pub(crate) fn of_slice(object: &Object) -> Arc<Read<PortAddresses>> {
    Read::once(object, read_slice)
}

/// Reads either kind; `None` for objects of other kinds.
pub(crate) fn endpoints_of(object: &Object) -> Option<Arc<Read<PortAddresses>>> {
    match (object.group(), &*object.kind) {
        ("discovery.k8s.io", "EndpointSlice") => Some(of_slice(object)),
        ("", "Endpoints") => Some(of_endpoints(object)),
        _ => None,
    }
}

fn read_endpoints(reading: &Reading<'_>) -> PortAddresses {
    let mut ports = PortAddresses::new();
    let root = reading.root();
    for item in root.list("subsets") {
        let subset = item.cursor();
        if !subset.expect_mapping() {
            continue;
        }
        let addresses: Vec<_> = subset
            .list("addresses")
            .iter()
            .filter_map(|item| {
                let address = item.cursor();
                let ip = address.expect_mapping().then(|| address.required("ip", NO_IP))??;
                Some((as_ip(&ip)?, Endpoint { pod: pod(&address), is_ready: true }))
            })
            .collect();
        add(&subset, &addresses, &mut ports);
    }
    ports
}

fn read_slice(reading: &Reading<'_>) -> PortAddresses {
    let mut ports = PortAddresses::new();
    let root = reading.root();
    if root.string("addressType") == Some("FQDN") {
        root.report_in(
            "addressType",
            Code::EndpointNotValid,
            "is FQDN, but an endpoint needs an address; use an ExternalName service",
        );
        return ports;
    }
    let mut addresses = Vec::new();
    for item in root.list("endpoints") {
        let endpoint = item.cursor();
        if !endpoint.expect_mapping() {
            continue;
        }
        let conditions = endpoint.field("conditions");
        let condition = |name| conditions.as_ref().and_then(|conditions| conditions.boolean(name));
        // A missing or null `ready` means ready, as in the documentation of Kubernetes.
        let is_ready = condition("ready") != Some(false);
        if is_ready || condition("serving") == Some(true) {
            let known = Endpoint { pod: pod(&endpoint), is_ready };
            let ips = endpoint.list("addresses");
            let ips = ips.iter().filter_map(|item| as_ip(&item.cursor()));
            addresses.extend(ips.map(|ip| (ip, known.clone())));
        }
    }
    add(&root, &addresses, &mut ports);
    ports
}

fn as_ip(cursor: &Cursor<'_>) -> Option<IpAddr> {
    let address = cursor.as_string()?.parse().ok();
    if address.is_none() {
        let message = "is not an IP address; this endpoint is left out";
        cursor.report(Code::EndpointNotValid, message);
    }
    address
}

/// The name of the pod in an endpoint.
fn pod(endpoint: &Cursor<'_>) -> Option<Box<str>> {
    let target = endpoint.node().get("targetRef")?;
    let is_pod = target.get("kind")?.as_str() == Some("Pod");
    target.get("name")?.as_str().filter(|_| is_pod).map(Box::from)
}

/// Adds `addresses` for each port in the field `ports`.
fn add(cursor: &Cursor<'_>, addresses: &[(IpAddr, Endpoint)], all: &mut PortAddresses) {
    for item in cursor.list("ports") {
        let port = item.cursor();
        if !port.expect_mapping() {
            continue;
        }
        let name = port.string("name").unwrap_or_default().to_owned();
        let number = port.required("port", "give the number at which the addresses listen");
        if let Some(number) = number.and_then(|number| number.as_port()) {
            let of_port = all.entry(name).or_default();
            for (address, endpoint) in addresses {
                let known = of_port.entry(SocketAddr::new(*address, number)).or_default();
                known.pod = known.pod.take().or_else(|| endpoint.pod.clone());
                known.is_ready |= endpoint.is_ready;
            }
        }
    }
}
