//! Leader election: only the replica that holds a Lease writes to the API.
//!
//! The rules are those of client-go's `tools/leaderelection`: a Lease of
//! `coordination.k8s.io/v1` names its holder, who renews it. A replica that has
//! not seen the record change for its lease duration takes it over. Clocks of
//! machines differ, so each replica uses its own clock for when it last *saw* the
//! record change, never the times in the record. If two take it at the same time,
//! the resource version makes one of them fail.
//!
//! It is implemented here because `kube-leader-election` needs another version of
//! kube, and uses the times in the record.
//!
//! Permissions: `get`, `create` and `update` on `leases`.

mod record;

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{sleep, timeout_at};
use tracing::{info, warn};

use super::api::{ApiTask, FailureLog};
use crate::cluster::{Failure, ask_within};

use record::{LeaseAction, Observed};

/// How long a Lease is valid without renewal.
const LEASE_DURATION: Duration = Duration::from_secs(15);

/// How long its holder continues without renewal. Less than [`LEASE_DURATION`],
/// so that it has stopped before another replica starts.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// How often the holder renews it.
const RENEW_PERIOD: Duration = Duration::from_secs(5);

/// How often other replicas check it, and the retry interval.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// The timeout of a request, so that a second one fits into the deadline.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

const ELECTION: ApiTask = ApiTask {
    what: "elect a leader",
    permission: "get, create and update on leases of coordination.k8s.io",
};

/// A candidate for a Lease.
pub(super) struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
    observed: Observed,
    /// The time of the last renewal, while this replica is the leader.
    renewed: Option<Instant>,
    failure_log: FailureLog,
}

