use std::collections::BTreeSet;

use ingress_filter::table::{Action, PathMatch, Respond, Rule, RuleMatch, VirtualHost};

use super::*;
use crate::envoy::HTTP_LISTENER;
use crate::model::{Https, UpstreamSecrets};
use crate::rollout::tests::certificates_of;

/// A gateway with a path of each of these Ingresses and each of these rules.
fn gateway(ingresses: &[String], rules: &[&str]) -> Gateway {
    let action = || Action::Respond(Respond { status: 200 });
    let route = |name: &String| Route {
        path: PathMatch::Exact(format!("/{name}")),
        backend: "d/web:80".into(),
        port: None,
        source: format!("d/{name}#0.0"),
        count_as: String::new(),
        plaintext: None,
    };
    let rule = |name: &&str| Rule {
        name: format!("d/{name}"),
        matches: RuleMatch::default(),
        action: action(),
    };
    let table = RouteTable {
        backends: vec![Backend {
            name: "d/web:80".into(),
            ports: Vec::new(),
            rules: rules.iter().map(rule).collect(),
            default: action(),
        }],
        virtual_hosts: vec![VirtualHost {
            hosts: vec!["*".into()],
            routes: ingresses.iter().map(route).collect(),
            no_default_backend: false,
        }],
        ..RouteTable::empty()
    };
    Gateway {
        table: Arc::new(table.into()),
        clusters: Arc::default(),
        https: None,
        upstream_secrets: UpstreamSecrets::default(),
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("i{index}")).collect()
}

/// Attempts until the state is stable, with an Envoy that rejects any table with one of
/// these objects. Returns the served Ingresses, and the number of rejected tables.
fn settle(isolation: &mut Isolation, all: &[String], bad: &[&str]) -> (Vec<String>, usize) {
    let mut refused = 0;
    for _ in 0..1_000 {
        let is_left_out = |name: &&String| {
            let object = object("Ingress", &format!("d/{name}")).unwrap();
            isolation.refused.objects().any(|refused| *refused == object)
        };
        let included: Vec<_> = all.iter().filter(|name| !is_left_out(name)).cloned().collect();
        let gateway = gateway(&included, &[]);
        let is_refused = included.iter().any(|name| bad.contains(&&**name));
        let verdict = if is_refused {
            refused += 1;
            refuse(isolation, &gateway)
        } else {
            isolation.taken(&gateway, &[], Instant::now())
        };
        match verdict {
            Verdict::Again => {}
            Verdict::Settled => return (included, refused),
            Verdict::Hopeless => panic!("it is not hopeless"),
        }
    }
    panic!("it never settles");
}

/// Envoy rejects the table.
fn refuse(isolation: &mut Isolation, gateway: &Gateway) -> Verdict {
    let key = Key::new(Kind::Filter, "ingress");
    isolation.refused_whole(&key, &"no".into(), gateway, Instant::now(), |_| Some(node()))
}

fn node() -> Node {
    Node::from_json(serde_json::Value::Null, &mut crate::manifest::Names::default())
}

#[test]
fn the_one_object_that_changed_is_to_blame_at_once() {
    let mut isolation = Isolation::new();
    let all = names(100);
    assert_eq!(settle(&mut isolation, &all[..99], &[]), (all[..99].to_vec(), 0));
    assert_eq!(settle(&mut isolation, &all, &["i99"]), (all[..99].to_vec(), 1));
    // It does not delay changes of other namespaces.
    let more = [all.clone(), vec!["more".to_owned()]].concat();
    let (served, refused) = settle(&mut isolation, &more, &["i99"]);
    assert_eq!((served.len(), refused), (100, 0));
    assert!(isolation.retry_at().is_some());
}

