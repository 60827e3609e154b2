//! Tests of keys with one wrong value. `BoringSSL`, and so Envoy, rejects each.

use super::*;

/// The numbers of an RSA key, in the order of their sequence.
const NUMBERS: [&str; 9] = [
    "the version",
    "the modulus",
    "the public exponent",
    "the private exponent",
    "the first prime",
    "the second prime",
    "the first prime's exponent",
    "the second prime's exponent",
    "the coefficient",
];

/// The problems of a fixture with a changed key.
fn problems_of(fixture: (&str, &str), change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<Problem> {
    let (_, text) = fixture;
    let key = ::pem::parse_many(text).unwrap().pop().unwrap();
    let key = pem::encode(key.tag(), &change(key.contents().to_vec()));
    read(text.as_bytes(), key.as_bytes(), SystemTime::now()).problems
}

/// One value, with its tag and length.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match length {
        [0, short @ 0..=0x7f] => vec![tag, short],
        [0, length] => vec![tag, 0x81, length],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&header, content].concat()
}

/// The values in a sequence.
fn values(der: &[u8]) -> Vec<(u8, Vec<u8>)> {
    der::sequence(der, |der| {
        let mut values = Vec::new();
        while !der.is_empty() {
            values.push(der.any().map(|(tag, content)| (tag, content.to_vec()))?);
        }
        Some(values)
    })
    .unwrap()
}

fn sequence_of(values: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let content: Vec<_> = values.iter().flat_map(|(tag, content)| value(*tag, content)).collect();
    value(0x30, &content)
}

/// Changes the value at an index in the sequence of a key.
fn with(index: usize, change: impl FnOnce(&mut (u8, Vec<u8>))) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |der| {
        let mut values = values(&der);
        change(&mut values[index]);
        sequence_of(&values)
    }
}

fn flip_last(value: &mut (u8, Vec<u8>)) {
    // Not the lowest bit, because most numbers of a key are odd.
    *value.1.last_mut().unwrap() ^= 2;
}

#[test]
fn an_rsa_key_has_nine_numbers_that_fit_together() {
    assert_eq!(problems_of(fixture!("rsa-pkcs1"), |der| der), []);
    assert_eq!(problems_of(fixture!("rsa-pkcs1"), |der| sequence_of(&values(&der))), []);
    for (index, name) in NUMBERS.into_iter().enumerate() {
        let found = problems_of(fixture!("rsa-pkcs1"), with(index, flip_last));
        assert_eq!(found, [Problem::MalformedKey], "{name} is another");
        let negative = with(index, |(_, content)| *content = vec![0xff]);
        let found = problems_of(fixture!("rsa-pkcs1"), negative);
        assert_eq!(found, [Problem::MalformedKey], "{name} is negative");
        let missing = |der: Vec<u8>| {
            let mut values = values(&der);
            values.remove(index);
            sequence_of(&values)
        };
        let found = problems_of(fixture!("rsa-pkcs1"), missing);
        assert!(!found.is_empty(), "{name} is missing");
    }
    // Wrong numbers are also found in a key with an exponent of 3.
    for (index, name) in NUMBERS.into_iter().enumerate().skip(1) {
        let of_pkcs8 = with(2, |(_, key)| *key = with(index, flip_last)(std::mem::take(key)));
        let found = problems_of(fixture!("rsa-exponent-3"), of_pkcs8);
        assert_eq!(found, [Problem::MalformedKey], "{name}");
    }
}

#[test]
fn a_key_is_der_of_the_structure_that_it_should_have() {
    let trailing = |mut der: Vec<u8>| {
        der.push(0);
        der
    };
    let trailing_inside = |der: Vec<u8>| {
        let mut values = values(&der);
        values.push((5, Vec::new()));
        sequence_of(&values)
    };
    let long_length = |der: Vec<u8>| {
        let content: Vec<_> =
            values(&der).iter().flat_map(|(tag, content)| value(*tag, content)).collect();
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[0x30, 0x84], &length[..], &content].concat()
    };
    for fixture in [
        fixture!("rsa-pkcs1"),
        fixture!("rsa"),
        fixture!("p521"),
        fixture!("sec1-with-parameters"),
        fixture!("ed25519"),
    ] {
        let name = fixture.0;
        assert_eq!(problems_of(fixture, trailing), [Problem::MalformedKey], "{name}");
        assert_eq!(problems_of(fixture, trailing_inside), [Problem::MalformedKey], "{name}");
        assert_eq!(problems_of(fixture, long_length), [Problem::MalformedKey], "{name}");
    }
}