impl Election {
    /// A candidate for the Lease `name` in `namespace` with the identity
    /// `identity`, which has to be unique: see [`identity`].
    pub(super) fn new(client: Client, namespace: &str, name: &str, identity: String) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity,
            observed: Observed::default(),
            renewed: None,
            failure_log: FailureLog::default(),
        }
    }

    /// Publishes in `is_leader` whether this replica holds the Lease, until
    /// `stop`; then releases it, so that another replica does not have to wait
    /// until it expires. Continues after any failure of the API.
    pub(super) async fn run(
        mut self,
        is_leader: watch::Sender<bool>,
        stop: impl Future<Output = ()>,
    ) {
        let campaign = async {
            loop {
                let wait = match self.renewed {
                    // Independent of the latency of the API.
                    Some(at) => timeout_at((at + RENEW_DEADLINE).into(), self.step()).await,
                    None => Ok(self.step().await),
                };
                let wait = wait.unwrap_or(RETRY_PERIOD);
                self.give_up_when_overdue();
                self.tell(&is_leader);
                sleep(wait).await;
                // More time may have passed than intended.
                self.give_up_when_overdue();
                self.tell(&is_leader);
            }
        };
        tokio::select! {
            () = campaign => {}
            () = stop => {}
        }
        // Stop writing before another replica may start.
        let was_leader = is_leader.send_replace(false);
        if was_leader {
            self.release().await;
        }
    }

    fn tell(&self, is_leader: &watch::Sender<bool>) {
        let now = self.renewed.is_some();
        let has_changed = is_leader.send_if_modified(|is| std::mem::replace(is, now) != now);
        if has_changed && now {
            info!(
                lease = self.name,
                identity = self.identity,
                "became the leader, which writes status and Events"
            );
        } else if has_changed {
            warn!(lease = self.name, identity = self.identity, "no longer the leader");
        }
    }

    /// Checks or renews the Lease once. Returns when to do it again.
    async fn step(&mut self) -> Duration {
        let start = Instant::now();
        let result = match self.renewed {
            Some(_) => self.renew(start).await,
            None => self.look(start).await,
        };
        match result {
            Ok(()) => {
                self.failure_log.resolve(ELECTION);
                if self.renewed.is_some() { RENEW_PERIOD } else { RETRY_PERIOD }
            }
            Err(failure) => {
                self.failure_log.failed(ELECTION, &failure);
                // Not beyond the deadline, so that it is observed exactly.
                let left = self.renewed.map(|at| RENEW_DEADLINE.saturating_sub(at.elapsed()));
                left.map_or(RETRY_PERIOD, |left| left.min(RETRY_PERIOD))
            }
        }
    }

    fn give_up_when_overdue(&mut self) {
        if self.renewed.is_some_and(|at| at.elapsed() >= RENEW_DEADLINE) {
            self.renewed = None;
        }
    }

    /// Renews a held Lease, without reading it first.
    async fn renew(&mut self, start: Instant) -> Result<(), Failure> {
        match self.write(start, LeaseAction::Renew).await {
            Err(Failure::Conflict | Failure::Gone) => self.look(start).await,
            result => result,
        }
    }

    /// Reads the Lease and takes it over if it has expired.
    async fn look(&mut self, start: Instant) -> Result<(), Failure> {
        let lease = within(self.leases.get_opt(&self.name)).await?;
        let before = self.observed.holder().to_owned();
        self.observed.see(lease, Instant::now());
        match self.observed.decide(&self.identity, LEASE_DURATION, Instant::now()) {
            LeaseAction::Wait => {
                self.renewed = None;
                let holder = self.observed.holder();
                if holder != before {
                    info!(lease = self.name, holder, "another replica is the leader");
                }
                Ok(())
            }
            action => match self.write(start, action).await {
                // Another replica was first; the next read shows its record.
                Err(Failure::Conflict | Failure::Gone) => {
                    self.renewed = None;
                    Ok(())
                }
                result => result,
            },
        }
    }

    async fn write(&mut self, start: Instant, action: LeaseAction) -> Result<(), Failure> {
        let lease = self.observed.written_by(&self.name, &self.identity, LEASE_DURATION, action);
        let parameters = parameters();
        let written = if action == LeaseAction::Create {
            within(self.leases.create(&parameters, &lease)).await?
        } else {
            within(self.leases.replace(&self.name, &parameters, &lease)).await?
        };
        self.observed.see(Some(written), Instant::now());
        // From the start of the request: others count from when the record
        // changed.
        self.renewed = Some(start);
        Ok(())
    }

    async fn release(&mut self) {
        let lease = self.observed.released();
        let result = within(self.leases.replace(&self.name, &parameters(), &lease)).await;
        match result {
            Ok(_) => info!(lease = self.name, "released the Lease"),
            Err(failure) => info!(
                lease = self.name,
                %failure,
                "cannot release the Lease; another replica takes over once it expires"
            ),
        }
    }
}

/// The field manager in `metadata.managedFields`.
fn parameters() -> PostParams {
    PostParams { field_manager: Some("ingressctl".to_owned()), ..PostParams::default() }
}

/// A request with the timeout for deadlines.
async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    ask_within(REQUEST_TIMEOUT, request).await
}

/// A unique name: that of the pod and a random part, because a restarted
/// container keeps the name of the pod.
pub(super) fn identity() -> String {
    let named = |variable| std::env::var(variable).ok().filter(|name| !name.is_empty());
    let host = named("POD_NAME")
        .or_else(|| named("HOSTNAME"))
        .or_else(|| Some(fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned()))
        .unwrap_or_else(|| "ingressctl".to_owned());
    // The standard library seeds its hash tables with random numbers of the
    // system.
    let random = RandomState::new().build_hasher().finish();
    format!("{host}_{random:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_identities_are_the_same() {
        let (one, two) = (identity(), identity());
        assert_ne!(one, two);
        assert!(one.len() > 17, "{one}");
    }

    #[test]
    fn a_holder_ends_before_another_begins() {
        assert!(RENEW_PERIOD + REQUEST_TIMEOUT < RENEW_DEADLINE);
        assert!(RENEW_DEADLINE < LEASE_DURATION);
    }
}
