//! Transitions of a [`FakeEnvoy`] between gateways, also if the process is killed at any
//! step.

mod fake_envoy;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use ingress_filter::RouteTable;
use ingress_filter::table::{Action, Backend, Forward, TlsHost};
use proptest::prelude::*;
use proptest::sample::subsequence;
use tokio::runtime::Builder;

use super::*;
use crate::certificates::{self, Certificate, KeyPair};
use crate::envoy::{Admin, Resource, Resources};
use crate::model::{
    Cluster, Clusters, Discovery, EndpointSelector, Https, Protocol, Roots, UpstreamSecrets,
    UpstreamTls, Verification,
};
use crate::object_ref::ObjectRef;
use crate::xds::{Position, Versions};
use fake_envoy::FakeEnvoy;

/// A gateway with few names, so that targets have much in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Spec {
    /// The definition and the endpoints of each cluster.
    clusters: BTreeMap<String, (u8, u8)>,
    /// The name of the certificate of each host.
    hosts: BTreeMap<String, String>,
    /// By name, which certificate it is.
    certificates: BTreeMap<String, usize>,
}

impl Spec {
    fn of(clusters: &[&str], hosts: &[(&str, &str)]) -> Self {
        let owned = |(host, name): &(&str, &str)| ((*host).to_owned(), (*name).to_owned());
        Self {
            clusters: clusters.iter().map(|name| ((*name).to_owned(), (0, 0))).collect(),
            hosts: hosts.iter().map(owned).collect(),
            certificates: hosts.iter().map(|(_, name)| ((*name).to_owned(), 0)).collect(),
        }
    }

    fn gateway(&self) -> Gateway {
        let clusters: Clusters = self
            .clusters
            .iter()
            .map(|(name, variants)| (name.clone(), Arc::new(cluster(name, *variants))))
            .collect();
        let mut groups: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for (host, name) in &self.hosts {
            groups.entry(name).or_default().push(host.clone());
        }
        let group = |(certificate, hosts): (&String, _)| TlsHost {
            hosts,
            certificate: certificate.clone(),
        };
        let table = RouteTable {
            backends: clusters.keys().map(|name| backend(name)).collect(),
            tls_hosts: groups.into_iter().map(group).collect(),
            ..RouteTable::empty()
        };
        let certificate =
            |(name, index): (&String, &usize)| (name.clone(), Arc::clone(&CERTIFICATES[*index]));
        let certificates: BTreeMap<_, _> = self.certificates.iter().map(certificate).collect();
        let https = (!certificates.is_empty()).then(|| Https {
            certificates,
            hosts: self.hosts.clone(),
            alternatives: BTreeMap::new(),
        });
        Gateway {
            table: Arc::new(table.into()),
            clusters: Arc::new(clusters),
            https,
            upstream_secrets: self.upstream_secrets(),
        }
    }

    /// The authorities of clusters with TLS, which change with the number of clusters.
    fn upstream_secrets(&self) -> UpstreamSecrets {
        let with_tls = self.clusters.values().filter(|(definition, _)| *definition == TLS);
        let content = self.clusters.len() % 2;
        let authorities = with_tls.map(|(_, endpoints)| {
            let pem = CERTIFICATES[content].pair.chain.as_bytes();
            let checked = certificates::read_authorities(pem, SystemTime::now());
            (authorities_name(*endpoints), checked.certificate.expect("authorities"))
        });
        UpstreamSecrets { authorities: authorities.collect(), ..UpstreamSecrets::default() }
    }
}

/// The definition of clusters with TLS.
const TLS: u8 = 3;

fn authorities_name(endpoints: u8) -> String {
    format!("upstream-ca:d/s{endpoints}")
}

