//! The possible outcomes of a request.

use crate::headers::HeaderEdit;
use crate::table::AbortStatus;

/// The decision about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'t> {
    /// Forward it to an upstream.
    Forward(Forwarding<'t>),
    /// Respond with this status and an empty body.
    Respond(u16),
}

/// The upstream of a request, and how to forward it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding<'t> {
    /// The name of the cluster.
    pub cluster: &'t str,
    /// Whether it may be upgraded to WebSocket.
    pub websocket: bool,
    /// All changes of its headers, except for the one that names the cluster.
    pub edits: Vec<HeaderEdit<'t>>,
    /// The delay in milliseconds before it is forwarded.
    pub delay: Option<u32>,
    /// The status to respond with after the delay, instead of forwarding.
    pub abort: Option<AbortStatus>,
}

impl Forwarding<'_> {
    /// The injected fault, as in the access log: `delay=100ms`, `abort=503`,
    /// `abort=grpc-14`, or a delay and an abort, separated by a comma.
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

/// The kinds of decisions, each with its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A route matched.
    Routed,
    /// No route matched, or the route is not served over plain HTTP: 404.
    NoRoute,
    /// The connection has the certificate of another host: 421. Clients that
    /// share a connection among hosts send the request again on a separate one.
    Misdirected,
    /// A request that no route may serve: TRACE (405), an upgrade that no rule
    /// allows (403), an invalid authority (404), a target that is not a path
    /// (404) or that a rewrite would turn into one with a dot segment (400); or
    /// there is no valid table (503).
    Refused,
}

impl Outcome {
    /// All variants, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::Routed, Self::NoRoute, Self::Misdirected, Self::Refused];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::NoRoute => "no_route",
            Self::Misdirected => "misdirected",
            Self::Refused => "refused",
        }
    }
}

/// The result of an action for a request.
#[derive(Debug)]
pub(crate) struct Applied<'t> {
    pub(crate) verdict: Verdict<'t>,
    /// Headers to add to the response, whether of the filter or of the upstream.
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
