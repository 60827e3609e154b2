//! `BoringSSL` accepts the certificates that pass our checks, as Envoy and as a
//! client.

#![no_main]

#[cfg(feature = "boringssl")]
mod boringssl;
mod der;

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};

use der::Der;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(served) = ingress_tests::fuzz::certificates(input) else {
        // A valid certificate is closer to other valid ones.
        return Corpus::Reject;
    };
    #[cfg(feature = "boringssl")]
    compare(&served);
    drop(served);
    Corpus::Keep
});

#[cfg(feature = "boringssl")]
fn compare(served: &ingress_tests::fuzz::ServedCertificate) {
    let (chain, key) = (&served.chain, &served.key);
    if let Err(reason) = boringssl::check(chain, key) {
        panic!("BoringSSL rejects it: {reason}\n{chain}{key}");
    }
    // These are warnings, because Envoy accepts them.
    let is_told =
        |warning: &String| warning.contains("pathLenConstraint") || warning.contains("malformed");
    let is_doubtful = served.warnings.iter().any(is_told);
    let is_legible = boringssl::is_legible(chain).unwrap_or_default();
    assert!(is_legible || is_doubtful, "BoringSSL cannot read an extension\n{chain}");
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Sometimes the text itself is changed.
    let mutated = if seed.is_multiple_of(16) { None } else { mutate(&data[..size], seed) };
    match mutated.filter(|text| text.len() <= max_size) {
        Some(text) => {
            data[..text.len()].copy_from_slice(&text);
            text.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});

/// Changes a part of one section; the enclosing lengths stay valid.
fn mutate(text: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut sections = pem::parse_many(text).ok()?;
    let mut random = der::Random::new(seed);
    let index = random.below(sections.len())?;
    let section = &sections[index];
    let mut content = Der::parse(section.contents());
    content.mutate(&mut random);
    sections[index] = pem::Pem::new(section.tag(), content.encode());
    Some(pem::encode_many(&sections).into_bytes())
}