fn cluster(name: &str, (definition, endpoints): (u8, u8)) -> Cluster {
    let address = SocketAddr::from(([10, 0, 0, endpoints], 80));
    Cluster {
        has_sessions: false,
        balance: crate::model::Balance::Load(crate::settings::LoadBalancing::RoundRobin),
        name: name.to_owned(),
        protocol: if definition == 1 { Protocol::Http2 } else { Protocol::Http1 },
        tls: (definition == TLS).then(|| UpstreamTls {
            server_name: "a.example".into(),
            verification: Some(Verification {
                roots: Roots::Secret(authorities_name(endpoints)),
                names: vec!["a.example".into()],
            }),
            client: None,
        }),
        discovery: match definition {
            2 => Discovery::Dns(format!("{name}.example"), 80),
            _ => Discovery::Addresses(BTreeSet::from([address])),
        },
        service: ObjectRef { kind: "Service".into(), namespace: "d".into(), name: name.into() },
        selector: EndpointSelector { port: String::new(), labels: BTreeMap::new() },
    }
}

fn backend(cluster: &str) -> Backend {
    let forward = Forward::to(cluster.to_owned());
    let default = Action::Forward(Box::new(forward));
    Backend { name: cluster.to_owned(), ports: Vec::new(), rules: Vec::new(), default }
}

static CERTIFICATES: LazyLock<[Arc<Certificate>; 2]> = LazyLock::new(|| {
    [0, 1].map(|_| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_after = (SystemTime::now() + Duration::from_hours(1)).into();
        let chain = params.self_signed(&key).unwrap().pem();
        let checked =
            certificates::read(chain.as_bytes(), key.serialize_pem().as_bytes(), SystemTime::now());
        checked.certificate.expect("a certificate")
    })
});

/// A certificate for each of these hosts, and the hosts by its name.
pub(crate) fn certificates_of(
    hosts: &[&str],
) -> (BTreeMap<String, Arc<Certificate>>, BTreeMap<String, String>) {
    let named = |(index, host): (usize, &&str)| ((*host).to_owned(), format!("d/s{index}"));
    let hosts: BTreeMap<_, _> = hosts.iter().enumerate().map(named).collect();
    let certificate = |name: &String| (name.clone(), Arc::clone(&CERTIFICATES[0]));
    (hosts.values().map(certificate).collect(), hosts)
}

/// A certificate with another chain.
pub(crate) fn with_chain(certificate: &Certificate, chain: &str) -> Arc<Certificate> {
    let key = certificate.pair.key.clone();
    let pair = Arc::new(KeyPair::new(chain.to_owned(), key));
    let mut certificate = certificate.clone();
    certificate.pair = pair;
    Arc::new(certificate)
}

/// A process, with its Envoy.
struct Process {
    transitions: Transitions<FakeEnvoy>,
    renderer: Renderer,
}

impl Process {
    fn new(envoy: FakeEnvoy) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let listening =
            Listening { http: address, https: address, admin: Admin::Socket, probe: None };
        let layout = Layout::new(Path::new("/etc/ingress"));
        Self {
            transitions: Transitions::new(envoy, None),
            renderer: Renderer::new(Settings::default(), listening, layout),
        }
    }

    fn apply(&mut self, spec: &Spec) -> Result<Applied, RolloutError> {
        let target = Arc::new(self.renderer.render(&spec.gateway()).unwrap());
        let envoy = &mut self.transitions.envoy;
        {
            // The possible intermediate tables.
            for hosts in subsets(target.tls_hosts()) {
                let filter = target.filter_with(hosts.clone()).unwrap();
                envoy.bridges.insert(filter.version, hosts);
            }
        }
        envoy.targets.push(Arc::clone(&target));
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.transitions.apply(&target))
    }

    fn envoy(&self) -> &FakeEnvoy {
        &self.transitions.envoy
    }

    /// The process ends, and another one starts, which only knows what Envoy has.
    fn restart(self) -> Self {
        let envoy = self.transitions.envoy;
        let told = Resources::default();
        Self::new(FakeEnvoy { told, life: None, withdrawn: BTreeSet::new(), ..envoy })
    }

    #[track_caller]
    fn assert_holds(&self, spec: &Spec) {
        let target = Process::new(FakeEnvoy::default()).renderer.render(&spec.gateway()).unwrap();
        let envoy = self.envoy();
        let refused: BTreeSet<_> = envoy.refused.keys().cloned().collect();
        let wanted: Vec<_> = target
            .resources
            .iter()
            .map(|(kind, name, resource)| (Key::new(kind, Arc::clone(name)), &resource.version))
            .filter(|(key, _)| !refused.contains(key))
            .collect();
        let held: Vec<_> = envoy
            .held
            .iter()
            .map(|(kind, name, resource)| (Key::new(kind, Arc::clone(name)), &resource.version))
            .collect();
        assert_eq!(held, wanted);
    }
}

