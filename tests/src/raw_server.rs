//! Servers at the level of bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// A listener on a free port, and its address.
///
/// # Panics
/// If there is no free port.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Reads the headers of a request and nothing after them; `false` at the end of the
/// connection.
pub fn read_head(stream: &mut TcpStream) -> bool {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => read.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// The address of a server that reads a request's headers, sends these bytes, and continues
/// on the same connection with what comes next.
///
/// # Panics
/// If there is no free port.
pub fn answering(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let (listener, address) = listen();
    let answer = answer.into();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let answer = answer.clone();
            thread::spawn(
                move || {
                    while read_head(&mut stream) && stream.write_all(&answer).is_ok() {}
                },
            );
        }
    });
    address
}
