//! Cross-origin resource sharing: the CORS protocol of the Fetch standard
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::borrow::Cow;

use super::request::Request;
use super::view::View;
use crate::headers::HeaderEdit;
use crate::rules::Cors;

/// What CORS makes of a request.
pub(super) enum Asked<'t> {
    /// A browser asks what a page may do: that is answered at once.
    Preflight(Vec<HeaderEdit<'t>>),
    /// Anything else goes on, and its answer gets these headers.
    Other(Vec<HeaderEdit<'t>>),
}

/// What a request asks of `cors`, if there is any. An origin that is not allowed
/// gets no word of it, and its request passes.
pub(super) fn ask<'t, R: Request + ?Sized>(
    cors: Option<&'t Cors>,
    view: &View<'_, R>,
) -> Asked<'t> {
    let Some(cors) = cors else { return Asked::Other(Vec::new()) };
    let Some(origin) = cors.allowed_origin(view) else { return Asked::Other(Vec::new()) };
    let mut headers = cors.headers(origin);
    if is_preflight(view) {
        headers.extend(cors.preflight.iter().cloned());
        Asked::Preflight(headers)
    } else {
        headers.extend(cors.exposed.clone());
        Asked::Other(headers)
    }
}

fn is_preflight<R: Request + ?Sized>(view: &View<'_, R>) -> bool {
    view.first_value(":method").as_deref() == Some(b"OPTIONS")
        && view.first_value("access-control-request-method").is_some()
}

/// An origin that is allowed, and what it is told of that.
struct AllowedOrigin<'t> {
    value: Cow<'t, [u8]>,
    /// Whether the answer is another one for other origins.
    varies: bool,
}

impl Cors {
    fn allowed_origin<R: Request + ?Sized>(&self, view: &View<'_, R>) -> Option<AllowedOrigin<'_>> {
        let origin = view.first_value("origin")?;
        if self.any_origin {
            if !self.credentials {
                return Some(AllowedOrigin { value: b"*".into(), varies: false });
            }
            // It goes into an answer: no more than an origin may hold.
            let is_clean = !origin.is_empty() && origin.iter().all(u8::is_ascii_graphic);
            return is_clean
                .then(|| AllowedOrigin { value: origin.into_owned().into(), varies: true });
        }
        let known = self.origins.iter().find(|known| known.as_bytes() == &*origin)?;
        Some(AllowedOrigin { value: known.as_bytes().into(), varies: true })
    }

    fn headers<'t>(&self, origin: AllowedOrigin<'t>) -> Vec<HeaderEdit<'t>> {
        let mut headers = vec![HeaderEdit::set("access-control-allow-origin", origin.value)];
        if self.credentials {
            headers.push(HeaderEdit::set("access-control-allow-credentials", &b"true"[..]));
        }
        if origin.varies {
            headers.push(HeaderEdit::append("vary", &b"origin"[..]));
        }
        headers
    }
}
