//! Permissions that are missing, granted and revoked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ingress_tests::{ApiProxy, ApiServer, Gateway, Verdict, wait_until};
use serde_json::{Value, json};

use super::site::{Site, secure};

const ACCOUNT: &str = "istio-ingress-service-account";

/// The Role in a message.
fn role_in(message: &str) -> Option<Value> {
    let start = message.find(r#"{"apiVersion""#)?;
    serde_json::Deserializer::from_str(&message[start..]).into_iter().next()?.ok()
}

/// Binds a Role to the account of the gateway.
fn bind(site: &Site<'_>, role: &Value) {
    let name = &role["metadata"]["name"];
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": role["metadata"]["namespace"]},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": site.namespace.name}],
    });
    site.namespace.apply(&binding.to_string());
}

/// The Role in the Event on the Ingress `web` about that Secret.
fn role_told(site: &Site<'_>, gateway: &Gateway, secret: &str) -> Value {
    let what = format!("`{}/{secret}` may not be read", site.namespace.name);
    let mut role = None;
    wait_until("an Event contains the Role", || {
        let events = site.namespace.events_on("Ingress", "web");
        role = events
            .iter()
            .find(|event| event.contains(&what))
            .map(|event| role_in(event).unwrap_or_else(|| panic!("no Role in {event}")));
        role.is_some()
    });
    let log = gateway.log();
    let logged = log.lines().find(|line| line.contains(&what)).expect("a logged finding");
    assert_eq!(role_in(logged), role);
    role.expect("a Role")
}

#[test]
fn without_rights_the_finding_has_the_role_that_gives_them() {
    let api = ApiServer::shared();
    let site = Site::create(api, "secret-rights");
    let hosts = [("one.example", "one"), ("two.example", "two")];
    // The Role was printed before the second host existed.
    site.allow(&[secure("web", &hosts[..1])]);
    site.namespace.create(&secure("web", &hosts));
    let default = site.create_secret("default", &["two.example"]);
    let one = site.create_secret("one", &["one.example"]);
    let two = site.create_secret("two", &["two.example"]);
    let gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    site.wait_for(&gateway, "two.example", &default);

    let role = role_told(&site, &gateway, "two");
    assert_eq!(role["rules"][0]["resourceNames"], json!(["default", "one", "two"]));
    let pid = gateway.controller_pid();
    site.namespace.apply(&role.to_string());
    bind(&site, &role);
    let took = site.wait_for(&gateway, "two.example", &two);
    println!("a certificate is served {took:?} after the permission was granted");
    assert_eq!(gateway.controller_pid(), pid);
    wait_until("the finding is resolved", || site.namespace.events_on("Ingress", "web").is_empty());
    assert_eq!(site.certificate(&gateway, "one.example"), Some(one.der()));
}

/// Each permission in turn is removed from the Role that `ingressctl rbac` prints.
/// The verb `get` is only for people.
#[test]
fn each_right_to_read_secrets_is_needed() {
    let api = ApiServer::shared();
    let site = Site::create(api, "each-right");
    let hosts = [("one.example", "one")];
    site.create_allowed(&[secure("web", &hosts)]);
    site.create_secret("default", &["default.example"]);
    let one = site.create_secret("one", &["one.example"]);
    let mut gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    assert!(!gateway.log().contains("may not be read"));
    let role = site.namespace.get("role", "istio-ingress-certificates");
    assert_eq!(role["rules"].as_array().unwrap().len(), 1);
    assert_eq!(role["rules"][0]["verbs"], json!(["get", "list", "watch"]));
    assert_eq!(role["rules"][0]["resourceNames"], json!(["default", "one"]));
    for (list, right, missed) in [
        ("verbs", "list", "one"),
        ("verbs", "watch", "one"),
        ("resourceNames", "one", "one"),
        ("resourceNames", "default", "default"),
    ] {
        let mut less = role.clone();
        less["metadata"] = json!({"name": role["metadata"]["name"]});
        let rights = less["rules"][0][list].as_array_mut().unwrap();
        rights.retain(|value| value != right);
        gateway.kill_controller();
        site.replace(&less.to_string());
        let before = gateway.log().len();
        gateway.start_controller();
        let what = format!("`{}/{missed}` may not be read", site.namespace.name);
        wait_until(&format!("{right} is reported"), || gateway.log()[before..].contains(&what));
        if right == "watch" {
            // It is listed again and again, and the finding stays.
            let one = site.replace_secret("one", &["one.example"]);
            site.wait_for(&gateway, "one.example", &one);
            assert_eq!(gateway.log()[before..].matches(&what).count(), 1);
        }
    }
    let log = gateway.log();
    assert!(!log.contains("watch list error"), "each try is logged: {log}");
}

/// An Event has at most a thousand characters.
#[test]
fn the_role_is_whole_also_where_a_namespace_has_many_secrets() {
    const HOSTS: usize = 60;
    let api = ApiServer::shared();
    let site = Site::create(api, "many-secrets");
    let names: Vec<_> = (0..HOSTS)
        .map(|index| (format!("host-{index}.example"), format!("host-{index}-certificate")))
        .collect();
    let hosts: Vec<_> = names.iter().map(|(host, secret)| (&**host, &**secret)).collect();
    site.allow(&[secure("web", &hosts[1..])]);
    site.namespace.create(&secure("web", &hosts));
    let new = site.create_secret(hosts[0].1, &[hosts[0].0]);
    let other = site.create_secret(hosts[1].1, &[hosts[1].0]);
    let gateway = Gateway::start_with(&site.namespace, &site.flags());
    site.wait_for(&gateway, hosts[1].0, &other);
    let role = role_told(&site, &gateway, hosts[0].1);
    site.namespace.apply(&role.to_string());
    bind(&site, &role);
    site.wait_for(&gateway, hosts[0].0, &new);
    // The Role that granted the other permissions still does.
    let other = site.replace_secret(hosts[1].1, &[hosts[1].0]);
    site.wait_for(&gateway, hosts[1].0, &other);
}

