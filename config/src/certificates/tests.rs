//! Tests with certificates of all kinds. Whether Envoy accepts each was checked with
//! `envoy --mode validate`.

/// Kinds that rcgen cannot create.
macro_rules! fixture {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/certificates/fixtures/",
                $name,
                ".pem"
            )),
        )
    };
}

mod authorities;
mod extensions;
mod keys;

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::*;

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    CertificateParams::new(names).unwrap()
}

/// A self-signed certificate, and its key.
fn issue(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = params(&["foo.example", "*.bar.example"]);
    change(&mut params);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A day on which most of the certificates here are valid.
fn today() -> SystemTime {
    day(2026, 1, 1)
}

fn day(year: i32, month: u8, day: u8) -> SystemTime {
    date_time_ymd(year, month, day).into()
}

fn problems(change: impl FnOnce(&mut CertificateParams)) -> Vec<Problem> {
    let (chain, key) = issue(change);
    let checked = read(chain.as_bytes(), key.as_bytes(), today());
    let has_errors =
        checked.problems.iter().any(|problem| problem.code().severity() == Severity::Error);
    assert_eq!(checked.certificate.is_none(), has_errors);
    checked.problems
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

#[test]
fn a_sound_certificate_has_no_problem() {
    let (chain, key) = issue(|params| params.not_after = date_time_ymd(2027, 1, 1));
    let noise = format!("Bag Attributes: x\r\n{}\n\n# end", chain.replace('\n', "\r\n"));
    let checked = read(noise.as_bytes(), key.as_bytes(), today());
    assert_eq!(checked.problems, []);
    let certificate = checked.certificate.unwrap();
    assert_eq!(certificate.pair.chain, chain.replace("\r\n", "\n"));
    assert_eq!(certificate.pair.key.pem(), key.replace("\r\n", "\n"));
    assert_eq!(certificate.names, ["foo.example", "*.bar.example"]);
    for host in ["foo.example", "a.bar.example", "*.bar.example"] {
        assert!(certificate.covers(host), "{host}");
    }
    assert!(!certificate.covers("bar.example"));
}

#[test]
fn a_key_never_shows() {
    let (chain, key) = issue(|_| ());
    let shown = format!("{:?}", read(chain.as_bytes(), key.as_bytes(), today()));
    assert!(shown.contains("PrivateKey(…)"), "{shown}");
    assert!(key.lines().all(|line| !shown.contains(line)), "{shown}");
}

#[test]
fn times_are_told_from_each_other() {
    let (chain, key) = issue(|params| {
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 3, 1);
    });
    let (from, to) = (day(2026, 1, 1), day(2026, 3, 1));
    let at = |time| {
        let checked = read(chain.as_bytes(), key.as_bytes(), time);
        let certificate = checked.certificate.expect("clients decide");
        (certificate.turns_after(time), checked.problems)
    };
    let second = Duration::from_secs(1);
    let time = |text: &str| text.parse().unwrap();
    let expired = Problem::Expired(time("2026-03-01T00:00:00Z"));
    let soon = Problem::ExpiresSoon(time("2026-03-01T00:00:00Z"));
    let early = Problem::NotYetValid(time("2026-01-01T00:00:00Z"));
    let fortnight = day(2026, 2, 15);
    assert_eq!(at(from - second), (Some(from), vec![early]));
    assert_eq!(at(from), (Some(fortnight + second), vec![]));
    assert_eq!(at(fortnight), (Some(fortnight + second), vec![]));
    assert_eq!(at(fortnight + second), (Some(to + second), vec![soon.clone()]));
    assert_eq!(at(to), (Some(to + second), vec![soon]));
    assert_eq!(at(to + second), (None, vec![expired]));
}

#[test]
fn what_envoy_or_clients_refuse_is_told() {
    assert_eq!(problems(|_| ()), []);
    let staple =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]);
    assert_eq!(problems(|p| p.custom_extensions.push(staple)), [Problem::MustStaple]);
    assert_eq!(
        problems(|p| p.key_usages = vec![KeyUsagePurpose::KeyCertSign]),
        [Problem::NotForSignatures]
    );
    assert_eq!(
        problems(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        [Problem::NotForServers]
    );
    assert_eq!(problems(|p| p.subject_alt_names.clear()), [Problem::NoHosts]);
    let nobody = |p: &mut CertificateParams, names: Vec<SanType>| {
        p.subject_alt_names = names;
        p.distinguished_name = DistinguishedName::new();
    };
    assert_eq!(problems(|p| nobody(p, vec![])), [Problem::NoNames]);
    let mail = SanType::Rfc822Name("a@b.example".try_into().unwrap());
    assert_eq!(problems(|p| nobody(p, vec![mail])), [Problem::NoNames]);
    let ip = SanType::IpAddress([10, 0, 0, 1].into());
    assert_eq!(problems(|p| nobody(p, vec![ip])), [Problem::NoHosts]);
    let twice = |p: &mut CertificateParams| {
        let extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 0]);
        p.custom_extensions = vec![extension];
    };
    assert_eq!(problems(twice), [Problem::Malformed(1)]);
}

