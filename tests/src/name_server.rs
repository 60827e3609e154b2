//! A name server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Answers queries over UDP (RFC 1035), with a TTL of one second.
pub struct NameServer {
    /// Its address.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    addresses: BTreeMap<String, Vec<Ipv4Addr>>,
    asked: Vec<String>,
}

impl NameServer {
    /// Starts a name server without names.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = socket.local_addr().expect("an address");
        let server = Self { address, state: Arc::default() };
        let state = Arc::clone(&server.state);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((len, client)) = socket.recv_from(&mut query) {
                let answer = answer(&query[..len], &mut lock(&state));
                let _ = socket.send_to(&answer, client);
            }
        });
        server
    }

    /// Sets the addresses of a name.
    pub fn set(&self, name: &str, addresses: &[Ipv4Addr]) {
        lock(&self.state).addresses.insert(name.into(), addresses.into());
    }

    /// The names that were queried so far.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).asked.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("a healthy test")
}

/// The question, followed by the addresses if it asks for IPv4 (RFC 1035, section
/// 4).
fn answer(query: &[u8], state: &mut State) -> Vec<u8> {
    const NO_SUCH_NAME: u8 = 3;
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]));
        at = end;
    }
    let name = labels.join(".");
    let question = &query[12..at + 5];
    let is_ipv4 = query[at + 1..at + 3] == [0, 1];
    let known = state.addresses.get(&name);
    let code = if known.is_some() { 0 } else { NO_SUCH_NAME };
    let addresses: Vec<_> = known.into_iter().flatten().filter(|_| is_ipv4).collect();
    let count = u8::try_from(addresses.len()).expect("few addresses");
    let mut message = vec![query[0], query[1], 0x84, code, 0, 1, 0, count, 0, 0, 0, 0];
    message.extend(question);
    for address in addresses {
        // The name of the question, A, IN, 1 second, 4 bytes.
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        message.extend(address.octets());
    }
    state.asked.push(name);
    message
}
