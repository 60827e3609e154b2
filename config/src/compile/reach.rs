//! The addresses that endpoints may have.
//!
//! Anyone who may write Endpoints or an `EndpointSlice`, or who controls a DNS name,
//! determines where Envoy connects to. In a cluster, this must not be an address that
//! only Envoy's own pod or node can reach.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv6Net};

use crate::settings::Settings;

/// The addresses of DNS names, or the reason why there are none.
pub(crate) type Resolved = BTreeMap<String, Result<BTreeSet<IpAddr>, String>>;

/// The place where Envoy runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Where<'c> {
    /// On the machine of the author of the manifests, who may reach all its addresses.
    OwnMachine,
    /// The same, with notes on what a cluster would reject.
    OwnMachineForNow,
    /// In a cluster, with these addresses of DNS names. Envoy does not resolve names
    /// itself, because a name server could return any address.
    Cluster(&'c Resolved),
    /// In a cluster that is read from outside, so its name servers are not queried.
    ClusterFromOutside,
}

/// The addresses that endpoints may have.
#[derive(Clone, Copy)]
pub(crate) struct Reach<'c> {
    pub(super) place: Where<'c>,
    denied: &'c [IpNet],
}

/// The metadata and credential endpoints of clouds that are not link-local addresses:
/// AWS, Google Cloud, Alibaba Cloud, Azure, Oracle Cloud.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// IPv6 networks whose last four bytes are an IPv4 address: mapped and compatible
/// addresses (RFC 4291 section 2.5.5), and NAT64 (RFC 6052).
const OF_IPV4: [Ipv6Net; 3] = [
    Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96),
    Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
];

impl<'c> Reach<'c> {
    pub(crate) fn new(settings: &'c Settings, place: Where<'c>) -> Self {
        Self { place, denied: &settings.denied_endpoints }
    }

    /// The reason why endpoints may not have this address, if there is one.
    pub(super) fn denies(&self, address: IpAddr) -> Option<String> {
        let network = self.denied.iter().find(|network| network.contains(&address));
        let by_setting = network
            .map(|network| format!("is in {network}, which the setting deniedEndpoints denies"));
        let is_in_cluster = matches!(self.place, Where::Cluster(_) | Where::ClusterFromOutside);
        by_setting.or_else(|| {
            let kind = local(address).filter(|_| is_in_cluster)?;
            Some(format!("is {kind}, which only the gateway's own pod or node could reach"))
        })
    }

    /// The reason why a cluster would reject this address, if that is only reported here.
    pub(super) fn would_deny(&self, address: IpAddr) -> Option<&'static str> {
        local(address).filter(|_| matches!(self.place, Where::OwnMachineForNow))
    }

    /// The allowed addresses of a DNS name.
    pub(super) fn resolved(&self, name: &str, port: u16) -> BTreeSet<SocketAddr> {
        match self.place {
            Where::Cluster(resolved) => match resolved.get(name) {
                Some(Ok(addresses)) => self.allowed(addresses, port),
                Some(Err(_)) | None => BTreeSet::new(),
            },
            _ => BTreeSet::new(),
        }
    }

    /// The allowed addresses at a port.
    fn allowed(&self, addresses: &BTreeSet<IpAddr>, port: u16) -> BTreeSet<SocketAddr> {
        let allowed = addresses.iter().filter(|address| self.denies(**address).is_none());
        allowed.map(|address| SocketAddr::new(*address, port)).collect()
    }
}

/// The kind of an address that does not belong to a host in a network.
fn local(address: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&address) {
        return Some("the address of a cloud's metadata service");
    }
    match address {
        IpAddr::V4(address) => local_v4(address),
        IpAddr::V6(address) => local_v6(address),
    }
}

fn local_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address {
        // All of 0.0.0.0/8 is this host (RFC 1122 section 3.2.1.3).
        _ if address.octets()[0] == 0 => Some("an unspecified address"),
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_link_local() => Some("a link-local address"),
        _ if address.is_multicast() || address.is_broadcast() => Some("a multicast address"),
        _ => None,
    }
}

