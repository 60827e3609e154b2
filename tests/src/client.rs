//! Clients: one that sends well-formed requests, and one that sends bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header block as received, without the status line.
    pub head: String,
    /// What came after it.
    pub body: String,
}

impl Answer {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }

    /// What answered: the name of an [`Upstream`](crate::Upstream), or the
    /// status where none did.
    pub fn by(&self) -> String {
        self.header("x-upstream").map_or_else(|| self.status.to_string(), str::to_owned)
    }
}

/// Sends a GET on a connection of its own.
///
/// # Panics
/// Where there is no answer.
pub fn get(address: SocketAddr, authority: &str, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    raw(address, request.as_bytes())
}

/// Sends bytes on a connection of its own and reads until it is closed. The
/// request should ask for that.
///
/// # Panics
/// Where there is no answer.
pub fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout is set");
    // An edge may refuse a request before it is whole.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    parse(&bytes).unwrap_or_else(|| panic!("no HTTP answer: {:?}", String::from_utf8_lossy(&bytes)))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (status_line, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status_line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
