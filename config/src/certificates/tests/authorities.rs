use super::*;
use crate::finding::Code;

fn authority(end: (i32, u8, u8)) -> (String, String) {
    issue(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(end.0, end.1, end.2);
    })
}

fn read_all(text: &str) -> Checked<Authorities> {
    read_authorities(text.as_bytes(), today())
}

#[test]
fn all_certificates_are_kept_and_nothing_else() {
    let (one, key) = authority((2030, 1, 1));
    let (two, _) = authority((2040, 1, 1));
    let text = format!("# one\r\n{}{key}\n{two}", one.trim_end());
    let checked = read_all(&text);
    assert_eq!(checked.problems, []);
    let authorities = checked.certificate.unwrap();
    assert_eq!(authorities.pem, (one.clone() + &two).replace('\r', ""));
    assert_eq!(authorities.turns_after(today()), Some(day(2030, 1, 1) + Duration::from_secs(1)));
    assert_eq!(authorities.turns_after(day(2041, 1, 1)), None);
    let again = read_all(&(one.clone() + &two)).certificate.unwrap();
    assert_eq!((&again, again.fingerprint()), (&authorities, authorities.fingerprint()));
    assert_ne!(read_all(&one).certificate.unwrap().fingerprint(), authorities.fingerprint());
}

/// Envoy accepts it, and a certificate that is self-signed is its own authority.
#[test]
fn a_certificate_of_a_server_may_be_trusted() {
    assert!(read_all(&issue(|_| ()).0).certificate.is_some());
}

#[test]
fn one_that_has_expired_is_a_warning() {
    let text = authority((2030, 1, 1)).0 + &authority((2025, 1, 1)).0;
    let checked = read_all(&text);
    assert!(checked.certificate.is_some());
    let [problem] = &checked.problems[..] else { panic!("{:?}", checked.problems) };
    assert_eq!(problem.code(), Code::IssuerExpired);
    assert!(problem.to_string().starts_with("certificate 2 expired at 2025-01-01"), "{problem}");
}

#[test]
fn what_envoy_would_reject_is_an_error() {
    let (good, key) = authority((2030, 1, 1));
    let malformed = pem::encode("CERTIFICATE", b"x").to_string();
    for (text, expected) in [
        (String::new(), Problem::NoAuthority),
        (key, Problem::NoAuthority),
        (good.clone() + &malformed, Problem::MalformedAuthority(2)),
        (
            good.clone() + "-----BEGIN CERTIFICATE-----\nAA",
            Problem::BrokenAuthorities("a section has no end"),
        ),
        (good.repeat(1_000), Problem::AuthoritiesTooLarge),
    ] {
        let checked = read_all(&text);
        assert!(checked.certificate.is_none());
        assert_eq!(checked.problems, [expected]);
    }
}

#[test]
fn a_certificate_of_the_gateway_need_not_be_for_servers() {
    let (chain, key) = issue(|params| {
        params.subject_alt_names.clear();
        params.distinguished_name = common_name("gateway");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(2030, 1, 1);
    });
    let read = |role| read_for(role, chain.as_bytes(), key.as_bytes(), today()).problems;
    assert_eq!(read(Role::Client), []);
    assert_eq!(read(Role::Server), [Problem::NotForServers, Problem::NoHosts]);
    let expired = Problem::Expired("2026-03-01T00:00:00Z".parse().unwrap());
    assert!(expired.message(Role::Client).ends_with("so servers reject it; renew it"));
    assert_eq!(expired.message(Role::Server), expired.to_string());
    let mismatch = read_for(Role::Client, chain.as_bytes(), issue(|_| ()).1.as_bytes(), today());
    assert_eq!(mismatch.problems, [Problem::Mismatch]);
}
