//! Cross-origin resource sharing: the CORS protocol of the Fetch standard
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::borrow::Cow;

use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::{At, Bytes, List, Text, record};
use crate::headers::HeaderEdit;
use crate::request::Request;
use crate::table;
use crate::view::View;

record! {
    pub(super) struct Cors {
        origins: List<Text>,
        any_origin: bool,
        credentials: bool,
        /// The lists are joined with commas, as in the response header.
        methods: Option<Text>,
        headers: Option<Text>,
        exposed: Option<Text>,
        max_age_seconds: Option<At<u32>>,
    }
}

/// How CORS handles a request.
pub(super) enum Asked<'t> {
    /// A preflight request of a browser, which the filter answers.
    Preflight(Vec<HeaderEdit<'t>>),
    /// Any other request, which continues; its response gets these headers.
    Other(Vec<HeaderEdit<'t>>),
}

impl Cors {
    pub(super) fn encode_option(
        cors: Option<&table::Cors>,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Option<At<Self>>, LoadError> {
        let Some(cors) = cors else { return Ok(None) };
        let cors = Self::encode(cors, encoder, place)?;
        Ok(Some(encoder.record(cors)))
    }

    fn encode(
        cors: &table::Cors,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        for (list, values) in [
            ("allow_origins", &cors.allow_origins),
            ("allow_methods", &cors.allow_methods),
            ("allow_headers", &cors.allow_headers),
            ("expose_headers", &cors.expose_headers),
        ] {
            for (index, value) in values.iter().enumerate() {
                if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
                    let reason =
                        format!("{value:?} is not allowed here; use visible ASCII without commas");
                    return Err(place.item(list, index).error(reason));
                }
            }
        }
        let origins: Vec<_> =
            cors.allow_origins.iter().map(|origin| encoder.shared(origin)).collect();
        let mut joined =
            |list: &[String]| (!list.is_empty()).then(|| encoder.shared(list.join(",")));
        Ok(Self {
            any_origin: cors.allow_origins.iter().any(|origin| origin == "*"),
            credentials: cors.allow_credentials,
            methods: joined(&cors.allow_methods),
            headers: joined(&cors.allow_headers),
            exposed: joined(&cors.expose_headers),
            max_age_seconds: cors.max_age_seconds.map(|seconds| encoder.record(seconds)),
            origins: encoder.list(&origins),
        })
    }

    pub(super) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Cors, Broken> {
        let origins = bytes.list(self.origins)?.iter();
        let list = |joined: Option<Text>| {
            let Some(joined) = joined else { return Ok(Vec::new()) };
            Ok(bytes.str(joined)?.split(',').map(str::to_owned).collect())
        };
        Ok(table::Cors {
            allow_origins: origins.map(|origin| bytes.string(origin?)).collect::<Result<_, _>>()?,
            allow_methods: list(self.methods)?,
            allow_headers: list(self.headers)?,
            expose_headers: list(self.exposed)?,
            max_age_seconds: bytes.option(self.max_age_seconds)?,
            allow_credentials: self.credentials,
        })
    }

    /// Applies `cors`, if there is one, to a request. A request from an origin that is
    /// not allowed continues, and its response gets no CORS headers.
    pub(super) fn ask<'t, R: Request + ?Sized>(
        cors: Option<At<Self>>,
        bytes: Bytes<'t>,
        view: &View<'_, R>,
    ) -> Result<Asked<'t>, Broken> {
        let Some(cors) = bytes.option(cors)? else { return Ok(Asked::Other(Vec::new())) };
        let origin = view.first_value("origin");
        let mut headers = Vec::new();
        if cors.varies() {
            headers.push(HeaderEdit::append("vary", &b"origin"[..]));
        }
        let Some(allowed) = cors.allowed_origin(bytes, origin.as_deref())? else {
            return Ok(Asked::Other(headers));
        };
        headers.push(HeaderEdit::set("access-control-allow-origin", allowed));
        if cors.credentials {
            headers.push(HeaderEdit::set("access-control-allow-credentials", &b"true"[..]));
        }
        let mut add = |name, value: Option<Text>| {
            let value = value.map(|value| bytes.text(value)).transpose()?;
            headers.extend(value.map(|value| HeaderEdit::set(name, value)));
            Ok(())
        };
        if origin.is_none() || !is_preflight(view) {
            add("access-control-expose-headers", cors.exposed)?;
            return Ok(Asked::Other(headers));
        }
        add("access-control-allow-methods", cors.methods)?;
        add("access-control-allow-headers", cors.headers)?;
        let max_age = bytes.option(cors.max_age_seconds)?;
        headers
            .extend(max_age.map(|seconds| HeaderEdit::number("access-control-max-age", seconds)));
        Ok(Asked::Preflight(headers))
    }

    /// Whether the response depends on the origin, so that a cache must not reuse it
    /// for another one ("CORS protocol and HTTP caches" in the standard).
    fn varies(&self) -> bool {
        !self.any_origin || self.credentials
    }

    /// The value of `access-control-allow-origin`; `None` if the origin is not allowed.
    fn allowed_origin<'t>(
        &self,
        bytes: Bytes<'t>,
        origin: Option<&[u8]>,
    ) -> Result<Option<Cow<'t, [u8]>>, Broken> {
        if !self.varies() {
            return Ok(Some(b"*".into()));
        }
        let Some(origin) = origin else { return Ok(None) };
        if self.any_origin {
            return Ok(is_origin(origin).then(|| origin.to_owned().into()));
        }
        for known in bytes.list(self.origins)?.iter() {
            let known = bytes.text(known?)?;
            if known == origin {
                return Ok(Some(known.into()));
            }
        }
        Ok(None)
    }
}

/// Whether `value` is a serialized origin (RFC 6454 section 7.1), which may be put
/// into a response: `null`, or a scheme and a host. A `*` would allow every origin
/// to read what a cache stores for one of them.
fn is_origin(value: &[u8]) -> bool {
    let is_serialized = || {
        value.windows(3).any(|part| part == b"://")
            && value.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'*' | b','))
    };
    value == b"null" || is_serialized()
}

fn is_preflight<R: Request + ?Sized>(view: &View<'_, R>) -> bool {
    view.first_value(":method").as_deref() == Some(b"OPTIONS")
        && view.first_value("access-control-request-method").is_some()
}
