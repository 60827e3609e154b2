//! Redirects a client.

use super::checks::check_target;
use super::cors::{Asked, Cors};
use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::{At, Bytes, Text, record};
use crate::headers::HeaderEdit;
use crate::request::Request;
use crate::table;
use crate::verdict::{Applied, Verdict};
use crate::view::View;

record! {
    pub(crate) struct Redirect {
        path: Option<Text>,
        keeps_query: bool,
        authority: Option<Text>,
        cors: Option<At<Cors>>,
    }
}

impl Redirect {
    pub(super) fn encode(
        redirect: &table::Redirect,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let table::Redirect { path, authority, cors } = redirect;
        check_target(path.as_ref(), authority.as_ref(), place)?;
        Ok(Self {
            path: encoder.shared_option(path.as_ref()),
            keeps_query: path.as_ref().is_none_or(|path| !path.contains('?')),
            authority: encoder.shared_option(authority.as_ref()),
            cors: Cors::encode_option(cors.as_ref(), encoder, &place.field("cors"))?,
        })
    }

    pub(super) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Redirect, Broken> {
        Ok(table::Redirect {
            path: bytes.string_option(self.path)?,
            authority: bytes.string_option(self.authority)?,
            cors: bytes.option(self.cors)?.map(|cors| cors.decode(bytes)).transpose()?,
        })
    }

    pub(super) fn apply<'t, R: Request + ?Sized>(
        &self,
        bytes: Bytes<'t>,
        view: &View<'_, R>,
    ) -> Result<Applied<'t>, Broken> {
        let mut headers = match Cors::ask(self.cors, bytes, view)? {
            Asked::Preflight(headers) => {
                return Ok(Applied::routed(Verdict::Respond(200), headers));
            }
            Asked::Other(headers) => headers,
        };
        headers.push(HeaderEdit::set("location", self.location(bytes, view)?));
        Ok(Applied::routed(Verdict::Respond(302), headers))
    }

    fn location<R: Request + ?Sized>(
        &self,
        bytes: Bytes<'_>,
        view: &View<'_, R>,
    ) -> Result<Vec<u8>, Broken> {
        let scheme = if view.is_https() { &b"https"[..] } else { b"http" };
        let authority = match self.authority {
            Some(authority) => bytes.text(authority)?,
            None => view.authority(),
        };
        let (path, query) = view.path_and_query();
        let path = match self.path {
            Some(path) => bytes.text(path)?,
            None => path,
        };
        let query = if self.keeps_query { query } else { &[] };
        // An HTTP/1.0 request may have no host. Then the location is only the path,
        // which is the rule's, because the rule has a path or an authority.
        Ok(url(scheme, authority, (path, query)))
    }
}

/// An absolute URL (RFC 9110 section 10.2.2), so that no path of a client can be
/// read as a host. Without a host, only the path.
pub(crate) fn url(scheme: &[u8], authority: &[u8], (path, query): (&[u8], &[u8])) -> Vec<u8> {
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

/// Appends visible ASCII unchanged and percent-encodes all other bytes. Envoy
/// rejects requests with such bytes; other callers may not.
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
