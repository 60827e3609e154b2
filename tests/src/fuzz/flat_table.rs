//! Bytes of a table in its flat form, and a request.

use ingress_filter::{FlatTable, Router};

use super::input;

/// Loads a table with a valid digest and any other content: the matcher decides
/// about the request.
///
/// # Panics
/// If it panics.
pub fn flat_table(input: &[u8]) -> bool {
    let Some((asked, table)) = input::split(input) else { return false };
    let Ok(table) = FlatTable::parse(sealed(table.to_vec())) else { return false };
    let Ok(router) = Router::from_flat(table) else { return false };
    router.decide(&asked);
    let _ = router.find(&asked.authority(), &asked.target());
    let _ = router.certificate(&asked.authority());
    true
}

/// The same bytes with the magic and the digest of their content.
pub fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((head, content)) = bytes.split_at_mut_checked(16) {
        head[..8].copy_from_slice(b"INGRESS\x04");
        head[8..].copy_from_slice(&twox_hash::XxHash64::oneshot(0, content).to_le_bytes());
    }
    bytes
}
