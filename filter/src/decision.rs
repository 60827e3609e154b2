//! What happens to a request: its headers in, one decision out.

mod cors;
mod forward;
mod path;
mod plaintext;
mod redirect;
mod request;
mod view;

use crate::headers::HeaderEdit;
use crate::router::Router;
use crate::rules::Action;
use crate::table::AbortStatus;
pub use request::Request;
use view::View;

/// Headers that start so are this project's own. A client's are removed, and
/// none reaches an upstream.
pub const INTERNAL_HEADER_PREFIX: &str = "x-ingress-";

/// The header that names the cluster to Envoy's only route.
pub const CLUSTER_HEADER: &str = "x-ingress-cluster";

/// The header that names the cluster that gets a copy.
pub const MIRROR_HEADER: &str = "x-ingress-mirror";

/// The header that allows an upgrade to WebSocket.
pub const WEBSOCKET_HEADER: &str = "x-ingress-websocket";

/// What happens to a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'t> {
    /// What happens.
    pub verdict: Verdict<'t>,
    /// Headers that the answer gets, whoever gives it.
    pub response_headers: Vec<HeaderEdit<'t>>,
    /// Why, for the counters.
    pub outcome: Outcome,
    /// The route's source, where there is a route.
    pub source: Option<&'t str>,
    /// The name of the rule that decided, where one did.
    pub rule: Option<&'t str>,
}

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
    /// Changes to its headers that are the same for every request.
    pub fixed: &'t [HeaderEdit<'static>],
    /// Changes to its headers that depend on it.
    pub dynamic: Vec<HeaderEdit<'t>>,
    /// How many milliseconds it waits first.
    pub delay: Option<u32>,
    /// What it is answered after that, in place of going to the upstream.
    pub abort: Option<AbortStatus>,
}

impl<'t> Forwarding<'t> {
    /// All changes to its headers but that which names the cluster.
    pub fn edits(&self) -> impl Iterator<Item = &HeaderEdit<'t>> {
        self.fixed.iter().chain(&self.dynamic)
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
    /// table (503).
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

impl Decision<'_> {
    /// What happens to every request while there is no route table.
    pub const fn without_table() -> Self {
        Self::refuse(503)
    }

    const fn refuse(status: u16) -> Self {
        Self {
            verdict: Verdict::Respond(status),
            response_headers: Vec::new(),
            outcome: Outcome::Refused,
            source: None,
            rule: None,
        }
    }
}

impl Router {
    /// Decides what happens to a request.
    ///
    /// ```
    /// use ingress_filter::{Outcome, Router, Verdict};
    ///
    /// let router = Router::load(br#"{
    ///     "version": 1,
    ///     "backends": [{"name": "old", "default": {"redirect": {"authority": "new.example.com"}}}],
    ///     "virtual_hosts": [{
    ///         "hosts": ["old.example.com"],
    ///         "routes": [{"match": {"prefix": "/"}, "backend": "old"}]
    ///     }]
    /// }"#)?;
    /// let request = |host: &str| {
    ///     [(":authority".to_owned(), host.into()), (":path".to_owned(), b"/x".to_vec())]
    /// };
    ///
    /// let redirect = request("old.example.com");
    /// assert_eq!(router.decide(&redirect[..]).verdict, Verdict::Respond(302));
    /// let elsewhere = request("new.example.com");
    /// let decision = router.decide(&elsewhere[..]);
    /// assert_eq!((decision.verdict, decision.outcome), (Verdict::Respond(404), Outcome::NoRoute));
    /// # Ok::<_, ingress_filter::LoadError>(())
    /// ```
    pub fn decide(&self, request: &(impl Request + ?Sized)) -> Decision<'_> {
        if !self.is_sanitized_by_envoy() && is_trace(request) {
            return Decision::refuse(405);
        }
        let decision = self.decide_by_route(request);
        match &decision.verdict {
            // Envoy's routes refuse TRACE and upgrades, but get to see only
            // what goes on to them.
            Verdict::Respond(_) if is_trace(request) => Decision::refuse(405),
            Verdict::Respond(_) if is_upgrade(request) => Decision::refuse(403),
            Verdict::Forward(Forwarding { websocket: false, .. })
                if !self.is_sanitized_by_envoy() && is_upgrade(request) =>
            {
                Decision::refuse(403)
            }
            _ => decision,
        }
    }

    fn decide_by_route(&self, request: &(impl Request + ?Sized)) -> Decision<'_> {
        let Some(target) = request.first_value(":path") else { return Decision::refuse(404) };
        // `*` and the target of CONNECT are no paths.
        if !target.starts_with(b"/") {
            return Decision::refuse(404);
        }
        let authority = request.first_value(":authority").unwrap_or_default();
        if self.is_misdirected(request, &authority) {
            return Decision { outcome: Outcome::Misdirected, ..Decision::refuse(421) };
        }
        let Ok(matched) = self.find(&authority, &target) else { return Decision::refuse(404) };
        let Some(matched) = matched else {
            return Decision { outcome: Outcome::NoRoute, ..Decision::refuse(404) };
        };
        let view = View::new(request, target, authority, matched.backend, self.fixed_random());
        if let Some(plaintext) = matched.plaintext.filter(|_| !view.is_https()) {
            return self.decide_plaintext(plaintext, &view, matched.source);
        }
        let (action, rule) = matched.backend.action(&view);
        let decided = match action {
            Action::Forward(forward) => forward.decide(&view, matched.prefix),
            Action::Redirect(redirect) => Ok(redirect.decide(&view)),
            Action::Respond(status) => Ok((Verdict::Respond(*status), Vec::new())),
        };
        match decided {
            Ok((verdict, response_headers)) => Decision {
                verdict,
                response_headers,
                outcome: Outcome::Routed,
                source: Some(matched.source),
                rule,
            },
            Err(path::LeadsElsewhere) => {
                Decision { source: Some(matched.source), rule, ..Decision::refuse(400) }
            }
        }
    }

    /// Whether the request's host has another certificate than its connection
    /// (RFC 9110 section 15.5.20), as where a client sends requests for all
    /// hosts that a wildcard covers on one connection. A filter chain without a
    /// name is one without TLS.
    fn is_misdirected(&self, request: &(impl Request + ?Sized), authority: &[u8]) -> bool {
        let Some(certificate) = self.certificate(authority) else { return false };
        let chain = request.filter_chain().unwrap_or_default();
        !chain.is_empty() && *chain != *certificate.as_bytes()
    }
}

/// TRACE would show a client the headers that were added on its way.
fn is_trace(request: &(impl Request + ?Sized)) -> bool {
    request.first_value(":method").as_deref() == Some(b"TRACE")
}

/// Envoy leaves the header only where a client may mean it.
fn is_upgrade(request: &(impl Request + ?Sized)) -> bool {
    request.first_value("upgrade").is_some()
}