/// All subsets of some hosts.
fn subsets(hosts: &[TlsHost]) -> Vec<Vec<TlsHost>> {
    let pairs: Vec<_> = hosts
        .iter()
        .flat_map(|group| group.hosts.iter().map(|host| (&group.certificate, host)))
        .collect();
    let subset = |bits: usize| {
        let mut groups: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for (index, (certificate, host)) in pairs.iter().enumerate() {
            if bits >> index & 1 == 1 {
                groups.entry(certificate).or_default().push((*host).clone());
            }
        }
        groups
            .into_iter()
            .map(|(name, hosts)| TlsHost { hosts, certificate: name.clone() })
            .collect()
    };
    (0..1 << pairs.len()).map(subset).collect()
}

#[test]
fn what_is_the_same_is_not_told() {
    let mut process = Process::new(FakeEnvoy::default());
    let spec = Spec::of(&["a", "b"], &[("x.example", "one")]);
    assert_eq!(process.apply(&spec).unwrap().change, Change::RouteTable);
    process.assert_holds(&spec);
    let taken = process.envoy().taken;
    assert_eq!(process.apply(&spec).unwrap().change, Change::Nothing);
    assert_eq!(process.envoy().taken, taken);
}

#[test]
fn a_change_costs_what_it_changes() {
    let mut process = Process::new(FakeEnvoy::default());
    let mut spec = Spec::of(&["a", "b", "c"], &[("x.example", "one")]);
    process.apply(&spec).unwrap();
    let changed = |process: &mut Process, spec: &Spec| {
        let before = process.envoy().taken;
        let change = process.apply(spec).unwrap().change;
        process.assert_holds(spec);
        (change, process.envoy().taken - before)
    };
    spec.clusters.insert("a".into(), (0, 1));
    assert_eq!(changed(&mut process, &spec), (Change::Upstreams, 1), "endpoints");
    spec.certificates.insert("one".into(), 1);
    assert_eq!(changed(&mut process, &spec), (Change::Certificates, 1), "a certificate");
    spec.clusters.insert("d".into(), (0, 0));
    assert_eq!(changed(&mut process, &spec), (Change::RouteTable, 3), "a cluster and a route");
    spec.clusters.remove("d");
    assert_eq!(changed(&mut process, &spec).0, Change::RouteTable, "and back");
}

#[test]
fn a_cluster_that_is_refused_is_left_out_and_the_others_go_on() {
    let refuses: fn(&Key) -> bool = |key| &*key.name == "bad";
    let mut process = Process::new(FakeEnvoy { refuses: Some(refuses), ..FakeEnvoy::default() });
    let left_out = |applied: &Applied| {
        applied.refused.iter().map(|(key, _)| key.name.to_string()).collect::<Vec<_>>()
    };
    let mut spec = Spec::of(&["a", "bad"], &[]);
    assert_eq!(left_out(&process.apply(&spec).unwrap()), ["bad"]);
    process.envoy().check();
    spec.clusters.insert("b".into(), (0, 0));
    let applied = process.apply(&spec).unwrap();
    assert_eq!((applied.change, left_out(&applied)), (Change::RouteTable, vec!["bad".to_owned()]));
    assert!(process.envoy().held.get(Kind::Clusters, "b").is_some(), "a neighbour's change");

    let taken = process.envoy().taken;
    process.apply(&spec).unwrap();
    assert_eq!(process.envoy().taken, taken, "as it is, it is not told again");
    process.transitions.envoy.retry();
    assert_eq!(left_out(&process.apply(&spec).unwrap()), ["bad"], "but now and then");
    process.transitions.envoy.refuses = None;
    spec.clusters.insert("bad".into(), (1, 0));
    assert_eq!(left_out(&process.apply(&spec).unwrap()), [""; 0], "mended");
    process.assert_holds(&spec);
}

