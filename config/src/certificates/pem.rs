//! Reads and writes PEM (RFC 7468).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::Error;
use zeroize::Zeroizing;

/// Separates the sections of `text` by newlines. If files are concatenated without a
/// newline, the end of one section and the beginning of the next are on one line, and
/// readers would silently lose the second section.
pub(super) fn unglued(text: &[u8]) -> Cow<'_, [u8]> {
    const END: &[u8] = b"-----";
    const SEAM: &[u8] = b"----------BEGIN ";
    let is_seam = |at: &usize| text.get(*at..).is_some_and(|rest| rest.starts_with(SEAM));
    let seams: Vec<_> = (0..text.len()).filter(is_seam).collect();
    if seams.is_empty() {
        return text.into();
    }
    let mut unglued = Vec::with_capacity(text.len() + seams.len());
    let mut rest = 0..0;
    for seam in seams {
        rest.end = seam + END.len();
        unglued.extend_from_slice(text.get(rest.clone()).unwrap_or_default());
        unglued.push(b'\n');
        rest.start = rest.end;
    }
    unglued.extend_from_slice(text.get(rest.start..).unwrap_or_default());
    unglued.into()
}

/// The reason why PEM cannot be read. The library's messages are not used, because they
/// repeat the input.
pub(super) fn describe(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a section has no end",
        Error::IllegalSectionStart { .. } => "a line that begins a section is malformed",
        Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be read",
    }
}

/// Writes a section. Intermediate values are wiped from memory.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    const LINE: usize = 64;
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let lines = base64.len().div_ceil(LINE);
    // Large enough, because growing would leave a copy in memory.
    let capacity = base64.len() + lines + 2 * label.len() + 34;
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}
