//! Shutdown: Envoy stops accepting connections, finishes open requests, and exits.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{info, warn};

use crate::rollout::EnvoyHandle;

/// How often Envoy is polled for open connections.
const POLL_PERIOD: Duration = Duration::from_millis(200);

/// The duration of each phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draining {
    /// Until load balancers have noticed that the pod is not ready, and send no
    /// new connections.
    pub(super) delay: Duration,
    /// Until all connections are closed.
    pub(super) timeout: Duration,
}

impl Draining {
    /// Drains Envoy's listeners, and stops Envoy.
    pub(super) async fn run(self, envoy: &EnvoyHandle) {
        info!(delay_ms = self.delay.as_millis(), "draining: readiness probes fail now");
        if let Err(error) = envoy.fail_probes().await {
            warn!("cannot make Envoy fail its readiness probe: {error:#}");
        }
        sleep(self.delay).await;
        if let Err(error) = envoy.drain().await {
            warn!("cannot drain Envoy's listeners: {error:#}");
        } else {
            self.wait_for_clients(envoy).await;
        }
        match envoy.quit().await {
            Ok(()) => info!("Envoy stops"),
            Err(error) => warn!("cannot stop Envoy: {error:#}"),
        }
    }

    async fn wait_for_clients(self, envoy: &EnvoyHandle) {
        let deadline = Instant::now() + self.timeout;
        loop {
            match envoy.connections().await {
                Ok(0) => return info!("drained: all connections are closed"),
                Ok(left) if Instant::now() > deadline => {
                    return warn!(
                        left,
                        "the drain timeout has expired; closing the remaining connections"
                    );
                }
                Err(error) => return warn!("Envoy does not respond: {error:#}"),
                Ok(_) => sleep(POLL_PERIOD).await,
            }
        }
    }
}
