//! One stream: what a client has asked for, and what it has been told.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use tokio::sync::watch as channel;
use tonic::{Status, Streaming};
use tracing::{debug, error};

use super::Shared;
use super::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, ENDPOINTS, Resource};
use crate::envoy::cluster_of_endpoints;

/// See the module.
struct Session {
    shared: Arc<Shared>,
    id: u64,
    generation: channel::Receiver<u64>,
    requests: Streaming<DeltaDiscoveryRequest>,
    /// By the name that was asked for, the generation in which what was told
    /// of it had become so.
    wanted: HashMap<String, Option<u64>>,
    /// The answer that is to be confirmed: its nonce and its generation.
    pending: Option<(u64, u64)>,
    next_nonce: u64,
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
        wanted: HashMap::new(),
        pending: None,
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
            if self.pending.is_none()
                && let Some(answer) = self.news()
            {
                return Some(answer);
            }
            tokio::select! {
                request = self.requests.next() => match request {
                    Some(Ok(request)) => self.take(request),
                    Some(Err(error)) => {
                        debug!(%error, "envoy's stream of endpoints broke");
                        return None;
                    }
                    None => return None,
                },
                changed = self.generation.changed() => changed.ok()?,
            }
        }
    }

    fn take(&mut self, request: DeltaDiscoveryRequest) {
        if request.type_url != ENDPOINTS {
            debug!(request.type_url, "envoy asks for what is not served");
            return;
        }
        if let Some((nonce, generation)) = self.pending
            && request.response_nonce == nonce.to_string()
        {
            if let Some(status) = &request.error_detail {
                error!("envoy rejected endpoints: {}", status.message);
            }
            self.pending = None;
            self.shared.confirm(self.id, generation);
        }
        for name in request.resource_names_unsubscribe {
            self.wanted.remove(&name);
        }
        // What it has from a stream before this one is told again: that was
        // perhaps another process, which counted differently.
        for name in request.resource_names_subscribe {
            self.wanted.insert(name, None);
        }
    }

    /// What the client wants to know and does not. Where it knows all, that is
    /// said.
    fn news(&mut self) -> Option<DeltaDiscoveryResponse> {
        let state = self.shared.lock();
        let mut resources = Vec::new();
        for (name, told) in &mut self.wanted {
            // Not known yet: an answer comes once it is.
            let Some((since, addresses)) = state.clusters.get(cluster_of_endpoints(name)) else {
                continue;
            };
            if *told != Some(*since) {
                *told = Some(*since);
                resources.push(Resource::new(name, since.to_string(), addresses));
            }
        }
        let generation = state.generation;
        drop(state);
        if resources.is_empty() {
            self.shared.confirm(self.id, generation);
            return None;
        }
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        self.pending = Some((nonce, generation));
        Some(DeltaDiscoveryResponse {
            resources,
            type_url: ENDPOINTS.into(),
            nonce: nonce.to_string(),
        })
    }
}
