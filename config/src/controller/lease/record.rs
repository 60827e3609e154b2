//! The record of a Lease, when it last changed, and the next action. Independent
//! of API and clock.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

/// The next action on a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseAction {
    /// The Lease does not exist.
    Create,
    /// This replica holds it.
    Renew,
    /// It has expired.
    TakeOver,
    /// Another replica holds it.
    Wait,
}

/// The Lease as it was last read.
#[derive(Debug, Default)]
pub(super) struct Observed {
    lease: Option<Lease>,
    /// When the record was first seen in its current state.
    since: Option<Instant>,
}

impl Observed {
    /// Updates it from the API, `None` if it does not exist. Changes outside of
    /// the record, such as a label, are not a sign of life of its holder.
    pub(super) fn see(&mut self, lease: Option<Lease>, now: Instant) {
        let spec = |lease: &Option<Lease>| lease.as_ref().map(|lease| lease.spec.clone());
        if self.since.is_none() || spec(&self.lease) != spec(&lease) {
            self.since = Some(now);
        }
        self.lease = lease;
    }

    /// The holder; empty if there is none.
    pub(super) fn holder(&self) -> &str {
        self.spec().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.lease.as_ref()?.spec.as_ref()
    }

    /// The action of `identity`. The record has the lease duration; if it does
    /// not, it is `duration`.
    pub(super) fn decide(&self, identity: &str, duration: Duration, now: Instant) -> LeaseAction {
        if self.lease.is_none() {
            return LeaseAction::Create;
        }
        if self.holder() == identity {
            return LeaseAction::Renew;
        }
        let seconds = self.spec().and_then(|spec| spec.lease_duration_seconds);
        let duration = seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(duration, Duration::from_secs);
        let has_run_out = self.since.is_none_or(|since| now.duration_since(since) >= duration);
        if self.holder().is_empty() || has_run_out {
            LeaseAction::TakeOver
        } else {
            LeaseAction::Wait
        }
    }

    /// The Lease that `identity` writes for `action`, based on the observed one
    /// and its resource version.
    pub(super) fn written_by(
        &self,
        name: &str,
        identity: &str,
        duration: Duration,
        action: LeaseAction,
    ) -> Lease {
        let mut lease = self.lease.clone().unwrap_or_default();
        lease.metadata.name = Some(name.to_owned());
        let spec = lease.spec.get_or_insert_default();
        let now = MicroTime(Timestamp::now());
        if action != LeaseAction::Renew {
            spec.acquire_time = Some(now.clone());
            let transitions = spec.lease_transitions;
            spec.lease_transitions =
                Some(transitions.map_or(0, |transitions| transitions.saturating_add(1)));
        }
        spec.renew_time = Some(now);
        spec.holder_identity = Some(identity.to_owned());
        spec.lease_duration_seconds = i32::try_from(duration.as_secs()).ok();
        lease
    }

    /// The released Lease: as in client-go, without a holder, and with a duration
    /// of one second, for clients that do not check the holder.
    pub(super) fn released(&self) -> Lease {
        let mut lease = self.lease.clone().unwrap_or_default();
        let spec = lease.spec.get_or_insert_default();
        let now = MicroTime(Timestamp::now());
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.acquire_time = Some(now.clone());
        spec.renew_time = Some(now);
        lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A Lease of `holder` that was renewed for the `renewal`th time, at a time
    /// that has nothing to do with ours.
    fn lease(holder: &str, renewal: i64, duration: Option<i32>) -> Lease {
        let renewed = Timestamp::from_second(4_000_000_000 + renewal).unwrap();
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: duration,
            lease_transitions: Some(3),
            renew_time: Some(MicroTime(renewed)),
            ..LeaseSpec::default()
        };
        Lease { spec: Some(spec), ..Lease::default() }
    }

    #[test]
    fn a_lease_that_is_not_there_is_created() {
        let mut observed = Observed::default();
        observed.see(None, Instant::now());
        assert_eq!(observed.decide("me", DURATION, Instant::now()), LeaseAction::Create);
        let lease = observed.written_by("l", "me", DURATION, LeaseAction::Create);
        let spec = lease.spec.unwrap();
        assert_eq!(lease.metadata.name.as_deref(), Some("l"));
        assert_eq!(spec.holder_identity.as_deref(), Some("me"));
        assert_eq!((spec.lease_transitions, spec.lease_duration_seconds), (Some(0), Some(15)));
    }

    #[test]
    fn ours_is_renewed_without_counting_a_transition() {
        let mut observed = Observed::default();
        let start = Instant::now();
        observed.see(Some(lease("me", 1, Some(15))), start);
        assert_eq!(observed.decide("me", DURATION, start), LeaseAction::Renew);
        assert_eq!(observed.decide("me", DURATION, start + seconds(60)), LeaseAction::Renew);
        let spec = observed.written_by("l", "me", DURATION, LeaseAction::Renew).spec.unwrap();
        assert_eq!((spec.lease_transitions, spec.acquire_time), (Some(3), None));
    }

    #[test]
    fn anothers_is_waited_for_as_long_as_it_is_renewed() {
        let mut observed = Observed::default();
        let mut now = Instant::now();
        for renewal in 0..20 {
            observed.see(Some(lease("other", renewal, Some(15))), now);
            now += seconds(14);
            assert_eq!(observed.decide("me", DURATION, now), LeaseAction::Wait);
        }
        now += seconds(1);
        assert_eq!(observed.decide("me", DURATION, now), LeaseAction::TakeOver);
        let spec = observed.written_by("l", "me", DURATION, LeaseAction::TakeOver).spec.unwrap();
        assert_eq!(spec.lease_transitions, Some(4));
    }

    #[test]
    fn seeing_it_again_is_no_renewal_and_neither_is_a_label() {
        let mut observed = Observed::default();
        let start = Instant::now();
        for second in 0..15 {
            let mut lease = lease("other", 1, Some(15));
            lease.metadata.resource_version = Some(second.to_string());
            observed.see(Some(lease), start + seconds(second));
            assert_eq!(observed.decide("me", DURATION, start + seconds(second)), LeaseAction::Wait);
        }
        assert_eq!(observed.decide("me", DURATION, start + seconds(15)), LeaseAction::TakeOver);
    }

    #[test]
    fn the_record_says_how_long_it_holds() {
        for (duration, holds) in [(Some(40), 40), (Some(1), 1), (None, 15), (Some(-1), 15)] {
            let mut observed = Observed::default();
            let start = Instant::now();
            observed.see(Some(lease("other", 1, duration)), start);
            let before = start + seconds(holds).mul_f64(0.99);
            assert_eq!(observed.decide("me", DURATION, before), LeaseAction::Wait, "{duration:?}");
            let after = start + seconds(holds);
            assert_eq!(
                observed.decide("me", DURATION, after),
                LeaseAction::TakeOver,
                "{duration:?}"
            );
        }
    }

    #[test]
    fn nobodys_is_taken_at_once() {
        let mut observed = Observed::default();
        let start = Instant::now();
        for free in [lease("", 1, Some(15)), Lease::default()] {
            observed.see(Some(free), start);
            assert_eq!(observed.decide("me", DURATION, start), LeaseAction::TakeOver);
        }
        observed.see(Some(lease("me", 1, Some(15))), start);
        let released = observed.released();
        observed.see(Some(released), start);
        assert_eq!(observed.decide("other", DURATION, start), LeaseAction::TakeOver);
    }
}