#[test]
fn the_wrapping_of_a_key_is_as_it_should_be() {
    // PrivateKeyInfo: version, algorithm, key.
    for (name, index, change) in [
        ("version 251", 0, (|(_, version)| *version = vec![0xfb]) as fn(&mut (u8, Vec<u8>))),
        ("a version that is an enumeration", 0, |(tag, _)| *tag = 0x0a),
        ("an algorithm that is a set", 1, |(tag, _)| *tag = 0x31),
        ("an OID that is an octet string", 1, |(_, algorithm)| algorithm[0] = 4),
        ("an OID that does not end", 1, |(_, algorithm)| algorithm[10] |= 0x80),
        ("a key that is a bit string", 2, |(tag, _)| *tag = 3),
        ("a key with more after it", 2, |(_, key)| key.extend([5, 0])),
    ] {
        let found = problems_of(fixture!("rsa"), with(index, change));
        assert_eq!(found, [Problem::MalformedKey], "{name}");
    }
    let without_null = with(1, |(_, algorithm)| algorithm.truncate(algorithm.len() - 2));
    assert_eq!(problems_of(fixture!("rsa"), without_null), [Problem::UnsupportedKey]);
    let with_null = with(1, |(_, algorithm)| algorithm.extend([5, 0]));
    assert_eq!(problems_of(fixture!("ed25519"), with_null), [Problem::UnsupportedKey]);
    let other_curve = with(1, |(_, algorithm)| *algorithm.last_mut().unwrap() = 34);
    assert_eq!(problems_of(fixture!("p521"), other_curve), [Problem::MalformedKey]);
    let newer = with(0, |(_, version)| *version = vec![1]);
    assert_eq!(problems_of(fixture!("ed25519"), newer), [Problem::NewerPkcs8]);
}

#[test]
fn the_public_key_of_a_certificate_says_what_it_is_of_as_it_should() {
    // Certificate: the signed part; its public key: algorithm, key.
    let problems_of = |(_, text): (&str, &str), change: fn(&mut (u8, Vec<u8>))| {
        let certificate = chain::read(text.as_bytes()).unwrap().remove(0);
        let in_key = |(_, key): &mut (u8, Vec<u8>)| {
            *key = inside(with(0, change), key);
        };
        let in_signed = |(_, signed): &mut (u8, Vec<u8>)| {
            *signed = inside(with(6, in_key), signed);
        };
        let chain = pem::encode("CERTIFICATE", &with(0, in_signed)(certificate.to_vec()));
        read(chain.as_bytes(), text.as_bytes(), SystemTime::now()).problems
    };
    assert_eq!(problems_of(fixture!("rsa"), |_| ()), []);
    let without_null = |(_, algorithm): &mut (u8, Vec<u8>)| algorithm.truncate(11);
    assert_eq!(problems_of(fixture!("rsa"), without_null), [Problem::Mismatch]);
    let with_null = |(_, algorithm): &mut (u8, Vec<u8>)| algorithm.extend([5, 0]);
    assert_eq!(problems_of(fixture!("ed25519"), with_null), [Problem::Mismatch]);
    // The last seven bytes are the OID of the curve.
    let other_tag = |(_, algorithm): &mut (u8, Vec<u8>)| algorithm[9] = 0x30;
    assert_eq!(problems_of(fixture!("p521"), other_tag), [Problem::Mismatch]);
    let without_curve = |(_, algorithm): &mut (u8, Vec<u8>)| algorithm.truncate(9);
    assert_eq!(problems_of(fixture!("p521"), without_curve), [Problem::Mismatch]);
}

/// Changes the values in the content of a sequence.
fn inside(change: impl FnOnce(Vec<u8>) -> Vec<u8>, content: &[u8]) -> Vec<u8> {
    let values = values(&change(value(0x30, content)));
    values.iter().flat_map(|(tag, content)| value(*tag, content)).collect()
}

#[test]
fn a_key_on_a_curve_has_the_public_half_that_it_says() {
    // ECPrivateKey: version, scalar, curve, public key.
    type Change = fn(Vec<u8>) -> Vec<u8>;
    let of_p521 = |change: Change| {
        with(2, move |(_, key): &mut (u8, Vec<u8>)| *key = change(std::mem::take(key)))
    };
    let changes: [(&str, Change); 7] = [
        ("version 251", |der| with(0, |(_, version)| *version = vec![0xfb])(der)),
        ("another scalar", |der| with(1, flip_last)(der)),
        ("no scalar", |der| with(1, |(_, scalar)| scalar.fill(0))(der)),
        ("a scalar greater than the order", |der| with(1, |(_, scalar)| scalar.fill(0xff))(der)),
        ("another public key", |der| {
            let last = values(&der).len() - 1;
            with(last, flip_last)(der)
        }),
        ("a public key with unused bits", |der| {
            let last = values(&der).len() - 1;
            let at = |point: &[u8]| if point[1] < 0x80 { 2 } else { 3 };
            with(last, move |(_, point)| {
                let at = at(point);
                point[at] = 1;
            })(der)
        }),
        ("an empty public key", |der| {
            let last = values(&der).len() - 1;
            with(last, |(_, point)| *point = vec![3, 1, 0])(der)
        }),
    ];
    for (name, change) in changes {
        let found = problems_of(fixture!("p521"), of_p521(change));
        assert_eq!(found, [Problem::MalformedKey], "{name}, P-521");
        let found = problems_of(fixture!("sec1-with-parameters"), change);
        assert_eq!(found, [Problem::MalformedKey], "{name}, P-256");
    }
    let other = with(1, flip_last);
    assert_eq!(problems_of(fixture!("sec1-without-public"), other), [Problem::Mismatch]);
    // Leading zeros of a number are not part of it.
    let longer = with(1, |(_, scalar)| scalar.insert(0, 0));
    assert_eq!(problems_of(fixture!("sec1-with-parameters"), longer), []);
}
