//! Clients: one that sends well-formed requests, and one that sends bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header block as received, without the status line.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
    }

    /// The name of the [`Upstream`](crate::Upstream) that responded, or the status
    /// if there was no upstream.
    pub fn by(&self) -> String {
        self.header("x-upstream").map_or_else(|| self.status.to_string(), str::to_owned)
    }
}

/// Sends a GET on a new connection.
///
/// # Panics
/// If there is no response.
pub fn get(address: SocketAddr, authority: &str, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    raw(address, request.as_bytes())
}

/// Sends bytes on a new connection and reads one response, or everything until the
/// connection is closed.
///
/// # Panics
/// If there is no response.
pub fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    exchange(&mut connect(address), request)
}

/// Sends a GET on an existing connection.
///
/// # Errors
/// If there is no response, or only part of one.
pub fn ask(stream: &mut (impl Read + Write), authority: &str, path: &str) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    receive(stream, request.as_bytes()).map_err(|(_, error)| error)
}

/// A client with a persistent connection.
pub struct KeepAlive {
    address: SocketAddr,
    stream: TcpStream,
}

impl KeepAlive {
    /// Connects.
    ///
    /// # Panics
    /// If no server listens there.
    pub fn connect(address: SocketAddr) -> Self {
        Self { address, stream: connect(address) }
    }

    /// Sends a GET. The next request uses a new connection only if the response to
    /// this one closes it.
    ///
    /// # Panics
    /// If there is no response.
    pub fn get(&mut self, authority: &str, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n").as_bytes())
    }

    /// Sends bytes that form a request, as [`Self::get`] does.
    ///
    /// # Panics
    /// If there is no response.
    pub fn send(&mut self, request: &[u8]) -> Answer {
        let answer = exchange(&mut self.stream, request);
        if answer.header("connection") == Some("close") {
            self.stream = connect(self.address);
        }
        answer
    }
}

pub(crate) fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> Answer {
    receive(stream, request).unwrap_or_else(|(bytes, _)| {
        let answer = parse(&bytes, is_head(request)).map(|(answer, _)| answer);
        answer.unwrap_or_else(|| panic!("no HTTP response: {:?}", String::from_utf8_lossy(&bytes)))
    })
}

/// A whole response, or the part received before the connection broke.
fn receive(
    stream: &mut (impl Read + Write),
    request: &[u8],
) -> Result<Answer, (Vec<u8>, io::Error)> {
    // Envoy may reject a request before it is complete.
    let _ = stream.write_all(request).and_then(|()| stream.flush());
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err((bytes, io::ErrorKind::UnexpectedEof.into())),
            Ok(len) => bytes.extend_from_slice(&buffer[..len]),
            Err(error) => return Err((bytes, error)),
        }
        if let Some((answer, true)) = parse(&bytes, is_head(request)) {
            return Ok(answer);
        }
    }
}

fn is_head(request: &[u8]) -> bool {
    request.starts_with(b"HEAD ")
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout is set");
    stream
}

/// The response in `bytes`, and whether it is complete.
fn parse(bytes: &[u8], is_head: bool) -> Option<(Answer, bool)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (status_line, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status_line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let mut answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
    let is_whole = if is_head || matches!(status, 204 | 304) {
        true
    } else if answer.header("transfer-encoding") == Some("chunked") {
        let (body, is_whole) = dechunk(body);
        answer.body = body;
        is_whole
    } else {
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        length.is_some_and(|length| body.len() >= length)
    };
    Some((answer, is_whole))
}

/// The content of the chunks, and whether the last one was received.
fn dechunk(mut chunks: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((len, rest)) = chunks.split_once("\r\n") {
        let len = usize::from_str_radix(len, 16).unwrap_or_default();
        if len == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(..len) else { break };
        body.push_str(chunk);
        chunks = rest[len..].trim_start();
    }
    (body, false)
}