fn local_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("an unspecified address"),
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_unicast_link_local() => Some("a link-local address"),
        _ if address.is_multicast() => Some("a multicast address"),
        _ if OF_IPV4.iter().any(|network| network.contains(&address)) => {
            let [.., a, b, c, d] = address.octets();
            local(Ipv4Addr::new(a, b, c, d).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Caches, Circumstances, Moved, Refused, compile_objects, with_endpoints};
    use crate::finding::Findings;
    use crate::manifest::read_text;
    use crate::model::Discovery;

    fn is_denied(address: &str, denied: &[&str]) -> bool {
        let settings = Settings {
            denied_endpoints: denied.iter().map(|network| network.parse().unwrap()).collect(),
            ..Settings::default()
        };
        let resolved = Resolved::new();
        let reach = Reach::new(&settings, Where::Cluster(&resolved));
        reach.denies(address.parse().unwrap()).is_some()
    }

    const MANIFESTS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - http:
      paths:
      - {path: /a, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /b, pathType: Prefix, backend: {service: {name: outside, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: outside.example, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-a, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}, {addresses: [10.1.0.1]}, {addresses: [0.0.0.0]}]
ports: [{name: http, port: 15000}]
";

    /// The addresses of both services, and the findings.
    fn compile_at(place: Where<'_>) -> (Vec<String>, Vec<String>, Vec<String>) {
        let manifests = read_text("f", MANIFESTS);
        let settings = Settings { external_name_services: true, ..Settings::default() };
        let (refused, caches) = (Refused::default(), Caches::default());
        let circumstances =
            Circumstances { place, ..Circumstances::of_manifests(&settings, &refused, &caches) };
        let compiled = compile_objects(manifests.objects(), Findings::new(), &circumstances);
        let addresses = |name: &str| {
            let cluster =
                &compiled.gateway.clusters[&format!("{name}.default.svc.cluster.local|80")];
            match &cluster.discovery {
                Discovery::Addresses(addresses) | Discovery::Resolved { addresses, .. } => {
                    addresses.iter().map(ToString::to_string).collect()
                }
                Discovery::Dns(name, port) => vec![format!("{name}:{port}")],
            }
        };
        let findings = compiled.findings.iter().map(ToString::to_string).collect();
        (addresses("web"), addresses("outside"), findings)
    }

    fn outside(answer: Result<&[&str], String>) -> Resolved {
        let answer = answer.map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect());
        Resolved::from([("outside.example".to_owned(), answer)])
    }

    #[test]
    fn a_name_with_other_addresses_is_compiled_alone_unless_that_says_more() {
        let settings = Settings { external_name_services: true, ..Settings::default() };
        let manifests = read_text("f", MANIFESTS);
        let (refused, caches) = (Refused::default(), Caches::default());
        let compile = |resolved: &Resolved| {
            let place = Where::Cluster(resolved);
            let circumstances = Circumstances {
                place,
                ..Circumstances::of_manifests(&settings, &refused, &caches)
            };
            compile_objects(manifests.objects(), Findings::new(), &circumstances)
        };
        let moved = Moved { dns_names: ["outside.example".to_owned()].into(), ..Moved::default() };
        let before = compile(&outside(Ok(&["203.0.113.5"])));
        let move_to = |resolved: &Resolved| {
            let circumstances = (&settings, Where::Cluster(resolved));
            let objects: Vec<_> = manifests.objects().collect();
            with_endpoints(&before, &moved, circumstances, objects)
        };
        let after = outside(Ok(&["203.0.113.6", "203.0.113.7", "127.0.0.1"]));
        let moved_there = move_to(&after).expect("nothing but addresses");
        assert_eq!(moved_there.clusters, compile(&after).gateway.clusters);
        assert_ne!(moved_there.clusters, before.gateway.clusters);
        for more in [outside(Ok(&["127.0.0.1"])), outside(Err("gone".into())), Resolved::new()] {
            assert!(move_to(&more).is_none(), "there is something to say: {more:?}");
        }
    }

    #[test]
    fn a_cluster_denies_addresses_and_says_so() {
        let good = outside(Ok(&["203.0.113.5", "127.0.0.1"]));
        let (web, by_name, findings) = compile_at(Where::Cluster(&good));
        assert_eq!((web, by_name), (vec!["10.1.0.1:15000".into()], vec!["203.0.113.5:80".into()]));
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(
            finding,
            "f:26:12: error: EndpointSlice default/web-a: endpoints: 0.0.0.0 is an unspecified \
             address, which only the gateway's own pod or node could reach; this endpoint is left \
             out, and 1 more. Use the address of a pod, or of another host [endpoint-denied]"
        );

        let bad = outside(Ok(&["169.254.169.254"]));
        let (_, by_name, findings) = compile_at(Where::Cluster(&bad));
        assert!(by_name.is_empty());
        let expected = "the DNS name `outside.example` resolves to 169.254.169.254, which is a \
                        link-local address";
        assert!(findings[0].contains(expected), "{findings:?}");

        let unknown = Resolved::new();
        let (_, by_name, findings) = compile_at(Where::Cluster(&unknown));
        assert!(by_name.is_empty() && findings.len() == 1, "{findings:?}");
        let failed = outside(Err("no such host".to_owned()));
        let (_, _, findings) = compile_at(Where::Cluster(&failed));
        assert!(findings[0].contains("cannot be resolved: no such host"), "{findings:?}");
    }

    #[test]
    fn ones_own_machine_takes_them_and_check_tells_of_the_cluster() {
        for (place, number) in [(Where::OwnMachine, 0), (Where::OwnMachineForNow, 1)] {
            let (web, outside, findings) = compile_at(place);
            assert_eq!((web.len(), outside), (3, vec!["outside.example:80".into()]));
            assert_eq!(findings.len(), number, "{findings:?}");
            assert!(findings.iter().all(|it| it.contains("note: EndpointSlice default/web-a")));
        }
    }

    #[test]
    fn no_endpoint_is_what_only_the_gateway_could_reach() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "169.254.20.10",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:100.100.100.200",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(is_denied(address, &[]), "{address}");
        }
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "100.100.100.201",
            "172.17.0.2",
            "1.1.1.1",
            "fd00::1",
            "fec0::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(!is_denied(address, &[]), "{address}");
        }
    }

    #[test]
    fn the_settings_deny_more() {
        let denied = ["10.96.0.1/32", "fd00:1::/64"];
        assert!(is_denied("10.96.0.1", &denied) && is_denied("fd00:1::5", &denied));
        assert!(!is_denied("10.96.0.2", &denied) && !is_denied("fd00:2::5", &denied));
        assert!(is_denied("127.0.0.1", &denied));
    }

    #[test]
    fn on_ones_own_machine_only_the_settings_deny() {
        let settings = Settings {
            denied_endpoints: vec!["10.0.0.0/8".parse().unwrap()],
            ..Settings::default()
        };
        for place in [Where::OwnMachine, Where::OwnMachineForNow] {
            let reach = Reach::new(&settings, place);
            assert_eq!(reach.denies("127.0.0.1".parse().unwrap()), None);
            assert!(reach.denies("10.1.2.3".parse().unwrap()).is_some());
        }
    }
}
