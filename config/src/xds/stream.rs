//! One stream: what a client has asked for, and what it has been told.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use tokio::sync::watch as channel;
use tonic::{Status, Streaming};
use tracing::{debug, error};

use super::messages::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, ENDPOINTS, Resource, SECRETS,
};
use super::{Shared, State};
use crate::envoy::cluster_of_endpoints;

/// See the module.
struct Session {
    shared: Arc<Shared>,
    id: u64,
    generation: channel::Receiver<u64>,
    requests: Streaming<DeltaDiscoveryRequest>,
    subscriptions: [Subscription; 2],
    next_nonce: u64,
}

/// What is wanted of one type.
struct Subscription {
    kind: Kind,
    /// By the name that was asked for, the generation in which what was told
    /// of it had become so.
    wanted: HashMap<String, Option<u64>>,
    /// The nonce of the answer that is to be confirmed.
    pending: Option<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    Endpoints,
    Secrets,
}

/// The answers to what comes in as `requests`.
pub(super) fn answers(
    shared: Arc<Shared>,
    requests: Streaming<DeltaDiscoveryRequest>,
) -> impl Stream<Item = Result<DeltaDiscoveryResponse, Status>> + Send {
    let session = Session {
        id: shared.join(),
        generation: shared.generation.subscribe(),
        shared,
        requests,
        subscriptions: [Kind::Endpoints, Kind::Secrets].map(Subscription::new),
        next_nonce: 1,
    };
    stream::unfold(session, |mut session| async {
        let answer = session.next().await?;
        Some((Ok(answer), session))
    })
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.leave(self.id);
    }
}

impl Session {
    /// The next answer; none where the client has gone.
    async fn next(&mut self) -> Option<DeltaDiscoveryResponse> {
        loop {
            if let Some(answer) = self.news() {
                return Some(answer);
            }
            tokio::select! {
                request = self.requests.next() => match request {
                    Some(Ok(request)) => self.take(request),
                    Some(Err(error)) => {
                        debug!(%error, "envoy's stream broke");
                        return None;
                    }
                    None => return None,
                },
                changed = self.generation.changed() => changed.ok()?,
            }
        }
    }

    fn take(&mut self, request: DeltaDiscoveryRequest) {
        let mut subscriptions = self.subscriptions.iter_mut();
        let asked = subscriptions.find(|asked| asked.kind.type_url() == request.type_url);
        let Some(subscription) = asked else {
            debug!(request.type_url, "envoy asks for what is not served");
            return;
        };
        if subscription.pending.as_ref() == Some(&request.response_nonce) {
            if let Some(status) = &request.error_detail {
                error!("envoy rejected {}: {}", subscription.kind.name(), status.message);
                self.shared.reject();
            }
            subscription.pending = None;
        }
        for name in request.resource_names_unsubscribe {
            subscription.wanted.remove(&name);
        }
        // What it has from a stream before this one is told again: that was
        // perhaps another process, which counted differently.
        for name in request.resource_names_subscribe {
            subscription.wanted.insert(name, None);
        }
    }

    /// What the client wants to know and does not, of a type of which it has
    /// confirmed what it was told before. Where it knows all, that is said.
    fn news(&mut self) -> Option<DeltaDiscoveryResponse> {
        let state = self.shared.lock();
        for subscription in &mut self.subscriptions {
            let resources = subscription.news(&state);
            if !resources.is_empty() {
                let nonce = self.next_nonce.to_string();
                self.next_nonce += 1;
                subscription.pending = Some(nonce.clone());
                let type_url = subscription.kind.type_url().to_owned();
                return Some(DeltaDiscoveryResponse { resources, type_url, nonce });
            }
        }
        let generation = state.generation;
        drop(state);
        if self.subscriptions.iter().all(|subscription| subscription.pending.is_none()) {
            self.shared.confirm(self.id, generation);
        }
        None
    }
}

impl Subscription {
    fn new(kind: Kind) -> Self {
        Self { kind, wanted: HashMap::new(), pending: None }
    }

    fn news(&mut self, state: &State) -> Vec<Resource> {
        if self.pending.is_some() {
            return Vec::new();
        }
        let news = self.wanted.iter_mut().filter_map(|(name, told)| {
            // Not known yet: an answer comes once it is.
            let since = self.kind.since(state, name)?;
            (told.replace(since) != Some(since)).then(|| self.kind.resource(state, name))?
        });
        news.collect()
    }
}

impl Kind {
    const fn type_url(self) -> &'static str {
        match self {
            Self::Endpoints => ENDPOINTS,
            Self::Secrets => SECRETS,
        }
    }

    /// Its name in messages.
    const fn name(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoints",
            Self::Secrets => "certificates",
        }
    }

    /// The generation in which what is asked for by `name` became as it is.
    fn since(self, state: &State, name: &str) -> Option<u64> {
        match self {
            Self::Endpoints => Some(state.endpoints.get(cluster_of_endpoints(name))?.0),
            Self::Secrets => Some(state.secrets.get(name)?.0),
        }
    }

    fn resource(self, state: &State, name: &str) -> Option<Resource> {
        match self {
            Self::Endpoints => {
                let (since, addresses) = state.endpoints.get(cluster_of_endpoints(name))?;
                Some(Resource::endpoints(name, *since, addresses))
            }
            Self::Secrets => {
                let (since, pair) = state.secrets.get(name)?;
                Some(Resource::secret(name, *since, pair))
            }
        }
    }
}
