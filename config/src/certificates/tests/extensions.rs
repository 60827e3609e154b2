//! Tests of the extensions that `BoringSSL` reads, and of those that it rejects.

use super::*;

/// The last number of an OID below 2.5.29, the name of the extension, valid contents,
/// and malformed ones.
type Kind = (u64, &'static str, &'static [&'static [u8]], &'static [&'static [u8]]);

const KINDS: [Kind; 8] = [
    (
        15,
        "keyUsage",
        &[&[3, 2, 7, 0x80], &[3, 3, 7, 0x80, 0x80]],
        // Empty, no bits, unused bits that are set, more than present, or too many; another
        // tag, and bytes after it.
        &[
            &[],
            &[3, 0],
            &[3, 2, 7, 0x81],
            &[3, 1, 7],
            &[3, 2, 8, 0],
            &[4, 2, 7, 0x80],
            &[3, 2, 7, 0x80, 3, 2, 7, 0x80],
        ],
    ),
    (
        19,
        "basicConstraints",
        &[&[0x30, 0], &[0x30, 3, 1, 1, 0], &[0x30, 6, 1, 1, 0xff, 2, 1, 0]],
        // Neither true nor false, a negative length, an empty one, bytes after it.
        &[
            &[0x31, 0],
            &[0x30, 3, 1, 1, 2],
            &[0x30, 6, 1, 1, 0xff, 2, 1, 0xff],
            &[0x30, 5, 1, 1, 0xff, 2, 0],
            &[0x30, 2, 5, 0],
            &[0x30, 0, 0],
        ],
    ),
    (
        37,
        "extKeyUsage",
        &[&[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1]],
        &[&[0x30, 2, 6, 0], &[0x30, 3, 6, 1, 0x80], &[0x30, 2, 5, 0], &[6, 1, 1]],
    ),
    (
        17,
        "subjectAltName",
        &[
            &[0x30, 3, 0x82, 1, b'a'],
            // An otherName, an ediPartyName, a directoryName, a registeredID.
            &[0x30, 9, 0xa0, 7, 6, 1, 0x2a, 0xa0, 2, 0x0c, 0],
            &[0x30, 6, 0xa5, 4, 0xa1, 2, 0x0c, 0],
            &[0x30, 4, 0xa4, 2, 0x30, 0],
            &[0x30, 3, 0x88, 1, 0x2a],
        ],
        &[
            &[0x30, 2, 0x89, 0],
            &[0x30, 2, 0xa2, 0],
            &[0x30, 2, 0xa0, 0],
            &[0x30, 9, 0xa0, 7, 6, 1, 0x2a, 0xa0, 2, 0x02, 0],
            &[0x30, 6, 0xa5, 4, 0xa1, 2, 0x16, 0],
            &[0x30, 4, 0xa4, 2, 0x31, 0],
            &[0x30, 3, 0x88, 1, 0x80],
            &[0x82, 1, b'a'],
        ],
    ),
    (
        30,
        "nameConstraints",
        &[&[0x30, 0], &[0x30, 7, 0xa0, 5, 0x30, 3, 0x82, 1, b'a']],
        &[
            &[0x30, 2, 0xa2, 0],
            &[0x30, 4, 0xa0, 2, 0x30, 0],
            &[0x30, 9, 0xa1, 7, 0x30, 5, 0x82, 1, b'a', 0x80, 0],
        ],
    ),
    (
        31,
        "cRLDistributionPoints",
        &[
            &[0x30, 9, 0x30, 7, 0xa0, 5, 0xa0, 3, 0x86, 1, b'a'],
            &[0x30, 6, 0x30, 4, 0xa0, 2, 0xa1, 0],
        ],
        // 0x2f instead of 0x30, a name of another kind, and reasons with too many bits.
        &[
            &[0x2f, 9, 0x30, 7, 0xa0, 5, 0xa0, 3, 0x86, 1, b'a'],
            &[0x30, 6, 0x30, 4, 0xa0, 2, 0xa2, 0],
            &[0x30, 5, 0x30, 3, 0x81, 1, 1],
        ],
    ),
    (14, "subjectKeyIdentifier", &[&[4, 0], &[4, 1, 9]], &[&[], &[3, 1, 0], &[4, 0, 0]]),
    (
        35,
        "authorityKeyIdentifier",
        &[&[0x30, 0], &[0x30, 3, 0x80, 1, 9], &[0x30, 5, 0xa1, 0, 0x82, 1, 9]],
        &[&[0x30, 2, 4, 0], &[0x30, 3, 0x82, 0], &[0x30, 4, 0xa1, 2, 4, 0], &[4, 0]],
    ),
];

fn extension(number: u64, content: &[u8]) -> impl FnOnce(&mut CertificateParams) + use<> {
    let extension = CustomExtension::from_oid_content(&[2, 5, 29, number], content.to_vec());
    move |params| {
        if number == 17 {
            params.subject_alt_names.clear();
        }
        params.custom_extensions.push(extension);
    }
}

#[test]
fn a_malformed_extension_is_told() {
    for (number, name, sound, malformed) in KINDS {
        let malformed = malformed.iter().map(|content| (content, true));
        for (content, is_malformed) in sound.iter().map(|content| (content, false)).chain(malformed)
        {
            let problems = problems(extension(number, content));
            let expected = match name {
                "keyUsage" => Problem::MalformedKeyUsage,
                _ => Problem::MalformedExtension(1, name),
            };
            let told = problems.contains(&expected);
            assert_eq!(told, is_malformed, "{name} {content:x?}: {problems:?}");
            assert!(!problems.iter().any(|problem| matches!(problem, Problem::Malformed(_))));
        }
    }
}

#[test]
fn a_malformed_extension_of_an_issuer_is_told() {
    let (leaf, key) = issue(|_| ());
    for (number, name, _, malformed) in KINDS {
        let (issuer, _) = issue(extension(number, malformed[0]));
        let chain = format!("{leaf}{issuer}");
        let problems = read(chain.as_bytes(), key.as_bytes(), today()).problems;
        assert_eq!(problems, [Problem::MalformedExtension(2, name)]);
    }
}

#[test]
fn a_path_has_a_length_below_a_ca_alone() {
    let without = extension(19, &[0x30, 3, 2, 1, 0]);
    assert_eq!(problems(without), [Problem::PathLengthWithoutCa(1)]);
    assert_eq!(problems(extension(19, &[0x30, 6, 1, 1, 0xff, 2, 1, 0])), []);
}

#[test]
fn a_name_of_no_characters_is_told() {
    for (name, is_sound) in [
        ("\u{fffd}", true),
        ("\u{10fffd}", true),
        ("\u{ffff}", false),
        ("\u{fdd0}", false),
        ("\u{1fffe}", false),
    ] {
        let expected = if is_sound { vec![] } else { vec![Problem::Malformed(1)] };
        let problems = problems(|params| params.distinguished_name = common_name(name));
        assert_eq!(problems, expected, "{name:?}");
    }
}

/// A value in DER, its length in one byte or three.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let [.., high, low] = length;
    let head = if content.len() < 0x80 { vec![tag, low] } else { vec![tag, 0x82, high, low] };
    [&head, content].concat()
}

/// The signed part of a certificate, changed.
fn with_parts(change: impl FnOnce(&mut Vec<(u8, Vec<u8>)>)) -> Vec<u8> {
    let (chain, _) = issue(|params| params.distinguished_name = common_name(&"a".repeat(100)));
    let der = chain::read(chain.as_bytes()).unwrap().remove(0);
    let parts = |content: &[u8]| {
        let mut der = der::Der::new(content);
        let mut parts = Vec::new();
        while !der.is_empty() {
            let (tag, content) = der.any().unwrap();
            parts.push((tag, content.to_vec()));
        }
        parts
    };
    let join = |parts: &[(u8, Vec<u8>)]| -> Vec<u8> {
        parts.iter().flat_map(|(tag, content)| value(*tag, content)).collect()
    };
    let mut outer = parts(&parts(&der)[0].1);
    let mut signed = parts(&outer[0].1);
    change(&mut signed);
    outer[0].1 = join(&signed);
    value(0x30, &join(&outer))
}

#[test]
fn identifiers_have_whole_bits_and_a_version_that_has_them() {
    let with_id = |version: &'static [u8], id: &'static [u8]| {
        with_parts(move |parts| {
            parts.truncate(7);
            parts.push((0x81, id.to_vec()));
            match version {
                [] => drop(parts.remove(0)),
                version => parts[0].1 = version.to_vec(),
            }
        })
    };
    for (version, id, is_sound) in [
        (&[2, 1, 1][..], &[0, 9][..], true),
        (&[2, 1, 2], &[1, 8], true),
        (&[2, 1, 1], &[1, 9], false),
        (&[2, 1, 1], &[], false),
        (&[2, 1, 0], &[0, 9], false),
        (&[], &[0, 9], false),
    ] {
        let der = with_id(version, id);
        assert_eq!(strict::is_certificate(&der), is_sound, "{version:?} {id:?}");
    }
    assert!(strict::is_certificate(&with_parts(|parts| parts.truncate(7))));
}

#[test]
fn extensions_take_version_3() {
    let with = |number: u8| with_parts(|parts| parts[0].1 = vec![2, 1, number]);
    assert_eq!(
        [2, 1, 0, 3].map(|number| strict::is_certificate(&with(number))),
        [true, false, false, false]
    );
}

#[test]
fn a_time_is_one_that_there_is() {
    for (tag, time, is_sound) in [
        (0x17, "500101000000Z", true),
        (0x17, "000229235959Z", true),
        (0x18, "20500101000000Z", true),
        (0x17, "010229000000Z", false),
        (0x17, "001301000000Z", false),
        (0x17, "000101240000Z", false),
        (0x17, "000101000060Z", false),
        (0x17, "0001010000Z", false),
        (0x17, "000101000000+0000", false),
        (0x18, "205001010000Z", false),
        (0x18, "20500101000000.5Z", false),
        (0x18, "20500230000000Z", false),
        (0x18, "20500101000000", false),
    ] {
        let times = [value(tag, time.as_bytes()), value(0x18, b"20990101000000Z")].concat();
        let der = with_parts(|parts| parts[4].1 = times);
        assert_eq!(strict::is_certificate(&der), is_sound, "{time}");
    }
}

#[test]
fn the_algorithm_that_signs_is_the_one_that_is_signed() {
    let other = with_parts(|parts| {
        *parts[2].1.last_mut().unwrap() ^= 1;
    });
    assert!(!strict::is_certificate(&other));
    for (serial, is_sound) in [(&[0][..], true), (&[0x80], true), (&[], false), (&[0, 1], false)] {
        let der = with_parts(|parts| parts[1].1 = serial.to_vec());
        assert_eq!(strict::is_certificate(&der), is_sound, "{serial:?}");
    }
}
