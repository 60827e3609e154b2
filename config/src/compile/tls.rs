//! The certificates that Ingresses name, looked into before anybody relies on
//! them. HTTPS itself is not served yet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::certificates::{self, Certificate};
use crate::finding::{Findings, Severity, quote};
use crate::manifest::Object;
use crate::objects::secret::Secret;
use crate::objects::{Cursor, Reading};

/// The most names of a certificate that a message lists.
const LISTED_NAMES: usize = 8;

/// Secrets that hold certificates, each looked into when it is first named.
pub(super) struct Certificates<'a> {
    secrets: BTreeMap<(&'a str, &'a str), &'a Object>,
    /// None where it cannot be used, which has been told.
    known: BTreeMap<(&'a str, &'a str), Option<Certificate>>,
    now: SystemTime,
    findings: &'a RefCell<Findings>,
}

impl<'a> Certificates<'a> {
    pub(super) fn new(
        secrets: &[&'a Object],
        now: SystemTime,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        let by_name = |secret: &&'a Object| ((&*secret.namespace, &*secret.name), *secret);
        let secrets = secrets.iter().map(by_name).collect();
        Self { secrets, known: BTreeMap::new(), now, findings }
    }

    /// Looks into those that `ingress` names. One that is not among the
    /// manifests may well be in the cluster.
    pub(super) fn check(&mut self, ingress: &Object) {
        let reading = Reading::new(ingress, self.findings);
        let root = reading.root();
        let Some(spec) = root.field("spec") else { return };
        for item in spec.list("tls") {
            let entry = item.cursor();
            if entry.expect_mapping() {
                entry.only(&["hosts", "secretName"]);
                self.check_entry(&ingress.namespace, &entry);
            }
        }
    }

    fn check_entry(&mut self, namespace: &str, entry: &Cursor<'_>) {
        let Some(name) = entry.string("secretName") else { return };
        let Some(certificate) = self.get(namespace, name) else { return };
        for item in entry.list("hosts") {
            let host = item.cursor();
            let Some(text) = host.as_string() else { continue };
            if !certificate.covers(text) {
                host.warning(format!(
                    "the certificate in Secret {} is not for this host but for {}, so clients \
                     refuse it; name another Secret, or have one issued for both",
                    quote(name),
                    list(&certificate.names)
                ));
            }
        }
    }

    /// The certificate in a Secret, if that is there and can be used.
    fn get(&mut self, namespace: &str, name: &str) -> Option<&Certificate> {
        let object = *self.secrets.get(&(namespace, name))?;
        let key = (&*object.namespace, &*object.name);
        let (now, findings) = (self.now, self.findings);
        self.known.entry(key).or_insert_with(|| read(object, now, findings)).as_ref()
    }
}

fn read(object: &Object, now: SystemTime, findings: &RefCell<Findings>) -> Option<Certificate> {
    let secret = Secret::read(&Reading::new(object, findings))?;
    let checked = certificates::read(&secret.chain, &secret.key, now);
    for problem in &checked.problems {
        let place =
            if problem.key() == "tls.key" { &secret.key_place } else { &secret.chain_place };
        let finding = match problem.severity() {
            Severity::Error => place.error(object, problem.to_string()),
            Severity::Warning => place.warning(object, problem.to_string()),
        };
        findings.borrow_mut().push(finding);
    }
    checked.certificate
}

/// Names as a message has them.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let listed: Vec<_> = names.iter().take(LISTED_NAMES).map(|name| quote(name)).collect();
    let more = if names.len() > LISTED_NAMES { " and others" } else { "" };
    format!("{}{more}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};
    use serde_json::json;

    use super::*;
    use crate::compile::compile_objects;
    use crate::manifest::read_text;
    use crate::settings::Settings;

    const A_DAY: Duration = Duration::from_hours(24);

    /// A certificate for `host`, valid for a hundred days, and its key.
    fn issue(host: &str) -> (String, String) {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = (SystemTime::now() - A_DAY).into();
        params.not_after = (SystemTime::now() + 100 * A_DAY).into();
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    /// A Secret with such a certificate.
    fn secret(host: &str) -> String {
        let (chain, key) = issue(host);
        secret_of(&chain, &key)
    }

    fn secret_of(chain: &str, key: &str) -> String {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "cert"}, "stringData": {"tls.crt": chain, "tls.key": key},
        })
        .to_string()
    }

    /// What is found at `now`, beside that HTTPS is not served.
    fn findings(secret: &str, host: &str, now: SystemTime) -> Vec<String> {
        let ingress = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": "web", "annotations": {"kubernetes.io/ingress.class": "istio"}},
            "spec": {
                "tls": [{"hosts": [host], "secretName": "cert"}, {"hosts": [host]}],
                "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
            },
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"ports": [{"port": 80}]},
        });
        let manifests = read_text("f", &format!("{ingress}\n---\n{service}\n---\n{secret}"));
        let found = manifests.findings.clone();
        let compiled = compile_objects(&manifests.objects, found, &Settings::default(), now);
        let findings = compiled.findings.iter().map(ToString::to_string);
        findings.filter(|finding| !finding.contains("HTTPS is not served yet")).collect()
    }

    #[test]
    fn a_sound_certificate_for_the_host_is_no_finding() {
        let secret = secret("*.foo.example");
        assert_eq!(findings(&secret, "bar.foo.example", SystemTime::now()), [""; 0]);
        assert_eq!(findings("", "bar.foo.example", SystemTime::now()), [""; 0], "in the cluster");
    }

    #[test]
    fn a_certificate_for_another_host_is_a_warning_at_the_host() {
        let secret = secret("foo.example");
        let found = findings(&secret, "bar.example", SystemTime::now());
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert!(
            finding.contains(
                "warning: Ingress default/web: spec.tls[0].hosts[0]: the certificate in Secret \
                 `cert` is not for this host but for `foo.example`"
            ),
            "{finding}"
        );
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_an_error_and_never_shown() {
        let (chain, _) = issue("foo.example");
        let (_, key) = issue("foo.example");
        let found = findings(&secret_of(&chain, &key), "foo.example", SystemTime::now());
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert!(finding.contains("error: Secret default/cert: stringData.tls.key: "), "{finding}");
        assert!(key.lines().all(|line| !finding.contains(line)), "{finding}");
    }

    #[test]
    fn what_has_expired_is_an_error() {
        let secret = secret("foo.example");
        let found = findings(&secret, "foo.example", SystemTime::now() + 200 * A_DAY);
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert!(finding.contains("error: Secret default/cert: stringData.tls.crt: "), "{finding}");
        assert!(finding.contains("expired"), "{finding}");
    }
}
