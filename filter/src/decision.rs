//! What happens to a request: its headers in, one decision out.

use std::borrow::Cow;

use crate::authority;
use crate::router::Router;
use crate::table::{Action, Forward};

/// Headers that start so are this project's own. A client's are removed, and
/// none reaches an upstream.
pub const INTERNAL_HEADER_PREFIX: &str = "x-ingress-";

/// The header that names the cluster to Envoy's only route.
pub const CLUSTER_HEADER: &str = "x-ingress-cluster";

/// A request's headers, pseudo-headers among them, in the order received and
/// with their names in lower case.
pub type Headers = [(String, Vec<u8>)];

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
    /// Decides what happens to the request with these headers.
    pub fn decide(&self, headers: &Headers) -> Decision<'_> {
        let (mut method, mut target, mut authority) = (None, None, &[][..]);
        for (name, value) in headers {
            match name.as_str() {
                ":method" => method = Some(value.as_slice()),
                ":path" => target = Some(value.as_slice()),
                ":authority" => authority = value.as_slice(),
                _ => {}
            }
        }
        // TRACE would show a client the headers that were added on its way.
        if method == Some(b"TRACE") {
            return Decision::refuse(405);
        }
        // `*` and the target of CONNECT are no paths.
        let Some(path) = target.and_then(path_of) else { return Decision::refuse(404) };
        let Some(host) = authority::host(authority) else { return Decision::refuse(404) };
        let Some(matched) = self.find(&host, path) else {
            return Decision { outcome: Outcome::NoRoute, ..Decision::refuse(404) };
        };
        let (action, rule) = matched.backend.action(|name| value_of(headers, name));
        let verdict = match action {
            Action::Forward(forward) => Verdict::Forward(forward),
            Action::Respond(respond) => Verdict::Respond(respond.status),
        };
        Decision { verdict, outcome: Outcome::Routed, source: Some(matched.source), rule }
    }
}

/// The path of a request target: what stands before `?` or `#`.
fn path_of(target: &[u8]) -> Option<&[u8]> {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let path = target.get(..end.unwrap_or(target.len()))?;
    path.starts_with(b"/").then_some(path)
}

/// The value of a header; of one sent several times, all values joined with
/// `,` (RFC 9110 section 5.3).
fn value_of<'h>(headers: &'h Headers, name: &str) -> Option<Cow<'h, [u8]>> {
    let mut values =
        headers.iter().filter(|(candidate, _)| candidate == name).map(|(_, value)| value);
    let mut joined = Cow::from(values.next()?);
    for value in values {
        let joined = joined.to_mut();
        joined.push(b',');
        joined.extend_from_slice(value);
    }
    Some(joined)
}
