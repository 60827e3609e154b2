//! What can happen to a request.

use crate::headers::HeaderEdit;
use crate::table::AbortStatus;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'t> {
    /// It goes to an upstream.
    Forward(Forwarding<'t>),
    /// It is answered with this status and an empty body.
    Respond(u16),
}

/// To which upstream a request goes, and what becomes of it on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding<'t> {
    /// The name of the cluster.
    pub cluster: &'t str,
    /// Whether it may be upgraded to WebSocket.
    pub websocket: bool,
    /// All changes to its headers but that which names the cluster.
    pub edits: Vec<HeaderEdit<'t>>,
    /// How many milliseconds it waits first.
    pub delay: Option<u32>,
    /// What it is answered after that, in place of going to the upstream.
    pub abort: Option<AbortStatus>,
}

impl Forwarding<'_> {
    /// The fault of the request, as the access log shows it: `delay=100ms`,
    /// `abort=503`, `abort=grpc-14`, or a delay and an abort with a comma between.
    pub fn fault(&self) -> Option<String> {
        let delay = self.delay.map(|ms| format!("delay={ms}ms"));
        let abort = self.abort.map(|status| match status {
            AbortStatus::Http(status) => format!("abort={status}"),
            AbortStatus::Grpc(status) => format!("abort=grpc-{status}"),
        });
        match (delay, abort) {
            (Some(delay), Some(abort)) => Some([delay, abort].join(",")),
            (delay, abort) => delay.or(abort),
        }
    }
}

/// The kinds of decisions, each of which has its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A route serves the request.
    Routed,
    /// Nothing serves its host and path, or nothing without TLS: 404.
    NoRoute,
    /// Its host has another certificate than its connection: 421. Clients that
    /// share a connection among hosts send it again on one of its own.
    Misdirected,
    /// It is of a kind that no route may serve: TRACE (405), an upgrade that no
    /// rule allows (403), an authority that is none (404), a target that is no
    /// path (404) or would be one that leads elsewhere (400); or there is no
    /// table, or none that can be read (503).
    Refused,
}

impl Outcome {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::Routed, Self::NoRoute, Self::Misdirected, Self::Refused];

    /// What metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::NoRoute => "no_route",
            Self::Misdirected => "misdirected",
            Self::Refused => "refused",
        }
    }
}

/// What comes of an action for a request.
#[derive(Debug)]
pub(crate) struct Applied<'t> {
    pub(crate) verdict: Verdict<'t>,
    /// Headers that are added to the answer, be it of the filter or of the upstream.
    pub(crate) response_headers: Vec<HeaderEdit<'t>>,
    pub(crate) outcome: Outcome,
}

impl<'t> Applied<'t> {
    pub(crate) const fn routed(
        verdict: Verdict<'t>,
        response_headers: Vec<HeaderEdit<'t>>,
    ) -> Self {
        Self { verdict, response_headers, outcome: Outcome::Routed }
    }

    pub(crate) const fn refused(status: u16) -> Self {
        let verdict = Verdict::Respond(status);
        Self { verdict, response_headers: Vec::new(), outcome: Outcome::Refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_for_the_access_log() {
        let (http, grpc) = (AbortStatus::Http(503), AbortStatus::Grpc(14));
        for (delay, abort, expected) in [
            (None, None, None),
            (Some(100), None, Some("delay=100ms")),
            (None, Some(http), Some("abort=503")),
            (None, Some(grpc), Some("abort=grpc-14")),
            (Some(100), Some(http), Some("delay=100ms,abort=503")),
        ] {
            let edits = Vec::new();
            let forwarding = Forwarding { cluster: "web", websocket: false, edits, delay, abort };
            assert_eq!(forwarding.fault().as_deref(), expected);
        }
    }
}
