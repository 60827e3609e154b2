//! Endpoints and EndpointSlices: the ready addresses of a service, by the name
//! of its port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::{Cursor, Reading};

/// The addresses at each port of a service; the name is empty where the only
/// port has none.
pub(crate) type PortAddresses = BTreeMap<String, BTreeSet<SocketAddr>>;

/// The label by which an `EndpointSlice` says whose addresses it holds.
pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";

const NO_IP: &str = "give the address of the endpoint, which is left out";

/// Adds what an Endpoints object says.
pub(crate) fn read_endpoints(reading: &Reading<'_>, ports: &mut PortAddresses) {
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
                as_ip(&address.expect_mapping().then(|| address.required("ip", NO_IP))??)
            })
            .collect();
        add(&subset, &addresses, ports);
    }
}

/// Adds what an `EndpointSlice` says.
pub(crate) fn read_slice(reading: &Reading<'_>, ports: &mut PortAddresses) {
    let root = reading.root();
    if root.string("addressType") == Some("FQDN") {
        root.error_in(
            "addressType",
            "is FQDN, but an endpoint needs an address; use an ExternalName service",
        );
        return;
    }
    let mut addresses = Vec::new();
    for item in root.list("endpoints") {
        let endpoint = item.cursor();
        if !endpoint.expect_mapping() {
            continue;
        }
        // Absent counts as ready, as Kubernetes says of this field.
        let conditions = endpoint.field("conditions");
        let ready = conditions.as_ref().and_then(|conditions| conditions.boolean("ready"));
        if ready != Some(false) {
            addresses
                .extend(endpoint.list("addresses").iter().filter_map(|item| as_ip(&item.cursor())));
        }
    }
    add(&root, &addresses, ports);
}

fn as_ip(cursor: &Cursor<'_>) -> Option<IpAddr> {
    let address = cursor.as_string()?.parse().ok();
    if address.is_none() {
        cursor.error("is no IP address; this endpoint is left out");
    }
    address
}

/// Adds `addresses` at each of the ports in the field `ports`.
fn add(cursor: &Cursor<'_>, addresses: &[IpAddr], all: &mut PortAddresses) {
    for item in cursor.list("ports") {
        let port = item.cursor();
        if !port.expect_mapping() {
            continue;
        }
        let name = port.string("name").unwrap_or_default().to_owned();
        let number = port.required("port", "give the number at which the addresses listen");
        if let Some(number) = number.and_then(|number| number.as_port()) {
            let endpoints = addresses.iter().map(|address| SocketAddr::new(*address, number));
            all.entry(name).or_default().extend(endpoints);
        }
    }
}
