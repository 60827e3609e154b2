//! One stream of a client: its requests and the responses.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use tokio::sync::watch as channel;
use tonic::{Status, Streaming};
use tracing::debug;

use super::Shared;
use super::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};

/// A stream; see the module.
struct Session {
    shared: Arc<Shared>,
    client: u64,
    changed: channel::Receiver<()>,
    requests: Streaming<DeltaDiscoveryRequest>,
}

/// The responses to `requests`.
pub(super) fn answers(
    shared: Arc<Shared>,
    requests: Streaming<DeltaDiscoveryRequest>,
) -> impl Stream<Item = Result<DeltaDiscoveryResponse, Status>> + Send {
    let changed = shared.changed.subscribe();
    let session = Session { client: shared.join(), changed, shared, requests };
    stream::unfold(session, |mut session| async {
        let answer = session.next().await?;
        Some((Ok(answer), session))
    })
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.leave(self.client);
    }
}

impl Session {
    /// The next response; `None` once the client has disconnected.
    async fn next(&mut self) -> Option<DeltaDiscoveryResponse> {
        loop {
            if let Some(answer) = self.shared.next_response(self.client) {
                return Some(answer);
            }
            tokio::select! {
                request = self.requests.next() => match request {
                    Some(Ok(request)) => self.shared.take(self.client, request),
                    Some(Err(error)) => {
                        debug!(%error, "the xDS stream of Envoy failed");
                        return None;
                    }
                    None => return None,
                },
                changed = self.changed.changed() => changed.ok()?,
            }
        }
    }
}