#[test]
fn what_is_no_certificate_or_no_key_is_told() {
    let (chain, key) = issue(|_| ());
    let (other, other_key) = issue(|_| ());
    let cut = &chain[..chain.len() - 30];
    let garbled = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let trailing = format!("{chain}{garbled}");
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let encrypted_old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                         DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let short_key = "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
    let bad_key = "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n";
    let many = chain.repeat(33);
    let large = format!("{chain}{}", "\n".repeat(MAX_BYTES));
    let both = [Problem::NoCertificate, Problem::NoKey];
    for (chain, key, expected) in [
        ("", "", &both[..]),
        (&key, &chain, &both),
        (cut, &key, &[Problem::BrokenChain("a section has no end")]),
        (garbled, &key, &[Problem::Malformed(1)]),
        (&trailing, &key, &[Problem::Malformed(2)]),
        (&many, &key, &[Problem::ChainTooLong(33)]),
        (&large, &key, &[Problem::ChainTooLarge]),
        (&chain, &large, &[Problem::KeyTooLarge]),
        (&chain, &encrypted, &[Problem::EncryptedKey]),
        (&chain, encrypted_old, &[Problem::EncryptedKey]),
        (&chain, short_key, &[Problem::MalformedKey]),
        (&chain, bad_key, &[Problem::BrokenKey("a section is not base64")]),
        (&chain, &other_key, &[Problem::Mismatch]),
        (&other, &key, &[Problem::Mismatch]),
    ] {
        let checked = read(chain.as_bytes(), key.as_bytes(), today());
        assert_eq!(checked.problems, expected);
        assert!(checked.certificate.is_none());
    }
}

#[test]
fn sections_that_share_a_line_are_both_read() {
    let ([root, middle, leaf], key) = hierarchy();
    let sound = [leaf, middle, root].concat();
    let glued = sound.replace("-----\n-----BEGIN", "----------BEGIN");
    assert_ne!(glued, sound);
    let key_glued = format!("{}{key}", glued.trim_end());
    for (chain, key) in [(&glued, &key), (&key_glued, &key_glued)] {
        let checked = read(chain.as_bytes(), key.as_bytes(), today());
        assert_eq!(checked.problems, []);
        assert_eq!(checked.certificate.unwrap().pair.chain, sound);
    }
}

/// A root, an intermediate and a leaf, and the leaf's key.
fn hierarchy() -> ([String; 3], String) {
    let ca = |name| {
        let mut params = params(&[]);
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(if name == "middle" { 2030 } else { 2040 }, 1, 1);
        params
    };
    let keys = [(); 3].map(|()| KeyPair::generate().unwrap());
    let root = ca("root").self_signed(&keys[0]).unwrap().pem();
    let issuer = Issuer::new(ca("root"), &keys[0]);
    let middle = ca("middle").signed_by(&keys[1], &issuer).unwrap().pem();
    let issuer = Issuer::new(ca("middle"), &keys[1]);
    let leaf = params(&["foo.example"]).signed_by(&keys[2], &issuer).unwrap().pem();
    ([root, middle, leaf], keys[2].serialize_pem())
}

#[test]
fn the_order_of_a_chain_is_told_and_the_leaf_goes_first() {
    let ([root, middle, leaf], key) = hierarchy();
    let stranger = issue(|params| params.distinguished_name = common_name("stranger")).0;
    for (chain, expected) in [
        (vec![&leaf], vec![]),
        (vec![&leaf, &middle], vec![]),
        (vec![&leaf, &middle, &root], vec![]),
        (vec![&leaf, &middle, &middle], vec![]),
        (vec![&leaf, &root, &middle], vec![Problem::OutOfOrder(2)]),
        (vec![&leaf, &middle, &stranger], vec![Problem::Stranger(3)]),
        (vec![&middle, &leaf], vec![Problem::LeafNotFirst(2)]),
        (vec![&root, &middle, &leaf], vec![Problem::LeafNotFirst(3), Problem::OutOfOrder(1)]),
    ] {
        let text: String = chain.iter().map(|text| text.as_str()).collect();
        let checked = read(text.as_bytes(), key.as_bytes(), today());
        assert_eq!(checked.problems, expected);
        let served = checked.certificate.unwrap().pair.chain.clone();
        assert!(served.starts_with(&leaf.replace("\r\n", "\n")), "{served}");
        assert_eq!(served.matches("BEGIN").count(), chain.len());
    }
    let checked = read(format!("{leaf}{middle}").as_bytes(), key.as_bytes(), day(2031, 1, 1));
    let time = "2030-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(checked.problems, [Problem::IssuerExpired(2, time)]);
}

