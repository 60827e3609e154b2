//! Hand-written HTTP/2, for requests that no library would send.

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

/// Sends a request with these header fields, pseudo-headers first, on a new
/// connection. Returns its status, or `None` if the server reset the stream or
/// closed the connection.
///
/// # Panics
/// If there is neither, or if the status is not one that this code can decode.
pub fn h2_request(address: SocketAddr, fields: &[Field<'_>]) -> Option<u16> {
    h2_request_with_trailers(address, fields, &[])
}

/// As [`h2_request`], with trailers unless there are none.
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
    let mut bytes = preface();
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

/// A connection with this many requests, each with 53 KB of headers: the first one
/// defines a large header, and all others refer to it with one byte per repetition
/// (RFC 7541 section 6.1).
///
/// # Panics
/// Never, up to the number of requests that one connection allows.
pub fn h2_flood(requests: u32, authority: &[u8]) -> Vec<u8> {
    const LARGE: usize = 3_900;
    const TIMES: usize = 14;
    let fields: [Field<'_>; 4] =
        [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", authority)];
    let pseudo: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
    // Added to the dynamic table.
    let added = [&[0x40, 1, b'x', 127][..], &varint(LARGE - 127), &[b'a'; LARGE]].concat();
    // Index 62.
    let first_of_table = [0xbe; TIMES];
    let ends = END_HEADERS | END_STREAM;
    let mut bytes = preface();
    bytes.extend(frame(HEADERS, ends, 1, &[&pseudo[..], &added].concat()));
    for request in 1..requests {
        let block = [&pseudo[..], &first_of_table].concat();
        bytes.extend(frame(HEADERS, ends, 2 * request + 1, &block));
    }
    bytes
}

/// The connection preface.
fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat()
}

/// The remaining bytes of an integer that does not fit its prefix (RFC 7541 section
/// 5.1).
fn varint(mut rest: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("7 bits") | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("7 bits"));
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, len @ ..] = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    [&len[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header field as a literal without indexing and without Huffman coding (RFC
/// 7541 section 6.2.2).
fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let len = |text: &[u8]| {
        let len = u8::try_from(text.len()).ok().filter(|len| *len < 127);
        [len.expect("a short header")]
    };
    [&[0], &len(name)[..], name, &len(value), value].concat()
}

/// The status at the start of a header block: an index in the static table (RFC
/// 7541 appendix A), or a literal.
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
        other => panic!("unknown status: {other:x?}"),
    }
}
