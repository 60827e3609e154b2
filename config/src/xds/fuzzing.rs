//! The server without a socket, for fuzzing: any number of clients send messages as
//! bytes.

use std::sync::Arc;

use prost::Message;
use tokio::sync::watch as channel;

use super::discovery::{DeltaDiscoveryRequest, Status};
use super::{Shared, State, Versions};
use crate::envoy::{Key, Kind, Resource, Resources};

/// The server and its clients; see the module.
pub struct Discovery {
    shared: Shared,
    target: Resources,
    clients: Vec<u64>,
    good: GoodClient,
    is_answered: bool,
}

/// A client that subscribes to all resources and accepts all responses.
struct GoodClient {
    client: u64,
    held: Versions,
}

/// The names of resources.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A step of a fuzzer.
#[derive(Clone, Copy, Debug)]
pub enum Step<'i> {
    /// Serve a resource of this kind, with this name and content.
    Tell(u8, u8, u8),
    /// Remove a resource.
    Withdraw(u8, u8),
    /// Send rejected resources again.
    Retry,
    /// A client connects.
    Join,
    /// The client that connected first disconnects.
    Leave,
    /// The client that connected last sends these bytes as a message.
    Take(&'i [u8]),
    /// The client that connected last sends a message with these fields.
    Ask(Ask),
}

/// The fields of a message. Names are the bits of a number.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The number of a kind.
    pub kind: u8,
    /// The names to subscribe to; the highest bit is `*`.
    pub subscribe: u8,
    /// The names to unsubscribe from.
    pub unsubscribe: u8,
    /// The resources that the client already has: the lower four bits with the
    /// content 0, the upper four with the content 1.
    pub initial: u8,
    /// The response that is acknowledged; rejected if the highest bit is set.
    pub nonce: u8,
}

impl Discovery {
    /// A server without resources.
    #[expect(clippy::new_without_default, reason = "it is started, not made up")]
    pub fn new() -> Self {
        let shared = Shared {
            state: State::default().into(),
            changed: channel::Sender::new(()),
            heard: channel::Sender::new(()),
        };
        let good = GoodClient { client: shared.join(), held: Versions::default() };
        good.subscribe(&shared);
        let target = Resources::default();
        Self { shared, target, clients: Vec::new(), good, is_answered: false }
    }

    /// Takes a step, then sends all clients the responses that are possible.
    ///
    /// # Panics
    /// If there is more than one response of a type in flight.
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
                if let Ok(request) = DeltaDiscoveryRequest::decode(bytes) {
                    self.ask(request);
                }
            }
            Step::Ask(ask) => self.ask(ask.request()),
        }
        self.good.listen(&self.shared);
        for client in &self.clients {
            self.is_answered |= self.answer(*client);
        }
    }
}

impl Discovery {
    fn ask(&self, request: DeltaDiscoveryRequest) {
        if let Some(client) = self.clients.last() {
            self.shared.take(*client, request);
        }
    }

    /// Returns whether any client got a response.
    ///
    /// # Panics
    /// If other clients prevent a well-behaved client from getting the served
    /// resources. Checks one that was connected all the time, and one that connects
    /// now.
    pub fn converge(mut self) -> bool {
        self.check(&self.good);
        let client = self.shared.join();
        let mut late = GoodClient { client, held: Versions::default() };
        late.subscribe(&self.shared);
        late.listen(&self.shared);
        self.check(&late);
        for client in [self.good.client, client].into_iter().chain(self.clients.drain(..)) {
            self.shared.leave(client);
        }
        assert!(self.shared.lock().clients.is_empty(), "a client that has gone is remembered");
        self.is_answered
    }

    /// It has all served resources, except those that any client has rejected, and
    /// no removed ones.
    fn check(&self, good: &GoodClient) {
        let refused = self.shared.lock().told.refused();
        for kind in Kind::ALL {
            for (name, resource) in self.target.of(kind) {
                let is_held = good.held.version(kind, name) == Some(&resource.version);
                let is_refused = refused.contains(&Key::new(kind, Arc::clone(name)));
                assert!(is_held || is_refused, "{} {name} is not held", kind.name());
            }
            for (name, _) in good.held.of(kind) {
                let is_told = self.target.get(kind, name).is_some();
                assert!(is_told, "{} {name} is not forgotten", kind.name());
            }
        }
    }

    /// Only one response of a kind is in flight at a time.
    fn answer(&self, client: u64) -> bool {
        let mut answered = Vec::new();
        while let Some(response) = self.shared.next_response(client) {
            assert!(!answered.contains(&response.type_url), "{response:?} is one too many");
            answered.push(response.type_url);
        }
        !answered.is_empty()
    }
}

impl Ask {
    fn request(self) -> DeltaDiscoveryRequest {
        let names = |bits: u8| (0_u8..).zip(NAMES).filter(move |(bit, _)| bits >> bit & 1 == 1);
        let owned = |bits| names(bits).map(|(_, name)| name.to_owned());
        let has_all = self.subscribe & 0x80 != 0;
        let version = |content: u8| Resource::from_body(vec![content].into()).version.to_string();
        let initial = |bits, content| owned(bits).map(move |name| (name, version(content)));
        let nonce = self.nonce & 0x7f;
        DeltaDiscoveryRequest {
            type_url: kind(self.kind).type_url().to_owned(),
            resource_names_subscribe: owned(self.subscribe)
                .chain(has_all.then(|| "*".to_owned()))
                .collect(),
            resource_names_unsubscribe: owned(self.unsubscribe).collect(),
            initial_resource_versions: initial(self.initial, 0)
                .chain(initial(self.initial >> 4, 1))
                .collect(),
            response_nonce: if nonce == 0 { String::new() } else { nonce.to_string() },
            error_detail: (self.nonce != nonce).then(Status::default),
        }
    }
}

impl GoodClient {
    /// Subscribes to all resources.
    fn subscribe(&self, shared: &Shared) {
        for kind in Kind::ALL {
            let request = DeltaDiscoveryRequest {
                type_url: kind.type_url().to_owned(),
                resource_names_subscribe: NAMES.map(str::to_owned).to_vec(),
                ..DeltaDiscoveryRequest::default()
            };
            shared.take(self.client, request);
        }
    }

    /// Accepts all responses.
    fn listen(&mut self, shared: &Shared) {
        while let Some(response) = shared.next_response(self.client) {
            let kind = Kind::of_type_url(&response.type_url).expect("a kind that is served");
            let held = self.held.0.entry(kind).or_default();
            for name in &response.removed_resources {
                held.remove(&**name);
            }
            for resource in &response.resources {
                held.insert(resource.name().into(), resource.version().into());
            }
            let request = DeltaDiscoveryRequest {
                type_url: response.type_url,
                response_nonce: response.nonce,
                ..DeltaDiscoveryRequest::default()
            };
            shared.take(self.client, request);
        }
    }
}

/// A kind and a name, out of few.
fn key(number: u8, name: u8) -> Key {
    Key::new(kind(number), NAMES[usize::from(name) % NAMES.len()])
}

fn kind(number: u8) -> Kind {
    Kind::ALL[usize::from(number) % Kind::ALL.len()]
}
