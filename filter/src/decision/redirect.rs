//! A client that is sent elsewhere.

use super::Verdict;
use super::cors::{self, Asked};
use super::request::Request;
use super::view::View;
use crate::headers::HeaderEdit;
use crate::rules::Redirect;

impl Redirect {
    pub(super) fn decide<R: Request + ?Sized>(
        &self,
        view: &View<'_, R>,
    ) -> (Verdict<'_>, Vec<HeaderEdit<'_>>) {
        let mut headers = match cors::ask(self.cors.as_ref(), view) {
            Asked::Preflight(headers) => return (Verdict::Respond(200), headers),
            Asked::Other(headers) => headers,
        };
        headers.push(HeaderEdit::set("location", self.location(view)));
        (Verdict::Respond(302), headers)
    }

    fn location<R: Request + ?Sized>(&self, view: &View<'_, R>) -> Vec<u8> {
        let scheme = if view.is_https() { &b"https"[..] } else { b"http" };
        let authority = self.authority.as_ref().map_or(view.authority(), |text| text.as_bytes());
        let (path, query) = view.path_and_query();
        let path = self.path.as_ref().map_or(path, |path| path.as_bytes());
        let query = if self.keeps_query { query } else { &[] };
        // HTTP/1.0 may come without a host. Then the path alone has to do: it
        // is the rule's own, for one of the two the rule has.
        url(scheme, authority, (path, query))
    }
}

/// An absolute URL (RFC 9110 section 10.2.2): no path of a client's, however it
/// begins, can become a host in it. Without a host, the path alone.
pub(super) fn url(scheme: &[u8], authority: &[u8], (path, query): (&[u8], &[u8])) -> Vec<u8> {
    let mut url = Vec::new();
    if !authority.is_empty() {
        url.extend_from_slice(scheme);
        url.extend_from_slice(b"://");
        url.extend_from_slice(authority);
    }
    append_encoded(&mut url, path);
    append_encoded(&mut url, query);
    url
}

/// Appends visible ASCII as it is and all else percent-encoded: Envoy lets no
/// such byte through, whoever calls us otherwise might.
fn append_encoded(text: &mut Vec<u8>, part: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in part {
        if byte.is_ascii_graphic() {
            text.push(*byte);
        } else {
            let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
            text.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
