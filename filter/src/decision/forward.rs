//! A request that goes to an upstream.

use super::cors::{self, Asked};
use super::path::{self, LeadsElsewhere};
use super::request::Request;
use super::view::View;
use super::{Forwarding, Verdict};
use crate::duration;
use crate::headers::HeaderEdit;
use crate::random::hits;
use crate::rules::{Destination, Forward, Rewrite, envoy, retry_edits};
use crate::table::AbortStatus;

/// The most retries that a client may ask for: each is one more request to the
/// upstream.
const MAX_CLIENT_RETRIES: u32 = 25;

type Decided<'t> = (Verdict<'t>, Vec<HeaderEdit<'t>>);

impl Forward {
    /// `prefix` is what the route's prefix takes up of the path.
    pub(super) fn decide<R: Request + ?Sized>(
        &self,
        view: &View<'_, R>,
        prefix: Option<usize>,
    ) -> Result<Decided<'_>, LeadsElsewhere> {
        let response_headers = match cors::ask(self.cors.as_ref(), view) {
            Asked::Preflight(headers) => return Ok((Verdict::Respond(200), headers)),
            Asked::Other(headers) => headers,
        };
        let Some(cluster) = self.destination.draw(view) else {
            return Ok((Verdict::Respond(503), response_headers));
        };
        let mut dynamic = Vec::new();
        self.replace_limits(view, &mut dynamic);
        let (delay, abort) = (self.draw_delay(view), self.draw_abort(view));
        if let Some(rewrite) = &self.rewrite {
            rewrite.apply(view, prefix, &mut dynamic)?;
        }
        let forwarding = Forwarding {
            cluster,
            websocket: self.websocket,
            fixed: &self.edits,
            dynamic,
            delay,
            abort,
        };
        Ok((Verdict::Forward(forwarding), response_headers))
    }

    /// Timeout and retries, where the client may replace them.
    fn replace_limits<'t, R: Request + ?Sized>(
        &'t self,
        view: &View<'_, R>,
        edits: &mut Vec<HeaderEdit<'t>>,
    ) {
        if let Some((ms, header)) = &self.timeout {
            let replaced =
                view.first_value(header).and_then(|value| duration::parse_header(&value));
            edits.push(HeaderEdit::number(envoy::TIMEOUT, replaced.unwrap_or(*ms)));
        }
        if let Some(retries) = &self.retries {
            let replaced = view
                .first_value(&retries.override_header)
                .and_then(|value| duration::parse_number(&value))
                .filter(|attempts| *attempts <= MAX_CLIENT_RETRIES);
            edits.extend(retry_edits(replaced.unwrap_or(retries.attempts)));
        }
    }

    /// Delay and abort are each drawn on their own.
    fn draw_delay<R: Request + ?Sized>(&self, view: &View<'_, R>) -> Option<u32> {
        let delay = self.fault.delay.as_ref()?;
        if !hits(view.random(), delay.per_million) {
            return None;
        }
        let header = delay.override_header.as_ref().and_then(|header| view.first_value(header));
        let replaced = header.and_then(|value| duration::parse_header(&value));
        Some(replaced.unwrap_or(delay.ms))
    }

    fn draw_abort<R: Request + ?Sized>(&self, view: &View<'_, R>) -> Option<AbortStatus> {
        let abort = self.fault.abort.as_ref()?;
        if !hits(view.random(), abort.per_million) {
            return None;
        }
        let header = abort.override_header.as_ref().and_then(|header| view.first_value(header));
        let replaced = header.and_then(|value| same_kind(abort.status, &value));
        Some(replaced.unwrap_or(abort.status))
    }
}

/// The status that a client asks for, of the kind that the rule has.
fn same_kind(status: AbortStatus, value: &[u8]) -> Option<AbortStatus> {
    let number = duration::parse_number(value)?;
    match status {
        AbortStatus::Http(_) => {
            let status = u16::try_from(number).ok().filter(|status| (200..=599).contains(status));
            status.map(AbortStatus::Http)
        }
        AbortStatus::Grpc(_) => {
            u8::try_from(number).ok().filter(|status| *status <= 16).map(AbortStatus::Grpc)
        }
    }
}

impl Destination {
    /// `None` where what was drawn has no cluster.
    fn draw<R: Request + ?Sized>(&self, view: &View<'_, R>) -> Option<&str> {
        match self {
            Self::Cluster(cluster) => Some(cluster),
            Self::Split(shares, total) => {
                let drawn = view.random().checked_rem(*total)?;
                shares.iter().find(|share| drawn < share.end)?.cluster.as_deref()
            }
        }
    }
}

impl Rewrite {
    fn apply<'t, R: Request + ?Sized>(
        &'t self,
        view: &View<'_, R>,
        prefix: Option<usize>,
        edits: &mut Vec<HeaderEdit<'t>>,
    ) -> Result<(), LeadsElsewhere> {
        if let Some((new, replaced)) = &self.path {
            let target = path::rewrite(view.path_and_query(), new, *replaced, prefix)?;
            if target != view.target() {
                edits.push(HeaderEdit::set(envoy::ORIGINAL_PATH, view.target().to_vec()));
                edits.push(HeaderEdit::set(":path", target));
            }
        }
        if let Some(authority) = &self.authority {
            edits.push(HeaderEdit::set(":authority", authority.as_bytes()));
        }
        Ok(())
    }
}
