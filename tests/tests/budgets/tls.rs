//! The cost of TLS: a host call for a host that has a certificate, one for a route
//! that is not served without TLS, and none for any other.

use ingress_filter::RouteTable;
use ingress_filter::table::{Plaintext, TlsHost};

use super::{offline, path, request, table};

/// The module's host calls for a request on this filter chain, and the status of
/// its response, if it sends one.
fn calls_on(table: &RouteTable, chain: &str, path: &str) -> (Vec<String>, Option<u32>) {
    let offline = offline(table);
    let mut exchange = offline.plugin().exchange().unwrap();
    exchange.set_property(&["xds", "filter_chain_name"], chain);
    exchange.request_headers(request(path), true).unwrap();
    let record = exchange.finish().unwrap();
    let calls = record.activity.host_calls.iter().map(ToString::to_string).collect();
    (calls, record.local_reply.map(|reply| reply.status))
}

const PATH: &str = "proxy_get_header_map_value(request_headers, :path) = 0";
const AUTHORITY: &str = "proxy_get_header_map_value(request_headers, :authority) = 0";
const CLUSTER: &str = "proxy_replace_header_map_value(request_headers, x-ingress-cluster) = 0";
const PROTO: &str = "proxy_get_header_map_value(request_headers, x-forwarded-proto) = 0";
/// The calls of every response of the filter: it rejects TRACE and upgrades.
const ANSWER: [&str; 3] = [
    "proxy_get_header_map_value(request_headers, :method) = 0",
    "proxy_get_header_map_value(request_headers, upgrade) = 1",
    "proxy_send_local_response() = 0",
];

/// A table in which `host` has a certificate.
fn with_certificate(host: &str) -> RouteTable {
    let tls_host = TlsHost { hosts: vec![host.into()], certificate: "ns/shop".into() };
    RouteTable { tls_hosts: vec![tls_host], ..table(100) }
}

#[test]
fn a_host_with_a_certificate_costs_one_more() {
    let table = with_certificate("shop.example.com");
    let (calls, status) = calls_on(&table, "ns/shop", &path(1));
    assert_eq!((calls.len(), status), (4, None));
    assert_eq!((&*calls[0], &*calls[1], &*calls[3]), (PATH, AUTHORITY, CLUSTER));
    assert!(calls[2].starts_with("proxy_get_property(xds"), "{}", calls[2]);

    let (calls, status) = calls_on(&table, "ns/other", &path(1));
    assert_eq!((calls.len(), status), (6, Some(421)));
    assert_eq!(calls[3..], ANSWER);

    // The client may have sent no server name (SNI).
    let (calls, status) = calls_on(&table, "default", &path(1));
    assert_eq!((calls.len(), status), (5, None));
    assert!(calls[3].starts_with("proxy_get_property(connection"), "{}", calls[3]);
}

#[test]
fn a_host_without_a_certificate_costs_nothing_more() {
    let table = with_certificate("other.example.com");
    let (calls, status) = calls_on(&table, "default", &path(1));
    assert_eq!((calls, status), ([PATH, AUTHORITY, CLUSTER].map(str::to_owned).into(), None));
}

#[test]
fn a_route_that_is_not_served_without_tls_costs_one_more() {
    let mut table = table(100);
    for (plaintext, status) in [(Plaintext::Redirect, 308), (Plaintext::Refuse, 404)] {
        table.virtual_hosts[0].routes[1].plaintext = Some(plaintext);
        let (calls, answered) = calls_on(&table, "", &path(1));
        assert_eq!(calls, [&[PATH, AUTHORITY, PROTO][..], &ANSWER].concat());
        assert_eq!(answered, Some(status));
    }
    // The cost of a neighbouring host does not change.
    let (calls, _) = calls_on(&table, "", &path(2));
    assert_eq!(calls, [PATH, AUTHORITY, CLUSTER]);

    let offline = offline(&table);
    let mut headers = request("/tenant-0000/service-01").to_vec();
    headers[7] = ("x-forwarded-proto", b"https");
    let record = offline.request(&headers);
    let calls: Vec<_> = record.activity.host_calls.iter().map(ToString::to_string).collect();
    assert_eq!(calls, [PATH, AUTHORITY, PROTO, CLUSTER]);
}

#[test]
fn a_request_costs_the_same_however_many_hosts_have_a_certificate() {
    let fuel_at = [10, 100_000].map(|hosts| {
        let tls_host = |index: usize| TlsHost {
            hosts: vec![format!("tenant-{index:06}.example.com")],
            certificate: format!("ns/tenant-{index:06}"),
        };
        let mut table = with_certificate("shop.example.com");
        table.tls_hosts.extend((0..hosts).map(tls_host));
        let offline = offline(&table);
        let mut exchange = offline.plugin().exchange().unwrap();
        exchange.set_property(&["xds", "filter_chain_name"], "ns/shop");
        exchange.request_headers(request(&path(1)), true).unwrap();
        let fuel = exchange.finish().unwrap().activity.fuel_used();
        println!("{hosts:>7} hosts with a certificate: {fuel} instructions a request");
        fuel
    });
    assert!(fuel_at[1] * 100 <= fuel_at[0] * 110, "{fuel_at:?}");
}