#[test]
fn a_name_that_is_not_resolved_holds_up_nobody() {
    let envoy = FakeEnvoy { resolves_nothing: true, ..FakeEnvoy::default() };
    let mut process = Process::new(envoy);
    let mut spec = Spec::of(&["a", "b"], &[]);
    spec.clusters.insert("named".into(), (2, 0));
    assert_eq!(process.apply(&spec).unwrap().change, Change::RouteTable);
    process.assert_holds(&spec);
}

#[test]
fn a_certificate_that_is_refused_is_left_out_and_the_others_go_on() {
    let refuses: fn(&Key) -> bool = |key| &*key.name == "bad";
    let mut process = Process::new(FakeEnvoy { refuses: Some(refuses), ..FakeEnvoy::default() });
    let spec = Spec::of(&["a"], &[("x.example", "one"), ("y.example", "bad")]);
    let applied = process.apply(&spec).unwrap();
    assert_eq!(&*applied.refused[0].0.name, "bad");
    let more =
        Spec::of(&["a", "b"], &[("x.example", "one"), ("y.example", "bad"), ("z.example", "one")]);
    assert_eq!(process.apply(&more).unwrap().refused.len(), 1);
    assert!(process.envoy().held.get(Kind::Secrets, "one").is_some());
}

#[test]
fn a_cluster_has_its_authorities_before_a_table_names_it() {
    for seed in 0..20 {
        let mut process = Process::new(FakeEnvoy { seed, ..FakeEnvoy::default() });
        let mut spec = Spec::of(&["a"], &[("x.example", "one")]);
        process.apply(&spec).unwrap();
        spec.clusters.insert("secure".into(), (TLS, 0));
        let target = process.renderer.render(&spec.gateway()).unwrap();
        let (held, told) = (&process.envoy().held, &process.envoy().told);
        let (held, told) = (FakeEnvoy::versions(held), FakeEnvoy::versions(told));
        let at = Position { held, told, ..Position::default() };
        let secret = Key::new(Kind::Secrets, authorities_name(0));
        let need = (Key::new(Kind::Clusters, "secure"), secret);
        assert!(plan(&at, |_| None, &target)[0].needs.contains(&need), "they are awaited");
        process.apply(&spec).unwrap();
        process.assert_holds(&spec);
        // Other authorities are one resource, and change no cluster.
        spec.clusters.insert("b".into(), (0, 0));
        let told = process.envoy().taken;
        assert_eq!(process.apply(&spec).unwrap().change, Change::RouteTable);
        // The new cluster, its endpoints, the authorities and the table.
        assert_eq!(process.envoy().taken, told + 4);
        process.assert_holds(&spec);
    }
}

#[test]
fn authorities_that_are_refused_hold_up_nobody() {
    let refuses: fn(&Key) -> bool = |key| key.name.starts_with("upstream-ca:");
    let mut process = Process::new(FakeEnvoy { refuses: Some(refuses), ..FakeEnvoy::default() });
    let mut spec = Spec::of(&["a"], &[("x.example", "one")]);
    spec.clusters.insert("secure".into(), (TLS, 0));
    let applied = process.apply(&spec).unwrap();
    assert_eq!(&*applied.refused[0].0.name, "upstream-ca:d/s0");
    assert!(process.envoy().held.get(Kind::Clusters, "a").is_some());
    // Of a cluster that is rejected itself, they are not awaited.
    let refuses: fn(&Key) -> bool = |key| &*key.name == "secure";
    let mut process = Process::new(FakeEnvoy { refuses: Some(refuses), ..FakeEnvoy::default() });
    let applied = process.apply(&spec).unwrap();
    assert_eq!(&*applied.refused[0].0.name, "secure");
}