#[test]
fn among_many_each_that_is_to_blame_is_found_by_halves() {
    for bad in [&["i0"][..], &["i63"], &["i5", "i40"], &["i0", "i1", "i62", "i63"], &[]] {
        let mut isolation = Isolation::new();
        let all = names(64);
        let (served, refused) = settle(&mut isolation, &all, bad);
        let served: BTreeSet<_> = served.into_iter().collect();
        let good = all.iter().filter(|name| !bad.contains(&&***name)).cloned();
        assert_eq!(served, good.collect(), "{bad:?}");
        assert!(refused <= 1 + bad.len() * 7, "{refused} tables refused for {bad:?}");
    }
}

#[test]
fn where_envoy_takes_no_table_nobody_is_to_blame() {
    let mut isolation = Isolation::new();
    let all = gateway(&names(3), &[]);
    assert_eq!(refuse(&mut isolation, &all), Verdict::Again);
    assert_eq!(isolation.refused.objects().count(), 3, "without any");
    assert_eq!(refuse(&mut isolation, &gateway(&[], &[])), Verdict::Hopeless);
    assert!(isolation.refused.is_empty());
    assert!(isolation.retry_at().is_some(), "that may pass");
}

#[test]
fn where_a_suspect_is_not_there_the_same_is_not_compiled_without_end() {
    let mut isolation = Isolation::new();
    let key = Key::new(Kind::Filter, "ingress");
    let (all, now) = (gateway(&names(3), &[]), Instant::now());
    let verdict = isolation.refused_whole(&key, &"no".into(), &all, now, |_| None);
    assert_eq!(verdict, Verdict::Hopeless);
}

/// Of several rejected listeners, the first is reported.
#[test]
fn certificates_are_no_suspects_if_the_listener_without_them_is_rejected() {
    let mut gateway = gateway(&names(1), &[]);
    let (certificates, hosts) = certificates_of(&["a.example"]);
    gateway.https = Some(Https { certificates, hosts, alternatives: BTreeMap::new() });
    for (listener, verdict) in
        [(HTTP_LISTENER, Verdict::Hopeless), (HTTPS_LISTENER, Verdict::Again)]
    {
        let mut isolation = Isolation::new();
        let (key, now) = (Key::new(Kind::Listeners, listener), Instant::now());
        let told = isolation.refused_whole(&key, &"no".into(), &gateway, now, |_| None);
        assert_eq!(told, verdict, "{listener}");
    }
}

#[test]
fn what_is_refused_is_tried_again_later_each_time_until_it_is_taken() {
    let mut isolation = Isolation::new();
    let all = names(2);
    settle(&mut isolation, &all[..1], &[]);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        settle(&mut isolation, &all, &["i1"]);
        let at = isolation.retry_at().expect("another try");
        pauses.push(at.saturating_duration_since(Instant::now()));
        isolation.retry(at);
    }
    assert!(pauses[3] > pauses[0] * 6, "{pauses:?}");
    assert_eq!(settle(&mut isolation, &all, &[]).0, all);
    assert_eq!((isolation.retry_at(), isolation.pause), (None, FIRST_PAUSE));
}

#[test]
fn suspects_are_the_objects_by_which_tables_differ() {
    let of = |good: Option<&Gateway>, next: &Gateway| {
        let suspects = suspects(good.map(|good| &**good.table), &next.table);
        suspects.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let good = gateway(&names(2), &["r"]);
    assert_eq!(of(Some(&good), &good), [""; 0]);
    assert_eq!(of(None, &good), ["Ingress d/i0", "Ingress d/i1", "RouteRule d/r"]);
    assert_eq!(of(Some(&good), &gateway(&names(3), &["r"])), ["Ingress d/i2"]);
    assert_eq!(of(Some(&good), &gateway(&names(2), &["r", "s"])), ["RouteRule d/s"]);
    let mut other = (**good.table).clone();
    other.backends[0].default = Action::Respond(Respond { status: 500 });
    let other = Gateway { table: Arc::new(other.into()), ..good.clone() };
    assert_eq!(of(Some(&good), &other), ["Ingress d/i0", "Ingress d/i1"], "of the backend");
}
