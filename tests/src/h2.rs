//! HTTP/2 by hand, for requests that no library would send.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::client::connect;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A name and a value.
type Field<'f> = (&'f [u8], &'f [u8]);

/// Sends a request of these header fields, pseudo-headers first, on a
/// connection of its own. Gives its status, or `None` where the stream or the
/// connection was given up.
///
/// # Panics
/// Where there is neither, or a status that this does not know.
pub fn h2_request(address: SocketAddr, fields: &[Field<'_>]) -> Option<u16> {
    h2_request_with_trailers(address, fields, &[])
}

/// As [`h2_request`], with trailers where there are any.
///
/// # Panics
/// As [`h2_request`].
pub fn h2_request_with_trailers(
    address: SocketAddr,
    fields: &[Field<'_>],
    trailers: &[Field<'_>],
) -> Option<u16> {
    let block = |fields: &[Field<'_>]| -> Vec<u8> {
        fields.iter().flat_map(|(name, value)| field(name, value)).collect()
    };
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    if trailers.is_empty() {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields)));
    } else {
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &block(fields)));
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers)));
    }
    let mut stream = connect(address);
    stream.write_all(&bytes).expect("a request is sent");
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return None;
        }
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(len).expect("a small frame")];
        stream.read_exact(&mut payload).expect("a whole frame");
        match head[3] {
            HEADERS => return Some(status(&payload)),
            RST_STREAM | GOAWAY => return None,
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, len @ ..] = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    [&len[..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A header field as a literal that is not indexed, name and value as they are
/// (RFC 7541 section 6.2.2).
fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let len = |text: &[u8]| {
        let len = u8::try_from(text.len()).ok().filter(|len| *len < 127);
        [len.expect("a short header")]
    };
    [&[0], &len(name)[..], name, &len(value), value].concat()
}

/// The status that a block of headers begins with: one of the static table
/// (RFC 7541 appendix A), or another one spelt out.
fn status(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x48 | 0x08, 3, digits @ ..] => {
            let digits = digits.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
            digits.and_then(|digits| digits.parse().ok()).expect("a status")
        }
        other => panic!("no known status: {other:x?}"),
    }
}
