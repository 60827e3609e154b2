//! Tests of the flat form of a table: it has the same content as the JSON form, and no
//! bytes make it trap.

use ingress_filter::{FlatTable, LoadError, RouteTable, Router, Verdict};
use proptest::prelude::*;

/// A table that uses every field.
fn everything() -> RouteTable {
    serde_json::from_str(include_str!("everything.json")).unwrap()
}

/// The same bytes with the digest of their content.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((head, content)) = bytes.split_at_mut_checked(16) {
        head[8..].copy_from_slice(&twox_hash::XxHash64::oneshot(0, content).to_le_bytes());
    }
    bytes
}

/// Calls all functions of a router.
fn exercise(router: &Router) {
    for host in ["a.example", "x.a.example:80", "[::1]", "b.example", "", "a@b"] {
        for path in ["/a", "/a/b?c", "/abc", "/c12", "/", "*"] {
            let headers = [
                (":authority", host),
                (":path", path),
                (":method", "GET"),
                ("x-forwarded-proto", "https"),
                ("cookie", "user=a"),
                ("origin", "https://a.example"),
            ];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.into()));
            let decision = router.decide(&headers[..]);
            assert!(!matches!(decision.verdict, Verdict::Respond(0)));
        }
        router.certificate(host.as_bytes());
    }
    router.name();
}

/// Whether bytes are accepted as a table. If so, calls all functions of its router.
fn is_taken(bytes: Vec<u8>) -> bool {
    let Ok(table) = FlatTable::parse(bytes) else { return false };
    // A record that cannot be read is an error, never a panic.
    let _ = table.decode();
    let Ok(router) = Router::from_flat(table) else { return false };
    exercise(&router);
    true
}

#[test]
fn both_forms_say_the_same() {
    let table = everything();
    let flat = FlatTable::encode(&table).unwrap();
    let decoded = flat.decode().unwrap();
    assert_eq!(decoded, table);
    assert_eq!(FlatTable::encode(&decoded).unwrap(), flat);
    assert_eq!(FlatTable::parse(flat.bytes().to_vec()).unwrap(), flat);
}

#[test]
fn a_table_that_is_not_as_it_was_made_is_refused() {
    let flat = FlatTable::encode(&everything()).unwrap().into_bytes();
    for at in 0..flat.len() {
        let mut damaged = flat.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = FlatTable::parse(damaged).unwrap_err();
        let expected_version = at < 8;
        assert_eq!(matches!(error, LoadError::FlatVersion), expected_version, "byte {at}");
        assert!(FlatTable::parse(flat[..at].to_vec()).is_err(), "cut at {at}");
    }
}

#[test]
fn no_table_that_was_made_wrong_is_a_trap() {
    let flat = FlatTable::encode(&everything()).unwrap().into_bytes();
    let mut taken = 0;
    for at in 16..flat.len() {
        for value in [0, 1, 0x7f, 0xff, flat[at].wrapping_add(1), flat[at].wrapping_sub(1)] {
            let mut wrong = flat.clone();
            wrong[at] = value;
            taken += u32::from(is_taken(sealed(wrong)));
        }
        is_taken(sealed(flat[..at].to_vec()));
    }
    assert!(taken > 1000, "only {taken} came as far as a request");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_or_answer(
        content in prop::collection::vec(any::<u8>(), 0..400),
        root in 0..400_u32,
    ) {
        prop_assert!(!is_taken(content.clone()));
        let head = [&b"INGRESS\x04"[..], &[0; 8], &root.to_le_bytes()].concat();
        is_taken(sealed([head, content].concat()));
    }

    #[test]
    fn any_damage_is_refused_and_sealed_again_answers(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut flat = FlatTable::encode(&everything()).unwrap().into_bytes();
        let made = flat.clone();
        for (at, value) in edits {
            let at = at.index(flat.len() - 16) + 16;
            flat[at] = value;
        }
        prop_assert_eq!(is_taken(flat.clone()), flat == made);
        is_taken(sealed(flat));
    }
}
