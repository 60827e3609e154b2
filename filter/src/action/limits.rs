//! Timeouts and retries.

use super::checks::{check_ms, check_override};
use crate::duration;
use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::{At, Bytes, Text, record};
use crate::headers::HeaderEdit;
use crate::names::{MAX_RETRIES_HEADER, PER_TRY_TIMEOUT_HEADER, RETRY_ON_HEADER, TIMEOUT_HEADER};
use crate::request::Request;
use crate::table;
use crate::view::View;

/// The most retries that a client may request, unless the table has another limit:
/// each is one more request to the upstream.
const MAX_CLIENT_RETRIES: u32 = 25;

/// The conditions on which Envoy retries, the same as in the original, and those in which
/// the routes name headers: gRPC's UNAVAILABLE.
const RETRY_ON: &[u8] = b"5xx,connect-failure,refused-stream,retriable-headers";

record! {
    pub(super) struct Timeout {
        ms: u32,
        override_header: Option<Text>,
        override_limit_ms: Option<At<u32>>,
    }

    pub(super) struct Retries {
        attempts: u32,
        /// 0 means no timeout.
        per_try_timeout_ms: u32,
        override_header: Option<Text>,
        override_limit: Option<At<u32>>,
    }
}

/// The parsed value of the override header, if the request has it.
pub(super) fn replaced<T, R: Request + ?Sized>(
    header: Option<Text>,
    bytes: Bytes<'_>,
    view: &View<'_, R>,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, Broken> {
    let Some(header) = header else { return Ok(None) };
    Ok(view.first_value(bytes.str(header)?).and_then(|value| parse(&value)))
}

/// The timeout in milliseconds: `own`, or the value of the override header, up to a
/// limit.
pub(super) fn client_ms<R: Request + ?Sized>(
    own: u32,
    (header, limit): (Option<Text>, Option<At<u32>>),
    bytes: Bytes<'_>,
    view: &View<'_, R>,
) -> Result<u32, Broken> {
    let asked = replaced(header, bytes, view, duration::parse_header)?;
    Ok(within(own, asked, bytes.option(limit)?.unwrap_or(table::MAX_CLIENT_MS)))
}

/// The value that a client requests if it is within the limit, otherwise `own`. A
/// value below `own` is always within the limit.
fn within(own: u32, asked: Option<u32>, limit: u32) -> u32 {
    asked.filter(|asked| *asked <= own.max(limit)).unwrap_or(own)
}

impl Timeout {
    pub(super) fn encode(
        timeout: &table::Timeout,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        check_ms(timeout.ms, &place.field("ms"))?;
        check_override(timeout.override_header.as_ref(), place)?;
        Ok(Self {
            ms: timeout.ms,
            override_header: encoder.shared_option(timeout.override_header.as_ref()),
            override_limit_ms: timeout.override_limit_ms.map(|limit| encoder.record(limit)),
        })
    }

    pub(super) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Timeout, Broken> {
        Ok(table::Timeout {
            ms: self.ms,
            override_header: bytes.string_option(self.override_header)?,
            override_limit_ms: bytes.option(self.override_limit_ms)?,
        })
    }

    pub(super) fn edit<'t, R: Request + ?Sized>(
        &self,
        bytes: Bytes<'t>,
        view: &View<'_, R>,
    ) -> Result<HeaderEdit<'t>, Broken> {
        let replacement = (self.override_header, self.override_limit_ms);
        Ok(HeaderEdit::number(TIMEOUT_HEADER, client_ms(self.ms, replacement, bytes, view)?))
    }
}

impl Retries {
    pub(super) fn encode(
        retries: &table::Retries,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        check_override(retries.override_header.as_ref(), place)?;
        if let Some(ms) = retries.per_try_timeout_ms {
            check_ms(ms, &place.field("per_try_timeout_ms"))?;
        }
        Ok(Self {
            attempts: retries.attempts,
            per_try_timeout_ms: retries.per_try_timeout_ms.unwrap_or_default(),
            override_header: encoder.shared_option(retries.override_header.as_ref()),
            override_limit: retries.override_limit.map(|limit| encoder.record(limit)),
        })
    }

    pub(super) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Retries, Broken> {
        Ok(table::Retries {
            attempts: self.attempts,
            per_try_timeout_ms: Some(self.per_try_timeout_ms).filter(|ms| *ms > 0),
            override_header: bytes.string_option(self.override_header)?,
            override_limit: bytes.option(self.override_limit)?,
        })
    }

    pub(super) fn apply<'t, R: Request + ?Sized>(
        &self,
        bytes: Bytes<'t>,
        view: &View<'_, R>,
        edits: &mut Vec<HeaderEdit<'t>>,
    ) -> Result<(), Broken> {
        if self.per_try_timeout_ms > 0 {
            edits.push(HeaderEdit::number(PER_TRY_TIMEOUT_HEADER, self.per_try_timeout_ms));
        }
        let asked = replaced(self.override_header, bytes, view, duration::parse_number)?;
        let limit = bytes.option(self.override_limit)?.unwrap_or(MAX_CLIENT_RETRIES);
        let attempts = within(self.attempts, asked, limit);
        if attempts > 0 {
            edits.push(HeaderEdit::set(RETRY_ON_HEADER, RETRY_ON));
            edits.push(HeaderEdit::number(MAX_RETRIES_HEADER, attempts));
        }
        Ok(())
    }
}
