//! Tests the examples of codes that only a cluster or Envoy causes: the findings in
//! their entries have to be those of their manifests.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ingressctl --lib cluster::examples` updates the findings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;
use std::{env, fs};

use rcgen::{CertificateParams, KeyPair};

use super::kinds::Kind;
use super::reader::Reader;
use super::snapshot::{usual_class, without_classes};
use crate::compile::{
    Caches, Circumstances, Compiled, Refused, Resolved, UnreadableSecret, UnreadableSecrets, Where,
    compile_objects,
};
use crate::finding::{Code, Finding, Findings, Group, Origin};
use crate::isolation;
use crate::manifest::{Object, read_text};
use crate::settings::Settings;

/// Replaces Envoy's message, which differs from case to case.
const WORDS: &str = "(the message of Envoy)";

/// A cluster with the manifests of an example, and the state around them.
struct Site {
    objects: Vec<Object>,
    unreadable: UnreadableSecrets,
    resolved: Resolved,
    refused: Refused,
    settings: Settings,
}

impl Site {
    fn of(code: Code) -> Self {
        let yaml = code.example().split("```").nth(1).expect("manifests");
        let manifests = read_text("manifests.yaml", yaml.trim_start_matches("yaml"));
        assert!(manifests.findings.is_empty(), "{code}: {:?}", manifests.findings);
        // As returned by the API, without a file.
        let objects = manifests.objects().map(|it| Object { file: None, ..it.clone() }).collect();
        Self {
            objects,
            unreadable: UnreadableSecrets::new(),
            resolved: Resolved::new(),
            refused: Refused::default(),
            settings: Settings { external_name_services: true, ..Settings::default() },
        }
    }

    fn compile(&self) -> Compiled {
        let circumstances = Circumstances {
            settings: &self.settings,
            place: Where::Cluster(&self.resolved),
            now: SystemTime::now(),
            unreadable: &self.unreadable,
            refused: &self.refused,
            caches: &Caches::default(),
        };
        compile_objects(&self.objects, Findings::new(), &circumstances)
    }
}

/// The findings of the example of a code.
fn findings(code: Code) -> Vec<Finding> {
    let mut site = Site::of(code);
    let certificate = "default/shop-certs".parse().expect("a name");
    match code {
        Code::SecretNotAllowed => {
            site.unreadable.insert(certificate, UnreadableSecret::Denied);
        }
        Code::SecretNotReadable => {
            let reason = UnreadableSecret::Failed("500 etcdserver: request timed out".into());
            site.unreadable.insert(certificate, reason);
        }
        Code::SecretNotShown => {
            site.unreadable.insert(certificate, UnreadableSecret::Hidden);
        }
        Code::IngressClassesNotShown => {
            let kind = Kind::IngressClass;
            let class = usual_class(Reader::new(kind, kind.resource()), &site.settings);
            return vec![without_classes(&class, "ingressclasses.networking.k8s.io is forbidden")];
        }
        Code::DnsNotResolved => {
            site.resolved.insert("api.example".into(), Err("no such host".into()));
        }
        Code::DnsAddressDenied => {
            let inward = [[169, 254, 169, 254].into()].into();
            site.resolved.insert("api.example".into(), Ok(inward));
        }
        Code::EnvoyRefusesCertificate => refuse_certificate(&mut site),
        Code::EnvoyRefusesTable => {
            let ingress = &site.objects[0];
            site.refused.add_object(ingress.reference(), ingress.node.clone(), &Arc::from(WORDS));
        }
        Code::EnvoyRefusesCluster => {
            let gateway = site.compile().gateway;
            let name = gateway.clusters.keys().next().expect("a cluster");
            return isolation::finding(&gateway, name, WORDS).into_iter().collect();
        }
        _ => panic!("{code} has no case in this test; add one"),
    }
    site.compile().findings
}

/// Adds the Secret with a certificate that Envoy has rejected.
fn refuse_certificate(site: &mut Site) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["shop.example".to_owned()]).expect("a host");
    let chain = params.self_signed(&key).expect("a certificate").pem();
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "shop-certs"},
        "stringData": {"tls.crt": chain, "tls.key": key.serialize_pem()},
    });
    let secrets = read_text("secret.json", &secret.to_string());
    site.objects.extend(secrets.objects().map(|it| Object { file: None, ..it.clone() }));
    let gateway = site.compile().gateway;
    let https = gateway.https.as_ref().expect("HTTPS");
    let served = https.certificates.values().next().expect("a certificate");
    site.refused.add_certificate(served.pair.fingerprint(), &Arc::from(WORDS));
}

#[test]
fn each_gives_what_its_entry_shows() {
    let groups =
        Group::ALL.iter().filter(|group| matches!(group.origin(), Origin::Cluster | Origin::Envoy));
    let mut wrong = BTreeMap::new();
    for code in groups.flat_map(|group| group.codes()) {
        let all = findings(*code);
        let lines: Vec<_> =
            all.iter().filter(|it| it.code == *code).map(Finding::to_string).collect();
        let shown = format!("```text\n{}\n```", lines.join("\n"));
        assert!(!lines.is_empty(), "{code}: {all:?}");
        if code.example().ends_with(&shown) {
            continue;
        }
        if env::var_os("UPDATE_GOLDEN").is_some() {
            let path = format!("src/finding/codes/{code}.md");
            let entry = fs::read_to_string(&path).expect("its entry");
            let (before, _) = entry.rsplit_once("```text").expect("a line");
            fs::write(path, format!("{before}{shown}\n")).expect("its entry is written");
        }
        wrong.insert(*code, shown);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
