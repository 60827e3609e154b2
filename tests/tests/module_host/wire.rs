//! HTTP/1.1 at the level of bytes, where each piece of a body is sent on its own.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// A message as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The first line, then the headers, in the order received.
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// The connection ended before the message did.
    pub(crate) cut_off: bool,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a message; `None` if the connection ends before it begins.
pub(crate) fn read(stream: &TcpStream, has_body: bool) -> Option<Arrived> {
    let mut reader = BufReader::new(stream);
    let mut arrived = Arrived { cut_off: true, ..Arrived::default() };
    arrived.start = line(&mut reader)?;
    let Some(headers) = fields(&mut reader) else { return Some(arrived) };
    arrived.headers = headers;
    if !has_body || arrived.start.contains(" 204 ") {
        arrived.cut_off = false;
        return Some(arrived);
    }
    if arrived.header("transfer-encoding") == Some("chunked") {
        arrived.cut_off = chunks(&mut reader, &mut arrived).is_none();
    } else if let Some(length) = arrived.header("content-length") {
        let length: u64 = length.parse().expect("a length");
        let read = reader.take(length).read_to_end(&mut arrived.body);
        arrived.cut_off = read.is_err() || arrived.body.len() as u64 != length;
    } else if arrived.start.starts_with("HTTP") && !arrived.start.contains(" 304 ") {
        arrived.cut_off = reader.read_to_end(&mut arrived.body).is_err();
    } else {
        arrived.cut_off = false;
    }
    Some(arrived)
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes).ok()?;
    let bytes = bytes.strip_suffix(b"\r\n")?;
    Some(bytes.iter().map(|byte| char::from(*byte)).collect())
}

fn fields(reader: &mut impl BufRead) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Some(fields) };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn chunks(reader: &mut impl BufRead, arrived: &mut Arrived) -> Option<()> {
    loop {
        let size = u64::from_str_radix(&line(reader)?, 16).ok()?;
        if size == 0 {
            arrived.trailers = fields(reader)?;
            return Some(());
        }
        let mut chunk = Vec::new();
        reader.take(size).read_to_end(&mut chunk).ok()?;
        arrived.body.extend(&chunk);
        line(reader)?;
    }
}
