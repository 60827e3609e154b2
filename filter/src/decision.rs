//! Decides about a request: its headers in, one decision out.

mod plaintext;
mod slashes;

use std::borrow::Cow;

use crate::action::Routed;
use crate::error::Broken;
use crate::escapes::Target;
use crate::headers::HeaderEdit;
use crate::names::NO_HOST;
use crate::request::Request;
use crate::router::Router;
use crate::table::DEFAULT_CERTIFICATE;
use crate::verdict::{Applied, Forwarding, Outcome, Verdict};
use crate::view::View;

/// The decision about a request, and its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'t> {
    /// The decision.
    pub verdict: Verdict<'t>,
    /// Headers to add to the response, whether of the filter or of the upstream.
    pub response_headers: Vec<HeaderEdit<'t>>,
    /// The kind of decision, for the counters.
    pub outcome: Outcome,
    /// The source of the matched route, if any.
    pub source: Option<&'t str>,
    /// The name under which the request is counted, if any.
    pub count_as: Option<&'t str>,
    /// The name of the matched rule, if any.
    pub rule: Option<&'t str>,
}

impl Decision<'_> {
    /// The decision for every request while there is no route table.
    pub const fn without_table() -> Self {
        Self::refuse(503)
    }

    const fn refuse(status: u16) -> Self {
        Self {
            verdict: Verdict::Respond(status),
            response_headers: Vec::new(),
            outcome: Outcome::Refused,
            source: None,
            count_as: None,
            rule: None,
        }
    }
}

impl Router {
    /// Decides about a request.
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
            // Envoy's routes reject TRACE and upgrades too, but only in requests
            // that are forwarded.
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
        let authority = authority_of(request);
        if self.is_misdirected(request, &authority) {
            return Ok(Decision { outcome: Outcome::Misdirected, ..Decision::refuse(421) });
        }
        let Ok(host) = self.find_host(&authority) else { return Ok(Decision::refuse(404)) };
        let spelled = Target::new(&target);
        let Some(matched) = self.find_route(host, &spelled)? else {
            return Ok(Decision { outcome: Outcome::NoRoute, ..Decision::refuse(404) });
        };
        let has_escapes = spelled.has_escapes;
        let (bytes, backend) = (self.bytes(), matched.backend);
        let slots = (bytes, backend.slots);
        let view = View::new(request, target, authority, slots, self.fixed_random()?)?;
        if let Some(plaintext) = matched.plaintext.filter(|_| !view.is_https()) {
            return Ok(self.decide_plaintext(plaintext, &view, &matched));
        }
        let chosen = backend.choose(bytes, &view)?;
        if has_escapes && self.is_ambiguous(host, &view, &matched, chosen.index)? {
            return Ok(Decision::refuse(400));
        }
        let routed = Routed { prefix: matched.prefix, port: backend.port(bytes, matched.port)? };
        let Applied { verdict, response_headers, outcome } =
            chosen.action.apply(bytes, &view, routed)?;
        let (source, count_as) = (Some(matched.source), matched.counted());
        Ok(Decision { verdict, response_headers, outcome, source, count_as, rule: chosen.rule })
    }

    /// Whether the connection has a different certificate than the request's host
    /// (RFC 9110 section 15.5.20), for example because a client sends requests
    /// for all hosts that a wildcard covers on one connection. A filter chain
    /// without a name is plain HTTP.
    fn is_misdirected(&self, request: &(impl Request + ?Sized), authority: &[u8]) -> bool {
        let Some(certificate) = self.certificate(authority) else { return false };
        let chain = request.filter_chain().unwrap_or_default();
        if chain.is_empty() || *chain == *certificate.as_bytes() {
            return false;
        }
        // A client without SNI has not asked for the certificate of any host.
        *chain != *DEFAULT_CERTIFICATE.as_bytes() || request.server_name().is_some()
    }
}

/// The authority; empty if the client sent none.
fn authority_of<R: Request + ?Sized>(request: &R) -> Cow<'_, [u8]> {
    match request.first_value(":authority") {
        Some(authority) if *authority != *NO_HOST.as_bytes() => authority,
        _ => Cow::default(),
    }
}

/// TRACE would show a client the headers that were added to its request.
fn is_trace(request: &(impl Request + ?Sized)) -> bool {
    request.first_value(":method").as_deref() == Some(b"TRACE")
}

/// Envoy keeps this header only if the client requests an upgrade.
fn is_upgrade(request: &(impl Request + ?Sized)) -> bool {
    request.first_value("upgrade").is_some()
}
