//! The server without a socket, for fuzzing: any number of clients, whose messages
//! are bytes.

use std::sync::Arc;

use prost::Message;
use tokio::sync::watch as channel;

use super::discovery::{DeltaDiscoveryRequest, Status};
use super::{Shared, State, Versions};
use crate::envoy::{Key, Kind, Resource, Resources};

/// See the module.
pub struct Discovery {
    shared: Shared,
    target: Resources,
    clients: Vec<u64>,
    good: GoodClient,
    is_answered: bool,
}

/// A client that asks for everything, and takes all that it is told.
struct GoodClient {
    client: u64,
    held: Versions,
}

/// What resources are called.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

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
    /// The client that came last sends this message.
    Take(&'i [u8]),
    /// The same, of which this is what is in the message.
    Ask(Ask),
}

/// What is in a message. Names are the bits of a number.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The number of a kind.
    pub kind: u8,
    /// What is subscribed to; the highest bit is `*`.
    pub subscribe: u8,
    /// What no longer is.
    pub unsubscribe: u8,
    /// What the client has already, with the content 0 or, from the fifth bit on, 1.
    pub initial: u8,
    /// Which answer is confirmed; refused, where the highest bit is set.
    pub nonce: u8,
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
        let good = GoodClient { client: shared.join(), held: Versions::default() };
        good.subscribe(&shared);
        let target = Resources::default();
        Self { shared, target, clients: Vec::new(), good, is_answered: false }
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

    /// Says whether any client was answered.
    ///
    /// # Panics
    /// Where what others have said keeps a client of good will, which was there all
    /// the time or has just come, from what it is to hold.
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

    /// It holds all that is told, but for what any client has refused, and nothing
    /// that no longer is.
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
    /// Asks for all that there may be.
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

    /// Takes all that it is told.
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

/// A kind and a name, out of a few.
fn key(number: u8, name: u8) -> Key {
    Key::new(kind(number), NAMES[usize::from(name) % NAMES.len()])
}

fn kind(number: u8) -> Kind {
    Kind::ALL[usize::from(number) % Kind::ALL.len()]
}
