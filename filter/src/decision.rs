//! What happens to a request: its headers in, one decision out.

mod plaintext;

use crate::action::Routed;
use crate::error::Broken;
use crate::headers::HeaderEdit;
use crate::request::Request;
use crate::router::Router;
use crate::table::DEFAULT_CERTIFICATE;
use crate::verdict::{Applied, Forwarding, Outcome, Verdict};
use crate::view::View;

/// What happens to a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'t> {
    /// What happens.
    pub verdict: Verdict<'t>,
    /// Headers that are added to the answer, be it of the filter or of the upstream.
    pub response_headers: Vec<HeaderEdit<'t>>,
    /// Why, for the counters.
    pub outcome: Outcome,
    /// The route's source, where there is a route.
    pub source: Option<&'t str>,
    /// The name of the rule that decided, where one did.
    pub rule: Option<&'t str>,
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
        let decision = self.decide_by_route(request).unwrap_or(Decision::refuse(503));
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

    fn decide_by_route<R: Request + ?Sized>(&self, request: &R) -> Result<Decision<'_>, Broken> {
        let Some(target) = request.first_value(":path") else { return Ok(Decision::refuse(404)) };
        // `*` and the target of CONNECT are not paths.
        if !target.starts_with(b"/") {
            return Ok(Decision::refuse(404));
        }
        let authority = request.first_value(":authority").unwrap_or_default();
        if self.is_misdirected(request, &authority) {
            return Ok(Decision { outcome: Outcome::Misdirected, ..Decision::refuse(421) });
        }
        let Ok(host) = self.find_host(&authority) else { return Ok(Decision::refuse(404)) };
        let Some(matched) = self.find_route(host, &target)? else {
            return Ok(Decision { outcome: Outcome::NoRoute, ..Decision::refuse(404) });
        };
        let (bytes, backend) = (self.bytes(), matched.backend);
        let slots = (bytes, backend.slots);
        let view = View::new(request, target, authority, slots, self.fixed_random()?)?;
        if let Some(plaintext) = matched.plaintext.filter(|_| !view.is_https()) {
            return Ok(self.decide_plaintext(plaintext, &view, matched.source));
        }
        let chosen = backend.choose(bytes, &view)?;
        let routed = Routed { prefix: matched.prefix, port: backend.port(bytes, matched.port)? };
        let Applied { verdict, response_headers, outcome } =
            chosen.action.apply(bytes, &view, routed)?;
        let source = Some(matched.source);
        Ok(Decision { verdict, response_headers, outcome, source, rule: chosen.rule })
    }

    /// Whether the request's host has another certificate than its connection
    /// (RFC 9110 section 15.5.20), as where a client sends requests for all
    /// hosts that a wildcard covers on one connection. A filter chain without a
    /// name is one without TLS.
    fn is_misdirected(&self, request: &(impl Request + ?Sized), authority: &[u8]) -> bool {
        let Some(certificate) = self.certificate(authority) else { return false };
        let chain = request.filter_chain().unwrap_or_default();
        if chain.is_empty() || *chain == *certificate.as_bytes() {
            return false;
        }
        // A client that names no host when it connects claims none.
        *chain != *DEFAULT_CERTIFICATE.as_bytes() || request.server_name().is_some()
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
