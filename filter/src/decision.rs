//! What happens to a request: its headers in, one decision out.

use std::borrow::Cow;

use crate::router::Router;
use crate::table::{Action, Forward};

/// Headers that start so are this project's own. A client's are removed, and
/// none reaches an upstream.
pub const INTERNAL_HEADER_PREFIX: &str = "x-ingress-";

/// The header that names the cluster to Envoy's only route.
pub const CLUSTER_HEADER: &str = "x-ingress-cluster";

/// What a decision may ask of a request.
pub trait Request {
    /// The value of a header or pseudo-header, by its name in lower case; of a
    /// header sent several times, all values joined with `,` (RFC 9110 section
    /// 5.3). Asking may cost a host call.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}

/// A request whose headers have all been read.
impl Request for [(String, Vec<u8>)] {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut values =
            self.iter().filter(|(candidate, _)| candidate == name).map(|(_, value)| value);
        let mut joined = Cow::from(values.next()?);
        for value in values {
            let joined = joined.to_mut();
            joined.push(b',');
            joined.extend_from_slice(value);
        }
        Some(joined)
    }
}

/// What happens to a request, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'t> {
    /// What happens.
    pub verdict: Verdict<'t>,
    /// Why, for the counters.
    pub outcome: Outcome,
    /// The route's source, where there is a route.
    pub source: Option<&'t str>,
    /// The name of the rule that decided, where one did.
    pub rule: Option<&'t str>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'t> {
    /// It goes to an upstream.
    Forward(&'t Forward),
    /// It is answered with this status and an empty body.
    Respond(u16),
}

/// The kinds of decisions, each of which has its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A route serves the request.
    Routed,
    /// Nothing serves its host and path: 404.
    NoRoute,
    /// It is of a kind that no route may serve: TRACE (405), an authority that
    /// is none (404), a target that is no path (404); or there is no table
    /// (503).
    Refused,
}

impl Outcome {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::Routed, Self::NoRoute, Self::Refused];

    /// What metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::NoRoute => "no_route",
            Self::Refused => "refused",
        }
    }
}

impl Decision<'_> {
    /// What happens to every request while there is no route table.
    pub const fn without_table() -> Self {
        Self::refuse(503)
    }

    const fn refuse(status: u16) -> Self {
        Self {
            verdict: Verdict::Respond(status),
            outcome: Outcome::Refused,
            source: None,
            rule: None,
        }
    }
}

impl Router {
    /// Decides what happens to a request.
    pub fn decide(&self, request: &(impl Request + ?Sized)) -> Decision<'_> {
        if !self.is_sanitized_by_envoy() && is_trace(request) {
            return Decision::refuse(405);
        }
        let decision = self.decide_by_route(request);
        match decision.verdict {
            // Envoy refuses TRACE, but gets to see only what goes on to it.
            Verdict::Respond(_) if is_trace(request) => Decision::refuse(405),
            _ => decision,
        }
    }

    fn decide_by_route(&self, request: &(impl Request + ?Sized)) -> Decision<'_> {
        let Some(target) = request.header(":path") else { return Decision::refuse(404) };
        // `*` and the target of CONNECT are no paths.
        if !target.starts_with(b"/") {
            return Decision::refuse(404);
        }
        let authority = request.header(":authority").unwrap_or_default();
        let Ok(matched) = self.find(&authority, &target) else { return Decision::refuse(404) };
        let Some(matched) = matched else {
            return Decision { outcome: Outcome::NoRoute, ..Decision::refuse(404) };
        };
        let (action, rule) = matched.backend.action(|name| request.header(name));
        let verdict = match action {
            Action::Forward(forward) => Verdict::Forward(forward),
            Action::Respond(respond) => Verdict::Respond(respond.status),
        };
        Decision { verdict, outcome: Outcome::Routed, source: Some(matched.source), rule }
    }
}

/// TRACE would show a client the headers that were added on its way.
fn is_trace(request: &(impl Request + ?Sized)) -> bool {
    request.header(":method").as_deref() == Some(b"TRACE")
}
