//! Certificates and keys with one problem each.

use std::time::{Duration, SystemTime};

use ingressctl::finding::Code;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, date_time_ymd,
};

use crate::sandbox::Sandbox;

const HOST: &str = "shop.example";

/// Replaces the expiry of a certificate that expires soon, which depends on the day
/// of the test.
const SOME_DAY: &str = "2030-01-01T00:00:00Z";

/// The output of `check` for a certificate with this problem.
pub(crate) fn run(code: Code) -> Vec<String> {
    let (chain, key) = pair(code);
    let sandbox = Sandbox::new(&[("manifests.yaml", &manifests(code, &chain, &key))]);
    let lines = super::told(&sandbox, "ingressctl check -f manifests.yaml", code);
    if code == Code::CertificateExpiresSoon {
        let until = soon().to_string();
        return lines.into_iter().map(|line| line.replace(&until, SOME_DAY)).collect();
    }
    lines
}

fn manifests(code: Code, chain: &str, key: &str) -> String {
    let indented = |text: &str| text.replace('\n', "\n    ");
    // Without hosts, an entry applies to the hosts of the rules that the
    // certificate covers.
    let hosts = if code == Code::CertificateNotForHost { "hosts: [shop.example], " } else { "" };
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n    {}\n  \
         tls.key: |\n    {}\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations: {{kubernetes.io/ingress.class: istio}}\n\
         spec:\n  tls: [{{{hosts}secretName: web}}]\n  rules:\n  - host: {HOST}\n    http:\n      paths:\n      - path: /\n        \
         pathType: Prefix\n        backend: {{service: {{name: web, port: {{number: 80}}}}}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{ports: [{{port: 80}}]}}\n",
        indented(chain),
        indented(key)
    )
}

/// A chain and a key, valid except for one problem.
fn pair(code: Code) -> (String, String) {
    let fixture = |name: &str| {
        let path = format!("src/certificates/fixtures/{name}.pem");
        let text = std::fs::read_to_string(path).expect("a fixture");
        (text.clone(), text)
    };
    let sound = || issue(|_| ());
    let garbled =
        |label: &str| format!("-----BEGIN {label}-----\naGVsbG8=\n-----END {label}-----\n");
    match code {
        Code::CertificateTooLarge => (sound().0.repeat(33), sound().1),
        Code::PemNotValid => (sound().0.replace("-----END", "-----"), sound().1),
        Code::PemMissing => (sound().0, sound().0),
        Code::CertificateMalformed => (garbled("CERTIFICATE"), sound().1),
        Code::CertificateExtensionMalformed => issue(|it| {
            it.custom_extensions.push(extension(&[2, 5, 29, 19], &[0x30, 3, 2, 1, 0]));
        }),
        Code::KeyEncrypted => (sound().0, sound().1.replace("PRIVATE", "ENCRYPTED PRIVATE")),
        Code::KeyMalformed => (sound().0, garbled("PRIVATE KEY")),
        Code::KeyFormatNotSupported => {
            let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
            (params().self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
        }
        Code::KeyNotSupported => fixture("rsa-2040"),
        Code::KeyNotOfCertificate => (sound().0, sound().1),
        Code::CertificateExpired => issue(|it| it.not_after = date_time_ymd(2024, 1, 1)),
        Code::CertificateExpiresSoon => issue(|it| {
            let until: SystemTime = soon().into();
            it.not_after = until.into();
        }),
        Code::CertificateNotYetValid => issue(|it| it.not_before = date_time_ymd(2090, 1, 1)),
        Code::IssuerExpired => issued_by_expired(),
        Code::CertificateMustStaple => issue(|it| {
            let tls_feature = extension(&[1, 3, 6, 1, 5, 5, 7, 1, 24], &[0x30, 3, 2, 1, 5]);
            it.custom_extensions.push(tls_feature);
        }),
        Code::CertificateNotForSignatures => {
            issue(|it| it.key_usages = vec![KeyUsagePurpose::KeyCertSign])
        }
        Code::CertificateNotForServers => {
            issue(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
        }
        Code::CertificateWithoutNames => issue(|it| {
            it.subject_alt_names.clear();
            it.distinguished_name = DistinguishedName::new();
        }),
        Code::CertificateWithoutHosts => issue(|it| it.subject_alt_names.clear()),
        Code::CertificateNotForHost => {
            issue(|it| it.subject_alt_names = named("blog.example").subject_alt_names)
        }
        Code::CertificateWeakSignature => fixture("sha1"),
        Code::CertificateChainDisordered => {
            let (chain, key) = sound();
            let other = issue(|it| it.distinguished_name = common_name("other")).0;
            (chain + &other, key)
        }
        other => panic!("add a certificate with the problem {other}"),
    }
}

fn issue(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = params();
    change(&mut params);
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

fn issued_by_expired() -> (String, String) {
    let mut issuer = params();
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    issuer.distinguished_name = common_name("issuer");
    issuer.not_after = date_time_ymd(2024, 1, 1);
    let (issuer_key, key) =
        (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let own = issuer.self_signed(&issuer_key).expect("a certificate").pem();
    let issuer = Issuer::new(issuer, &issuer_key);
    let leaf = params().signed_by(&key, &issuer).expect("a certificate").pem();
    (leaf + &own, key.serialize_pem())
}

fn params() -> CertificateParams {
    named(HOST)
}

fn named(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).expect("a name")
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn extension(id: &[u64], content: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(id, content.to_vec())
}

/// The start of a day a few days from now.
fn soon() -> jiff::Timestamp {
    const DAY: u64 = 24 * 60 * 60;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let day = Duration::from_secs((now.as_secs() / DAY + 4) * DAY);
    jiff::Timestamp::try_from(SystemTime::UNIX_EPOCH + day).expect("a time")
}
