//! The server without a socket: any number of clients, whose messages come as bytes.

use std::sync::Arc;

use prost::Message;
use tokio::sync::watch as channel;

use super::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use super::{Shared, State};
use crate::envoy::{Key, Kind, Resource, Resources};

/// See the module.
pub struct Discovery {
    shared: Shared,
    target: Resources,
    clients: Vec<u64>,
    is_answered: bool,
}

/// What may happen.
#[derive(Clone, Copy, Debug)]
pub enum Step<'i> {
    /// A resource of this kind is told, with this name and content.
    Tell(u8, u8, u8),
    /// A resource is no longer told.
    Withdraw(u8, u8),
    /// What was refused is told again.
    Retry,
    /// A client connects.
    Join,
    /// The client that has been there longest goes.
    Leave,
    /// The client that came last sends this.
    Take(&'i [u8]),
}

impl Discovery {
    /// One that has nothing to tell.
    #[expect(clippy::new_without_default, reason = "it is started, not made up")]
    pub fn new() -> Self {
        let shared = Shared {
            state: State::default().into(),
            changed: channel::Sender::new(()),
            heard: channel::Sender::new(()),
        };
        Self { shared, target: Resources::default(), clients: Vec::new(), is_answered: false }
    }

    /// Takes a step, after which it answers all clients as far as it can.
    ///
    /// # Panics
    /// Where it goes on answering.
    pub fn take(&mut self, step: Step<'_>) {
        match step {
            Step::Tell(kind, name, content) => {
                let resource = Resource::from_body(vec![content].into());
                self.target.insert(key(kind, name), resource.clone());
                self.shared.tell(vec![(key(kind, name), resource)], &[]);
            }
            Step::Withdraw(kind, name) => {
                let key = key(kind, name);
                self.target.remove(&key);
                self.shared.tell(Vec::new(), &[key]);
            }
            Step::Retry => self.shared.retry(),
            Step::Join => self.clients.push(self.shared.join()),
            Step::Leave if self.clients.is_empty() => {}
            Step::Leave => self.shared.leave(self.clients.remove(0)),
            Step::Take(bytes) => {
                let request = DeltaDiscoveryRequest::decode(bytes);
                if let (Some(client), Ok(request)) = (self.clients.last(), request) {
                    self.shared.take(*client, request);
                }
            }
        }
        for client in &self.clients {
            self.is_answered |= self.answer(*client);
        }
    }
}

impl Discovery {
    /// Says whether any client was answered.
    ///
    /// First has a client of good will come, and take all that it is told: it holds that,
    /// but for what clients before it have refused, whatever else these have said.
    ///
    /// # Panics
    /// Where it does not.
    pub fn converge(mut self) -> bool {
        let is_answered = self.is_answered;
        let client = self.shared.join();
        for kind in Kind::ALL {
            let names = self.target.of(kind).map(|(name, _)| name.to_string()).collect();
            self.shared.take(client, subscription(kind, names));
            while let Some(response) = self.shared.next_response(client) {
                self.shared.take(client, accepted(response));
            }
        }
        self.clients.push(client);
        let position = self.shared.lock().position(&self.target).expect("it has said all");
        for (kind, name, resource) in self.target.iter() {
            let is_held = position.held.version(kind, name) == Some(&resource.version);
            let is_refused = position.refused.contains(&Key::new(kind, Arc::clone(name)));
            assert!(is_held || is_refused, "{} {name} is neither held nor refused", kind.name());
        }
        for client in self.clients {
            self.shared.leave(client);
        }
        assert!(self.shared.lock().clients.is_empty(), "a client that has gone is remembered");
        is_answered
    }

    /// One answer of a kind is under way at a time.
    fn answer(&self, client: u64) -> bool {
        let mut answered = Vec::new();
        while let Some(response) = self.shared.next_response(client) {
            assert!(!answered.contains(&response.type_url), "{response:?} is one too many");
            answered.push(response.type_url);
        }
        !answered.is_empty()
    }
}

/// A kind and a name, out of a few.
fn key(kind: u8, name: u8) -> Key {
    let kind = Kind::ALL[usize::from(kind) % Kind::ALL.len()];
    Key::new(kind, char::from(b'a' + name % 4).to_string())
}

fn subscription(kind: Kind, resource_names_subscribe: Vec<String>) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: kind.type_url().to_owned(),
        resource_names_subscribe,
        ..DeltaDiscoveryRequest::default()
    }
}

fn accepted(response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: response.type_url,
        response_nonce: response.nonce,
        ..DeltaDiscoveryRequest::default()
    }
}
