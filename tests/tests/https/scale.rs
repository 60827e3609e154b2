//! Many certificates.

use std::time::Duration;

use ingress_tests::{Authority, Issued, Serving, TlsClient, Upstream, wait_until};
use serde_json::{Value, json};

use crate::setup::{ingress, manifests};

/// This many hosts, each with its own Secret, and a path that changes.
struct Many {
    authority: Authority,
    upstream: Upstream,
    hosts: Vec<(String, String, Issued)>,
}

impl Many {
    fn new(count: usize) -> Self {
        let authority = Authority::new();
        let host = |index| {
            let host = format!("h{index}.example");
            let issued = authority.issue(&[&host]);
            (host, format!("s{index}"), issued)
        };
        let hosts = (0..count).map(host).collect();
        Self { upstream: Upstream::start("a"), hosts, authority }
    }

    fn manifests(&self, path: &str) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(|(host, name, _)| (&**host, &**name)).collect();
        let mut changing = ingress("changing", "a", &[("plain.example", "")]);
        let spec = changing["spec"].as_object_mut().unwrap();
        spec.remove("tls");
        spec["rules"][0]["http"]["paths"][0]["path"] = json!(path);
        let secrets = self.hosts.iter().map(|(_, name, issued)| issued.secret("default", name));
        let objects: Vec<Value> =
            [ingress("web", "a", &hosts), changing].into_iter().chain(secrets).collect();
        manifests(&self.upstream, &objects)
    }
}

#[test]
fn a_hundred_certificates_are_served_and_change_as_one_does() {
    for count in [1, 100] {
        let mut many = Many::new(count);
        let serving = Serving::start(&many.manifests("/0"));
        let client = TlsClient::new(&many.authority, &[]);
        for (host, _, issued) in &many.hosts {
            let mut connection = client.connect(serving.https(), host).unwrap();
            assert_eq!(connection.certificate(), issued.der(), "{host}");
            assert_eq!(connection.get(host, "/").by(), "a", "{host}");
        }
        let mut tables: Vec<Duration> = (1..=5)
            .map(|index| {
                let path = format!("/{index}");
                serving.replace(&many.manifests(&path));
                serving.wait_for("plain.example", &path, 200)
            })
            .collect();
        let last = count - 1;
        let mut certificates: Vec<Duration> = (0..5)
            .map(|_| {
                let issued = many.authority.issue(&[&many.hosts[last].0]);
                let (host, new) = (many.hosts[last].0.clone(), issued.der());
                many.hosts[last].2 = issued;
                serving.replace(&many.manifests("/5"));
                wait_until("the new certificate", || {
                    client.connect(serving.https(), &host).unwrap().certificate() == new
                })
            })
            .collect();
        tables.sort();
        certificates.sort();
        println!(
            "{count} certificates: a path in {:?}, a certificate in {:?}, both medians of 5",
            tables[2], certificates[2]
        );
    }
}