#[test]
fn what_is_refused_as_a_whole_is_rolled_back() {
    for refused in [Kind::Filter, Kind::Listeners, Kind::Routes] {
        let mut process = Process::new(FakeEnvoy::default());
        let spec = Spec::of(&["a"], &[("x.example", "one"), ("y.example", "one")]);
        process.apply(&spec).unwrap();
        process.transitions.envoy.refuses = Some(match refused {
            Kind::Filter => |key| key.kind == Kind::Filter,
            Kind::Listeners => |key| key.kind == Kind::Listeners,
            _ => |key| key.kind == Kind::Routes,
        });
        let next = Spec::of(&["b"], &[("x.example", "two"), ("y.example", "one")]);
        match process.apply(&next) {
            Err(RolloutError::Refused(key, _)) => assert_eq!(key.kind, refused),
            // The routes are the same for every table without mirrors.
            result => assert!(refused == Kind::Routes && result.is_ok(), "{result:?}"),
        }
        process.transitions.envoy.refuses = None;
        if refused != Kind::Routes {
            process.assert_holds(&spec);
            assert_eq!(
                FakeEnvoy::versions(&process.envoy().told),
                FakeEnvoy::versions(&process.envoy().held),
                "also for one that starts"
            );
        }
        process.transitions.envoy.retry();
        process.apply(&next).unwrap();
        process.assert_holds(&next);
    }
}

fn specs() -> impl Strategy<Value = Spec> {
    let names = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let clusters = subsequence(names(&["a", "b", "c"]), 0..=3).prop_flat_map(|names| {
        let variants = proptest::collection::vec((0..=TLS, 0..2_u8), names.len());
        variants.prop_map(move |variants| names.iter().cloned().zip(variants).collect())
    });
    let hosts = subsequence(names(&["x.example", "y.example", "z.example"]), 0..=3).prop_flat_map(
        |hosts| {
            let certificates = proptest::collection::vec(0..3_usize, hosts.len());
            certificates.prop_map(move |indexes| {
                let name = |index: usize| ["one", "two", "three"][index].to_owned();
                hosts.iter().cloned().zip(indexes.into_iter().map(name)).collect()
            })
        },
    );
    (clusters, hosts, proptest::collection::vec(0..2_usize, 3)).prop_map(
        |(clusters, hosts, contents): (_, BTreeMap<String, String>, _)| {
            let names = ["one", "two", "three"].into_iter().zip(contents);
            let is_used = |name: &str| hosts.values().any(|used| used == name);
            let certificates = names
                .filter(|(name, _)| is_used(name))
                .map(|(name, content)| (name.to_owned(), content))
                .collect();
            Spec { clusters, hosts, certificates }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// From any target to any other, killed after each resource that Envoy takes
    /// in, with another process that goes on to a third: nothing that must never
    /// be is, and the third is reached.
    #[test]
    fn a_process_may_be_killed_at_every_step(
        first in specs(), second in specs(), third in specs(), seed in any::<u64>(),
    ) {
        for life in 0.. {
            let mut process = Process::new(FakeEnvoy { seed, ..FakeEnvoy::default() });
            process.apply(&first).unwrap();
            process.assert_holds(&first);
            process.transitions.envoy.life = Some(process.envoy().taken + life);
            let result = process.apply(&second);
            let mut process = process.restart();
            process.apply(&third).unwrap();
            process.assert_holds(&third);
            if result.is_ok() {
                break;
            }
        }
    }

    /// As one process that tries again.
    #[test]
    fn an_attempt_may_end_at_every_step(
        first in specs(), second in specs(), third in specs(), seed in any::<u64>(),
    ) {
        for life in 0.. {
            let mut process = Process::new(FakeEnvoy { seed, ..FakeEnvoy::default() });
            process.apply(&first).unwrap();
            process.transitions.envoy.life = Some(process.envoy().taken + life);
            let result = process.apply(&second);
            process.transitions.envoy.life = None;
            process.apply(&third).unwrap();
            process.assert_holds(&third);
            if result.is_ok() {
                break;
            }
        }
    }
}
