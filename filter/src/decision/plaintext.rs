//! Plain HTTP requests to routes that require TLS.

use super::Decision;
use crate::action;
use crate::authority;
use crate::headers::HeaderEdit;
use crate::request::Request;
use crate::router::{Matched, Router};
use crate::table::{DEFAULT_HTTPS_PORT, Plaintext};
use crate::verdict::{Outcome, Verdict};
use crate::view::View;

impl Router {
    /// The response in place of the actions of the backend's rules.
    pub(super) fn decide_plaintext<'t, R: Request + ?Sized>(
        &self,
        plaintext: Plaintext,
        view: &View<'_, R>,
        matched: &Matched<'t>,
    ) -> Decision<'t> {
        let (source, count_as) = (Some(matched.source), matched.counted());
        let location = match plaintext {
            Plaintext::Redirect => self.over_https(view),
            Plaintext::Refuse => None,
        };
        let Some(location) = location else {
            let refused = Decision::refuse(404);
            return Decision { outcome: Outcome::NoRoute, source, count_as, ..refused };
        };
        Decision {
            verdict: Verdict::Respond(308),
            response_headers: vec![HeaderEdit::set("location", location)],
            outcome: Outcome::Routed,
            source,
            count_as,
            rule: None,
        }
    }

    /// The request's URL with `https`. `None` if the request has no host, as HTTP/1.0
    /// allows: a redirect to the path alone would return to plain HTTP.
    fn over_https<R: Request + ?Sized>(&self, view: &View<'_, R>) -> Option<Vec<u8>> {
        let host = authority::host(view.authority()).filter(|host| !host.is_empty())?;
        let mut authority = host.into_owned();
        match self.https_port() {
            // The default port of the scheme.
            DEFAULT_HTTPS_PORT => {}
            port => authority.extend_from_slice(format!(":{port}").as_bytes()),
        }
        Some(action::url(b"https", &authority, view.path_and_query()))
    }
}
