use super::*;
use crate::envoy::{Resource as Content, Resources};

fn content(text: &'static str) -> Content {
    Content::from_body(text.as_bytes().into())
}

fn told(kind: Kind, resources: &[(&str, &'static str)]) -> ServedResources {
    let mut told = ServedResources::default();
    for (name, text) in resources {
        told.set(&Key::new(kind, *name), content(text));
    }
    told
}

fn ask(names: &[&str]) -> DeltaDiscoveryRequest {
    let resource_names_subscribe = names.iter().map(ToString::to_string).collect();
    DeltaDiscoveryRequest { resource_names_subscribe, ..DeltaDiscoveryRequest::default() }
}

fn has(held: &[(&str, &'static str)]) -> DeltaDiscoveryRequest {
    let version = |text| content(text).version.to_string();
    let held = held.iter().map(|(name, text)| ((*name).to_owned(), version(text)));
    DeltaDiscoveryRequest {
        initial_resource_versions: held.collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// Envoy's ACK or NACK of a response.
fn say(response: &DeltaDiscoveryResponse, is_refused: bool) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        response_nonce: response.nonce.clone(),
        error_detail: is_refused.then(super::super::discovery::Status::default),
        ..DeltaDiscoveryRequest::default()
    }
}

fn names(response: &DeltaDiscoveryResponse) -> Vec<&str> {
    response.resources.iter().map(Resource::name).collect()
}

#[test]
fn one_who_asks_for_all_is_told_all_at_first_even_if_that_is_nothing() {
    for resources in [&[][..], &[("a", "1"), ("b", "1")]] {
        let told = told(Kind::Clusters, resources);
        let mut asked = Subscription::new(Kind::Clusters);
        assert!(asked.next(&told).is_none(), "it has not subscribed yet");
        asked.take(ask(&[]));
        let first = asked.next(&told).expect("a response");
        assert_eq!(first.resources.len(), resources.len());
        assert!(asked.next(&told).is_none(), "the first is not acknowledged");
        assert_eq!(asked.take(say(&first, false)), Verdict::Accepted);
        assert!(asked.next(&told).is_none(), "there is nothing new");
        assert_eq!(asked.held().len(), resources.len());
    }
}

#[test]
fn one_who_comes_back_is_told_only_what_it_does_not_have() {
    let mut told = told(Kind::Clusters, &[("a", "1"), ("b", "2"), ("c", "1")]);
    let mut asked = Subscription::new(Kind::Clusters);
    asked.take(has(&[("a", "1"), ("b", "1"), ("d", "1")]));
    let first = asked.next(&told).expect("a response");
    assert_eq!(names(&first), ["b", "c"]);
    assert!(first.removed_resources.is_empty(), "d may be newer than this process");
    asked.take(say(&first, false));
    told.withdraw(&Key::new(Kind::Clusters, "d"));
    asked.mark(&"d".into());
    assert_eq!(asked.next(&told).expect("a response").removed_resources, ["d"]);
}

#[test]
fn what_an_earlier_process_told_replaces_nothing() {
    let mut resources = Resources::default();
    for name in ["a", "b"] {
        resources.insert(Key::new(Kind::Clusters, name), content("old"));
    }
    let mut told = ServedResources::recovered(resources);
    let mut asked = Subscription::new(Kind::Clusters);
    asked.take(has(&[("a", "newer")]));
    let first = asked.next(&told).expect("a response");
    assert_eq!(names(&first), ["b"]);
    asked.take(say(&first, false));
    told.set(&Key::new(Kind::Clusters, "a"), content("now"));
    asked.mark(&"a".into());
    assert_eq!(names(&asked.next(&told).expect("a response")), ["a"], "this process has set it");
}

#[test]
fn of_a_kind_that_is_asked_for_by_name_nothing_else_is_told() {
    let mut told = told(Kind::Endpoints, &[("a", "1"), ("b", "1")]);
    let mut asked = Subscription::new(Kind::Endpoints);
    asked.take(ask(&["a", "later"]));
    let first = asked.next(&told).expect("a response");
    assert_eq!(names(&first), ["a"]);
    asked.take(say(&first, false));
    assert!(asked.next(&told).is_none());
    told.set(&Key::new(Kind::Endpoints, "later"), content("1"));
    asked.mark(&"later".into());
    assert_eq!(names(&asked.next(&told).expect("a response")), ["later"]);
}

#[test]
fn of_an_answer_that_is_refused_each_half_is_told_until_it_is_known_which() {
    let all: Vec<_> = (0..100).map(|index| format!("c{index:02}")).collect();
    let bad = ["c03", "c77"];
    let mut told = ServedResources::default();
    for name in &all {
        told.set(&Key::new(Kind::Clusters, name.as_str()), content("1"));
    }
    let mut asked = Subscription::new(Kind::Clusters);
    asked.take(ask(&[]));
    let (mut refused, mut answers) = (Vec::new(), 0);
    while let Some(answer) = asked.next(&told) {
        answers += 1;
        let is_refused = names(&answer).iter().any(|name| bad.contains(name));
        if let Verdict::Refused { key, version } = asked.take(say(&answer, is_refused)) {
            told.refuse(key.clone(), version, "no");
            refused.push(key.name.to_string());
        }
    }
    assert_eq!(refused, bad);
    assert_eq!(asked.held().len(), 98);
    assert!(answers < 32, "{answers}");

    let key = Key::new(Kind::Clusters, "c03");
    asked.mark(&key.name);
    assert!(asked.next(&told).is_none(), "the same version is not sent again");
    told.set(&key, content("2"));
    asked.mark(&key.name);
    assert_eq!(names(&asked.next(&told).expect("a response")), ["c03"], "a new version is sent");
}
