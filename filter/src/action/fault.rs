//! Fault injection: delays and aborts.

use super::checks::{check_ms, check_override, check_share, check_status};
use super::limits::{client_ms, replaced};
use crate::duration;
use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::{At, Bytes, Text, record, tags};
use crate::random::hits;
use crate::request::Request;
use crate::table::{self, AbortStatus};
use crate::view::View;

record! {
    pub(super) struct Fault {
        delay: Option<At<Delay>>,
        abort: Option<At<Abort>>,
    }

    struct Delay {
        per_million: u32,
        ms: u32,
        override_header: Option<Text>,
        override_limit_ms: Option<At<u32>>,
    }

    struct Abort {
        per_million: u32,
        kind: StatusKind,
        status: u16,
        override_header: Option<Text>,
    }
}

tags! {
    enum StatusKind {
        Http = 0,
        Grpc = 1,
    }
}

/// The faults to inject into a request.
#[derive(Default)]
pub(super) struct Drawn {
    pub(super) delay: Option<u32>,
    pub(super) abort: Option<AbortStatus>,
}

impl Fault {
    pub(super) fn encode(
        fault: &table::Fault,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let delay = match &fault.delay {
            None => None,
            Some(delay) => {
                let delay = Delay::encode(delay, encoder, &place.field("delay"))?;
                Some(encoder.record(delay))
            }
        };
        let abort = match &fault.abort {
            None => None,
            Some(abort) => {
                let abort = Abort::encode(abort, encoder, &place.field("abort"))?;
                Some(encoder.record(abort))
            }
        };
        Ok(Self { delay, abort })
    }

    pub(super) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Fault, Broken> {
        Ok(table::Fault {
            delay: bytes.option(self.delay)?.map(|delay| delay.decode(bytes)).transpose()?,
            abort: bytes.option(self.abort)?.map(|abort| abort.decode(bytes)).transpose()?,
        })
    }

    /// Delay and abort are drawn independently.
    pub(super) fn draw<R: Request + ?Sized>(
        &self,
        bytes: Bytes<'_>,
        view: &View<'_, R>,
    ) -> Result<Drawn, Broken> {
        let mut drawn = Drawn::default();
        if let Some(delay) = bytes.option(self.delay)?
            && hits(view.random(), delay.per_million)
        {
            let replacement = (delay.override_header, delay.override_limit_ms);
            drawn.delay = Some(client_ms(delay.ms, replacement, bytes, view)?);
        }
        if let Some(abort) = bytes.option(self.abort)?
            && hits(view.random(), abort.per_million)
        {
            let parse = |value: &[u8]| abort.kind.parse(value);
            let status = replaced(abort.override_header, bytes, view, parse)?;
            drawn.abort = Some(match status {
                Some(status) => status,
                None => abort.status()?,
            });
        }
        Ok(drawn)
    }
}

impl Delay {
    fn encode(
        delay: &table::Delay,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        check_share(delay.per_million, place)?;
        check_ms(delay.ms, &place.field("ms"))?;
        check_override(delay.override_header.as_ref(), place)?;
        Ok(Self {
            per_million: delay.per_million,
            ms: delay.ms,
            override_header: encoder.shared_option(delay.override_header.as_ref()),
            override_limit_ms: delay.override_limit_ms.map(|limit| encoder.record(limit)),
        })
    }

    fn decode(&self, bytes: Bytes<'_>) -> Result<table::Delay, Broken> {
        Ok(table::Delay {
            per_million: self.per_million,
            ms: self.ms,
            override_header: bytes.string_option(self.override_header)?,
            override_limit_ms: bytes.option(self.override_limit_ms)?,
        })
    }
}

impl Abort {
    fn encode(
        abort: &table::Abort,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        check_share(abort.per_million, place)?;
        check_override(abort.override_header.as_ref(), place)?;
        let (kind, status) = match abort.status {
            AbortStatus::Http(status) => {
                check_status(status, &place.field("status"))?;
                (StatusKind::Http, status)
            }
            AbortStatus::Grpc(status) if status > 16 => {
                let reason = format!("{status} is not a gRPC status; use 0 to 16");
                return Err(place.field("status").error(reason));
            }
            AbortStatus::Grpc(status) => (StatusKind::Grpc, status.into()),
        };
        let override_header = encoder.shared_option(abort.override_header.as_ref());
        Ok(Self { per_million: abort.per_million, kind, status, override_header })
    }

    fn decode(&self, bytes: Bytes<'_>) -> Result<table::Abort, Broken> {
        Ok(table::Abort {
            per_million: self.per_million,
            status: self.status()?,
            override_header: bytes.string_option(self.override_header)?,
        })
    }

    fn status(&self) -> Result<AbortStatus, Broken> {
        self.kind.status(self.status.into()).ok_or(Broken)
    }
}

impl StatusKind {
    /// The status that a client requests in the override header.
    fn parse(self, value: &[u8]) -> Option<AbortStatus> {
        self.status(duration::parse_number(value)?)
    }

    fn status(self, number: u32) -> Option<AbortStatus> {
        match self {
            Self::Http => {
                let status =
                    u16::try_from(number).ok().filter(|status| (200..=599).contains(status));
                status.map(AbortStatus::Http)
            }
            Self::Grpc => {
                u8::try_from(number).ok().filter(|status| *status <= 16).map(AbortStatus::Grpc)
            }
        }
    }
}