#[test]
fn keys_of_all_kinds_are_compared() {
    for ((name, text), expected) in [
        (fixture!("p521"), &[][..]),
        (fixture!("ed25519"), &[]),
        (fixture!("rsa"), &[]),
        (fixture!("rsa-pkcs1"), &[]),
        (fixture!("rsa-exponent-3"), &[]),
        (fixture!("sec1-with-parameters"), &[]),
        (fixture!("sec1-without-public"), &[]),
        (fixture!("sha1"), &[Problem::WeakSignature("SHA-1")]),
        (fixture!("rsa-2040"), &[Problem::WeakKey(2040)]),
        (fixture!("rsa-pss"), &[Problem::UnsupportedKey]),
        (fixture!("secp256k1"), &[Problem::UnsupportedKey]),
        (fixture!("encrypted"), &[Problem::EncryptedKey]),
    ] {
        // Each reader takes only its own sections, as Envoy does.
        let checked = read(text.as_bytes(), text.as_bytes(), SystemTime::now());
        assert_eq!(checked.problems, expected, "{name}");
    }
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let pair = || {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let chain = params(&["a.example"]).self_signed(&key).unwrap().pem();
            (chain, key.serialize_pem())
        };
        let ((chain, key), (_, other)) = (pair(), pair());
        assert_eq!(read(chain.as_bytes(), key.as_bytes(), today()).problems, []);
        let mismatch = read(chain.as_bytes(), other.as_bytes(), today());
        assert_eq!(mismatch.problems, [Problem::Mismatch]);
    }
    let rsa = |fixture: (&str, &'static str)| fixture.1.as_bytes();
    let mismatch = read(rsa(fixture!("rsa-exponent-3")), rsa(fixture!("rsa")), SystemTime::now());
    assert_eq!(mismatch.problems, [Problem::Mismatch]);
    let mismatch = read(rsa(fixture!("p521")), rsa(fixture!("rsa")), SystemTime::now());
    assert_eq!(mismatch.problems, [Problem::Mismatch]);
}

#[test]
fn a_message_names_what_to_do_and_nothing_of_the_key() {
    let (chain, key) = issue(|_| ());
    let line = key.lines().nth(1).unwrap();
    // The library's message would repeat the line.
    let broken = key.replace(line, &format!("-----BEGIN {line}"));
    for key in [broken, key.replace("-----END", "-----"), key.replace('A', "?")] {
        let problems = read(chain.as_bytes(), key.as_bytes(), today()).problems;
        assert_eq!((problems.len(), problems[0].key()), (1, "tls.key"));
        let message = problems[0].to_string();
        assert!(message.contains("; ") && !message.contains(&line[..8]), "{message}");
    }
}

#[test]
fn a_wrong_tag_anywhere_is_told() {
    let text = fixture!("p521").1;
    let der = chain::read(text.as_bytes()).unwrap().remove(0).to_vec();
    // Offsets from asn1parse of OpenSSL: version, an OID, a SET, a string, a time,
    // the public key's sequence and curve, an extension's name.
    for (at, tag) in [
        (10, 0x0a),
        (53, 0x02),
        (49, 0x32),
        (109, 0x1c),
        (66, 0x57),
        (115, 0x10),
        (129, 0x0e),
        (343, 0x46),
    ] {
        let mut der = der.clone();
        assert_ne!(der[at], tag);
        der[at] = tag;
        let chain = pem::encode("CERTIFICATE", &der);
        let checked = read(chain.as_bytes(), text.as_bytes(), SystemTime::now());
        assert_eq!(checked.problems, [Problem::Malformed(1)], "{at}");
    }
}

/// A DER section with some bytes changed.
fn mutated(der: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut der = der.to_vec();
    for (index, byte) in changes {
        let index = index.index(der.len());
        der[index] = *byte;
    }
    der
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4)
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(chain: Vec<u8>, key: Vec<u8>) {
        prop_assert!(read(&chain, &key, today()).certificate.is_none());
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            let chain = pem::encode("CERTIFICATE", &chain);
            let key = pem::encode(label, &key);
            let checked = read(chain.as_bytes(), key.as_bytes(), today());
            prop_assert!(checked.certificate.is_none());
        }
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic(
        (chain_changes, key_changes) in (changes(), changes()),
        fixture in prop::sample::select(vec![
            fixture!("rsa-pkcs1"), fixture!("rsa"), fixture!("p521"), fixture!("sec1-without-public"),
        ]),
    ) {
        let text = fixture.1;
        let certificate = chain::read(text.as_bytes()).unwrap();
        let chain = pem::encode("CERTIFICATE", &mutated(&certificate[0], &chain_changes));
        let parsed = ::pem::parse_many(text).unwrap().into_iter().next_back().unwrap();
        let key = pem::encode(parsed.tag(), &mutated(parsed.contents(), &key_changes));
        let checked = read(chain.as_bytes(), key.as_bytes(), SystemTime::now());
        prop_assert_eq!(
            checked.certificate.is_none(),
            checked.problems.iter().any(|problem| problem.code().severity() == Severity::Error)
        );
        let _ = read(&mutated(text.as_bytes(), &chain_changes), text.as_bytes(), today());
        let _ = read(text.as_bytes(), &mutated(text.as_bytes(), &key_changes), today());
    }
}