#[test]
fn what_was_read_stays_served_where_a_right_is_taken_away_and_is_read_again_once_it_is_back() {
    let api = ApiServer::shared();
    let site = Site::create(api, "right-taken-away");
    let hosts = [("one.example", "one"), ("two.example", "two")];
    site.create_allowed(&[secure("web", &hosts)]);
    let one = site.create_secret("one", &["one.example"]);
    let two = site.create_secret("two", &["two.example"]);
    site.create_secret("default", &["default.example"]);
    let proxy = ApiProxy::start(&site.namespace);
    let gateway = Gateway::start_as(&site.namespace, &proxy.kubeconfig(), &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    site.wait_for(&gateway, "two.example", &two);

    // First only the watch is rejected, then the list, too.
    for is_list in [false, true] {
        let was_refused = Arc::new(AtomicBool::new(false));
        let refused = Arc::clone(&was_refused);
        proxy.judge(move |asked| {
            let is_one = asked.is_for("secrets") && asked.query.contains("name%3Done");
            let is_refused = is_one && (is_list || asked.is_watch());
            refused.fetch_or(is_refused && asked.is_watch() != is_list, Ordering::Relaxed);
            if is_refused { Verdict::Status(403) } else { Verdict::Pass }
        });
        site.under_load(&gateway, "one.example", || {
            proxy.cut();
            wait_until("the watch is rejected", || was_refused.load(Ordering::Relaxed));
            let events = || site.namespace.events_on("Ingress", "web");
            if is_list {
                let is_told = |event: &String| event.contains("what was read before");
                wait_until("an Event reports it", || events().iter().any(is_told));
            }
            let two = site.replace_secret("two", &["two.example"]);
            site.wait_for(&gateway, "two.example", &two);
            assert!(site.certificate(&gateway, "one.example").is_some());
            let one = site.replace_secret("one", &["one.example"]);
            proxy.heal();
            site.wait_for(&gateway, "one.example", &one);
            wait_until("the finding is resolved", || events().is_empty());
        });
    }
    // Even if the Secret has not changed meanwhile.
    let one = site.certificate(&gateway, "one.example");
    proxy.judge(|asked| {
        let is_one = asked.is_for("secrets") && asked.query.contains("name%3Done");
        if is_one { Verdict::Status(403) } else { Verdict::Pass }
    });
    proxy.cut();
    wait_until("an Event reports it", || !site.namespace.events_on("Ingress", "web").is_empty());
    proxy.heal();
    wait_until("the finding is resolved", || site.namespace.events_on("Ingress", "web").is_empty());
    assert_eq!(site.certificate(&gateway, "one.example"), one);
}

#[test]
fn the_number_of_tries_does_not_depend_on_that_of_secrets() {
    const DENIED: usize = 400;
    // Twice the requests that one namespace may cause per second.
    const RATE: u32 = 10;
    let api = ApiServer::shared();
    let site = Site::create(api, "denied-by-the-hundred");
    let names: Vec<_> = (0..DENIED).map(|index| format!("denied-{index}")).collect();
    let hosts: Vec<_> = names.iter().map(|name| format!("{name}.example")).collect();
    let entries: Vec<_> = hosts.iter().zip(&names).map(|(host, name)| (&**host, &**name)).collect();
    site.create_allowed(&[secure("web", &[("one.example", "one")]), secure("many", &entries)]);
    let one = site.create_secret("one", &["one.example"]);
    let proxy = ApiProxy::start(&site.namespace);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, is_allowed) = (Arc::clone(&asked), Arc::new(AtomicBool::new(false)));
    let allowed = Arc::clone(&is_allowed);
    proxy.judge(move |request| {
        let is_denied = request.is_for("secrets") && request.query.contains("denied-");
        if is_denied {
            seen.lock().unwrap().push(request.query.clone());
        }
        let is_refused = is_denied && !allowed.load(Ordering::Relaxed);
        if is_refused { Verdict::Status(403) } else { Verdict::Pass }
    });
    let gateway = Gateway::start_as(&site.namespace, &proxy.kubeconfig(), &site.flags());
    site.wait_for(&gateway, "one.example", &one);
    let count = || asked.lock().unwrap().len();
    wait_until("each Secret was requested", || count() >= DENIED);
    let (start, before) = (Instant::now(), count());
    let tries = 60;
    wait_until("some requests are repeated", || count() >= before + tries);
    let least = Duration::from_secs(tries as u64) / RATE;
    println!("{tries} tries took {:?}", start.elapsed());
    assert!(start.elapsed() >= least, "{:?}", start.elapsed());

    is_allowed.store(true, Ordering::Relaxed);
    asked.lock().unwrap().clear();
    wait_until("all are requested once permissions are granted", || {
        let asked = asked.lock().unwrap();
        let is_asked = |name: &String| asked.iter().any(|query| query.contains(name.as_str()));
        names.iter().all(is_asked)
    });
}
