//! Secrets with a certificate and its private key.
//!
//! Findings never contain content of a Secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Cursor, Place, Reading};
use crate::finding::Code;
use crate::manifest::Object;

/// The types of such Secrets in Kubernetes
/// (<https://kubernetes.io/docs/concepts/configuration/secret/#secret-types>).
const TLS: &str = "kubernetes.io/tls";
const OPAQUE: &str = "Opaque";

/// The key with the certificates of authorities.
const CA: &str = "ca.crt";

/// A chain of certificates and a private key, not checked yet, with the places for findings
/// about them.
pub(crate) struct Secret {
    pub(crate) chain: Vec<u8>,
    pub(crate) chain_place: Place,
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) key_place: Place,
}

impl Secret {
    /// Reads a Secret. `None`, with findings, if it lacks one of the two.
    pub(crate) fn read(reading: &Reading<'_>) -> Option<Self> {
        let root = reading.root();
        if !is_of_a_type_for_it(&root) {
            return None;
        }
        let (chain, key) = (value(&root, "tls.crt"), value(&root, "tls.key"));
        let ((chain, chain_place), (key, key_place)) = (chain?, key?);
        Some(Self { chain: chain.to_vec(), chain_place, key, key_place })
    }
}

/// The certificates of authorities in a Secret of any type, not checked yet.
pub(crate) struct CaSecret {
    pub(crate) certificates: Vec<u8>,
    pub(crate) place: Place,
}

impl CaSecret {
    /// Reads a Secret. `None`, with a finding, if it has none.
    pub(crate) fn read(reading: &Reading<'_>) -> Option<Self> {
        let (certificates, place) = value(&reading.root(), CA)?;
        Some(Self { certificates: certificates.to_vec(), place })
    }

    /// The approximate number of bytes of the certificates, without reading them.
    pub(crate) fn size(secret: &Object) -> usize {
        let text = |mapping| secret.node.get(mapping)?.get(CA)?.as_str().map(str::len);
        text("stringData").or_else(|| Some(text("data")? / 4 * 3)).unwrap_or_default()
    }
}

fn is_of_a_type_for_it(root: &Cursor<'_>) -> bool {
    let Some(field) = root.field("type") else { return true };
    let is_right = matches!(field.node().as_str(), Some(TLS | OPAQUE | ""));
    if !is_right {
        let message = format!("is not a type of Secret that holds a certificate; write {TLS}");
        field.report(Code::SecretTypeNotValid, message);
    }
    is_right
}

/// The value of a key, and its position. As in Kubernetes, `stringData` has precedence
/// over `data`.
fn value(root: &Cursor<'_>, key: &str) -> Option<(Zeroizing<Vec<u8>>, Place)> {
    let text = mapping(root, "stringData")?;
    if let Some(field) = text.as_ref().and_then(|text| text.field(key)) {
        let bytes = Zeroizing::new(string(&field)?.as_bytes().to_vec());
        return Some((bytes, field.place()));
    }
    let data = mapping(root, "data")?;
    let Some(field) = data.as_ref().and_then(|data| data.field(key)) else {
        let holder = data.as_ref().unwrap_or(root);
        let name = if data.is_some() { key.to_owned() } else { format!("data.{key}") };
        holder.report_in(&name, Code::FieldMissing, format!("is missing; {}", remedy(key)));
        return None;
    };
    // Kubernetes ignores line breaks, as Go's decoder does.
    let base64: Zeroizing<Vec<u8>> =
        Zeroizing::new(string(&field)?.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect());
    let bytes = STANDARD.decode(&*base64).ok();
    if bytes.is_none() {
        let message = "is not valid base64; encode the file, or put its text under stringData";
        field.report(Code::SecretNotBase64, message);
    }
    Some((Zeroizing::new(bytes?), field.place()))
}

fn remedy(key: &str) -> &'static str {
    match key {
        CA => "give the certificates of the authorities that issue those of the service, in PEM",
        "tls.key" => "give the private key, in PEM",
        _ => "give the certificate and those that issued it, in PEM",
    }
}

/// The mapping in a field, if there is one; `None` for another value. The finding does not
/// repeat it, because it may be a private key.
#[expect(clippy::option_option, reason = "absent is not wrong")]
fn mapping<'a>(root: &'a Cursor<'a>, name: &'a str) -> Option<Option<Cursor<'a>>> {
    let Some(field) = root.field(name) else { return Some(None) };
    if field.node().as_map().is_none() {
        field.report(Code::WrongType, "must be a mapping of the keys of the Secret");
        return None;
    }
    Some(Some(field))
}

fn string<'a>(field: &Cursor<'a>) -> Option<&'a str> {
    let text = field.node().as_str();
    if text.is_none() {
        field.report(Code::WrongType, "must be a string; put it in quotes");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::finding::Findings;
    use crate::manifest;

    /// The content of a Secret with these fields, and the findings.
    fn read(fields: &str) -> (Option<(String, String)>, String) {
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{fields}");
        let manifests = manifest::read_text("a.yaml", &text);
        let findings = RefCell::new(Findings::new());
        let secret = Secret::read(&Reading::new(&manifests.objects[0], &findings));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let findings = findings.into_inner().into_sorted();
        let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
        let secret = secret.map(|secret| {
            assert_ne!(secret.chain_place, secret.key_place);
            (text(&secret.chain), text(&secret.key))
        });
        (secret, findings.join("\n"))
    }

    #[test]
    fn holds_a_chain_and_a_key() {
        for fields in [
            "type: kubernetes.io/tls\ndata: {tls.crt: Y2hhaW4=, tls.key: a2V5}",
            "type: Opaque\nstringData: {tls.crt: chain, tls.key: key}",
            "data: {tls.crt: x, tls.key: a2V5}\nstringData: {tls.crt: chain}",
            "data:\n  tls.key: a2V5\n  tls.crt: |\n    Y2hh\n    aW4=\n",
        ] {
            assert_eq!(read(fields), (Some(("chain".into(), "key".into())), String::new()));
        }
    }

    #[test]
    fn what_is_wrong_has_a_place_and_does_not_show_the_value() {
        for (fields, expected) in [
            ("", "1:1: error: Secret default/a: data.tls.crt: is missing; give the certificate"),
            ("data: {tls.crt: Y2hhaW4=}", "4:7: error: Secret default/a: data.tls.key: is missing"),
            ("data: hunter2", "4:7: error: Secret default/a: data: must be a mapping"),
            (
                "stringData: [hunter2]",
                "4:13: error: Secret default/a: stringData: must be a mapping",
            ),
            (
                "data: {tls.crt: Y2hhaW4=, tls.key: hunter-2}",
                "4:36: error: Secret default/a: data.tls.key: is not valid base64; encode",
            ),
            (
                "stringData: {tls.crt: Y2hhaW4=, tls.key: 271828}",
                "4:42: error: Secret default/a: stringData.tls.key: must be a string",
            ),
            (
                "type: hunter2\ndata: {tls.crt: Y2hhaW4=, tls.key: a2V5}",
                "4:7: error: Secret default/a: type: is not a type of Secret that holds a certificate; write kubernetes.io/tls",
            ),
        ] {
            let (secret, findings) = read(fields);
            assert!(secret.is_none(), "{fields}");
            assert!(findings.starts_with(&format!("a.yaml:{expected}")), "{findings}");
            for value in ["hunter", "271828", "Y2hh"] {
                assert!(!findings.contains(value), "{findings}");
            }
        }
    }
}
