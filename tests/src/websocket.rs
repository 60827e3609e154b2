//! WebSocket (RFC 6455): a server that echoes, and a client.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Error, Message, WebSocket, accept_hdr, client};

/// A server that sends each message back, with the path of the upgrade before it;
/// it ends with the test.
pub struct EchoServer {
    /// Its address.
    pub address: SocketAddr,
}

impl EchoServer {
    /// Starts it.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || echo(stream));
            }
        });
        Self { address }
    }
}

fn echo(stream: TcpStream) {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the signature the library calls")]
    let callback = |request: &Request, response: Response| {
        path = request.uri().to_string();
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr(stream, callback) else { return };
    while let Ok(message) = socket.read() {
        let answer = match message {
            Message::Text(text) => Message::text(format!("{path} {text}")),
            Message::Binary(bytes) => Message::Binary(bytes),
            Message::Close(_) => return,
            _ => continue,
        };
        if socket.send(answer).is_err() {
            return;
        }
    }
}

/// Upgrades a new connection.
///
/// # Errors
/// The status, if the upgrade is rejected.
///
/// # Panics
/// If there is no response.
pub fn upgrade(
    address: SocketAddr,
    authority: &str,
    path: &str,
) -> Result<WebSocket<TcpStream>, u16> {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout is set");
    match client(format!("ws://{authority}{path}"), stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => {
            Err(response.status().as_u16())
        }
        Err(error) => panic!("no response to the upgrade: {error}"),
    }
}
