//! Actions made ready: what is the same for every request is written out when
//! the table loads.

use super::checks::{
    appended, check_cluster, check_ms, check_override, check_share, check_status, check_target,
};
use crate::error::{LoadError, Place};
use crate::headers::HeaderEdit;
use crate::table::{self, AbortStatus};

/// What happens to a request.
#[derive(Debug)]
pub(crate) enum Action {
    Forward(Box<Forward>),
    Redirect(Box<Redirect>),
    Respond(u16),
}

/// To which upstream a request goes, and how.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) destination: Destination,
    /// Changes to every request.
    pub(crate) edits: Vec<HeaderEdit<'static>>,
    pub(crate) websocket: bool,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) cors: Option<Cors>,
    /// A timeout that the client may replace.
    pub(crate) timeout: Option<(u32, String)>,
    /// Retries whose number the client may replace.
    pub(crate) retries: Option<Retries>,
    pub(crate) fault: Fault,
}

/// The cluster of a request.
#[derive(Debug)]
pub(crate) enum Destination {
    Cluster(String),
    /// Each with the sum of the weights up to its own; and the sum of all.
    Split(Vec<Share>, u64),
}

#[derive(Debug)]
pub(crate) struct Share {
    /// Without one, its requests get 503.
    pub(crate) cluster: Option<String>,
    pub(crate) end: u64,
}

#[derive(Debug)]
pub(crate) struct Retries {
    pub(crate) attempts: u32,
    pub(crate) override_header: String,
}

#[derive(Debug)]
pub(crate) struct Rewrite {
    pub(crate) path: Option<(String, Replaced)>,
    pub(crate) authority: Option<String>,
}

/// What of a path is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    Whole,
    /// So many bytes in front.
    Prefix(usize),
    /// What the route's path matches: its prefix, or the whole.
    Route,
}

#[derive(Debug)]
pub(crate) struct Redirect {
    pub(crate) path: Option<String>,
    pub(crate) keeps_query: bool,
    pub(crate) authority: Option<String>,
    pub(crate) cors: Option<Cors>,
}

#[derive(Debug)]
pub(crate) struct Cors {
    pub(crate) origins: Vec<String>,
    pub(crate) any_origin: bool,
    pub(crate) credentials: bool,
    /// What a preflight is told, beside the origin.
    pub(crate) preflight: Vec<HeaderEdit<'static>>,
    /// What any other answer says, beside the origin.
    pub(crate) exposed: Option<HeaderEdit<'static>>,
}

/// Faults, without those that hit no request.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    pub(crate) delay: Option<table::Delay>,
    pub(crate) abort: Option<table::Abort>,
}

impl Action {
    /// `replaced` is what a rewrite replaces of the path.
    pub(super) fn new(
        action: &table::Action,
        replaced: Replaced,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        match action {
            table::Action::Forward(forward) => {
                let forward = Forward::new(forward, replaced, &place.field("forward"))?;
                Ok(Self::Forward(Box::new(forward)))
            }
            table::Action::Redirect(redirect) => {
                let redirect = Redirect::new(redirect, &place.field("redirect"))?;
                Ok(Self::Redirect(Box::new(redirect)))
            }
            table::Action::Respond(table::Respond { status }) => {
                check_status(*status, &place.field("respond").field("status"))?;
                Ok(Self::Respond(*status))
            }
        }
    }
}

/// Envoy's headers, by which the filter says what it wants of the router.
pub(crate) mod envoy {
    pub(crate) const TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";
    pub(crate) const RETRY_ON: &str = "x-envoy-retry-on";
    pub(crate) const MAX_RETRIES: &str = "x-envoy-max-retries";
    pub(crate) const PER_TRY_TIMEOUT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";
    pub(crate) const ORIGINAL_PATH: &str = "x-envoy-original-path";
}

/// What has Envoy's router try so often again, and on what, as the original had
/// it.
pub(crate) fn retry_edits<'t>(attempts: u32) -> impl Iterator<Item = HeaderEdit<'t>> {
    let edits = [
        HeaderEdit::set(envoy::RETRY_ON, &b"5xx,connect-failure,refused-stream"[..]),
        HeaderEdit::number(envoy::MAX_RETRIES, attempts),
    ];
    edits.into_iter().filter(move |_| attempts > 0)
}

impl Forward {
    fn new(
        forward: &table::Forward,
        replaced: Replaced,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let mut this = Self {
            destination: Destination::new(&forward.cluster, place)?,
            edits: Vec::new(),
            websocket: forward.websocket,
            rewrite: None,
            cors: None,
            timeout: None,
            retries: None,
            fault: Fault::default(),
        };
        if let Some(timeout) = &forward.timeout {
            this.add_timeout(timeout, &place.field("timeout"))?;
        }
        if let Some(retries) = &forward.retries {
            this.add_retries(retries, &place.field("retries"))?;
        }
        if let Some(rewrite) = &forward.rewrite {
            this.rewrite = Some(Rewrite::new(rewrite, replaced, &place.field("rewrite"))?);
        }
        if let Some(mirror) = &forward.mirror {
            check_cluster(mirror, &place.field("mirror"))?;
            this.edits.push(fixed(crate::decision::MIRROR_HEADER, mirror.as_bytes()));
        }
        if forward.websocket {
            this.edits.push(fixed(crate::decision::WEBSOCKET_HEADER, b"1"));
        }
        if let Some(cors) = &forward.cors {
            this.cors = Some(Cors::new(cors, &place.field("cors"))?);
        }
        if let Some(fault) = &forward.fault {
            this.add_fault(fault, &place.field("fault"))?;
        }
        for (index, header) in forward.append_headers.iter().enumerate() {
            let header = appended(header, &place.item("append_headers", index))?;
            this.edits.push(header);
        }
        Ok(this)
    }

    fn add_timeout(
        &mut self,
        timeout: &table::Timeout,
        place: &Place<'_>,
    ) -> Result<(), LoadError> {
        check_ms(timeout.ms, &place.field("ms"))?;
        check_override(timeout.override_header.as_ref(), place)?;
        match &timeout.override_header {
            None => self.edits.push(HeaderEdit::number(envoy::TIMEOUT, timeout.ms)),
            Some(header) => self.timeout = Some((timeout.ms, header.clone())),
        }
        Ok(())
    }

    fn add_retries(
        &mut self,
        retries: &table::Retries,
        place: &Place<'_>,
    ) -> Result<(), LoadError> {
        check_override(retries.override_header.as_ref(), place)?;
        if let Some(ms) = retries.per_try_timeout_ms {
            check_ms(ms, &place.field("per_try_timeout_ms"))?;
            self.edits.push(HeaderEdit::number(envoy::PER_TRY_TIMEOUT, ms));
        }
        match &retries.override_header {
            Some(header) => {
                self.retries =
                    Some(Retries { attempts: retries.attempts, override_header: header.clone() });
            }
            None => self.edits.extend(retry_edits(retries.attempts)),
        }
        Ok(())
    }

    fn add_fault(&mut self, fault: &table::Fault, place: &Place<'_>) -> Result<(), LoadError> {
        if let Some(delay) = &fault.delay {
            let place = place.field("delay");
            check_share(delay.per_million, &place)?;
            check_ms(delay.ms, &place.field("ms"))?;
            check_override(delay.override_header.as_ref(), &place)?;
            self.fault.delay = Some(delay.clone()).filter(|delay| delay.per_million > 0);
        }
        if let Some(abort) = &fault.abort {
            let place = place.field("abort");
            check_share(abort.per_million, &place)?;
            check_override(abort.override_header.as_ref(), &place)?;
            match abort.status {
                AbortStatus::Http(status) => check_status(status, &place.field("status"))?,
                AbortStatus::Grpc(status) if status > 16 => {
                    let reason = format!("{status} is no gRPC status; use 0 to 16");
                    return Err(place.field("status").error(reason));
                }
                AbortStatus::Grpc(_) => {}
            }
            self.fault.abort = Some(abort.clone()).filter(|abort| abort.per_million > 0);
        }
        Ok(())
    }
}

impl Destination {
    /// `place` is that of what has the destination.
    fn new(destination: &table::Destination, place: &Place<'_>) -> Result<Self, LoadError> {
        let shares = match destination {
            table::Destination::Cluster(cluster) => {
                check_cluster(cluster, &place.field("cluster"))?;
                return Ok(Self::Cluster(cluster.clone()));
            }
            table::Destination::Split(shares) => shares,
        };
        let mut ready = Vec::with_capacity(shares.len());
        let mut end = 0_u64;
        for (index, share) in shares.iter().enumerate() {
            if let Some(cluster) = &share.cluster {
                check_cluster(cluster, &place.item("cluster", index).field("cluster"))?;
            }
            end = end.saturating_add(share.weight.into());
            if share.weight > 0 {
                ready.push(Share { cluster: share.cluster.clone(), end });
            }
        }
        match ready.as_slice() {
            [] => {
                Err(place.field("cluster").error("has no share with a weight; give one 1 or more"))
            }
            [Share { cluster: Some(cluster), .. }] => Ok(Self::Cluster(cluster.clone())),
            _ => Ok(Self::Split(ready, end)),
        }
    }
}

impl Rewrite {
    fn new(
        rewrite: &table::Rewrite,
        replaced: Replaced,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let table::Rewrite { path, authority } = rewrite;
        check_target(path.as_ref(), authority.as_ref(), place)?;
        if let Some(path) = path.as_ref().filter(|path| path.contains('?')) {
            let reason =
                format!("{path:?} has a query, but the request's stays; write the path alone");
            return Err(place.field("path").error(reason));
        }
        Ok(Self { path: path.clone().map(|path| (path, replaced)), authority: authority.clone() })
    }
}

impl Redirect {
    fn new(redirect: &table::Redirect, place: &Place<'_>) -> Result<Self, LoadError> {
        let table::Redirect { path, authority, cors } = redirect;
        check_target(path.as_ref(), authority.as_ref(), place)?;
        let cors = match cors {
            None => None,
            Some(cors) => Some(Cors::new(cors, &place.field("cors"))?),
        };
        Ok(Self {
            path: path.clone(),
            keeps_query: path.as_ref().is_none_or(|path| !path.contains('?')),
            authority: authority.clone(),
            cors,
        })
    }
}

impl Cors {
    fn new(cors: &table::Cors, place: &Place<'_>) -> Result<Self, LoadError> {
        for (list, values) in [
            ("allow_origins", &cors.allow_origins),
            ("allow_methods", &cors.allow_methods),
            ("allow_headers", &cors.allow_headers),
            ("expose_headers", &cors.expose_headers),
        ] {
            for (index, value) in values.iter().enumerate() {
                if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
                    let reason =
                        format!("{value:?} cannot stand here; use visible ASCII without commas");
                    return Err(place.item(list, index).error(reason));
                }
            }
        }
        let joined = |name: &'static str, values: &[String]| {
            (!values.is_empty()).then(|| fixed(name, values.join(",").as_bytes()))
        };
        let max_age = cors
            .max_age_seconds
            .map(|seconds| HeaderEdit::number("access-control-max-age", seconds));
        let preflight = [
            joined("access-control-allow-methods", &cors.allow_methods),
            joined("access-control-allow-headers", &cors.allow_headers),
            max_age,
        ];
        Ok(Self {
            origins: cors.allow_origins.clone(),
            any_origin: cors.allow_origins.iter().any(|origin| origin == "*"),
            credentials: cors.allow_credentials,
            preflight: preflight.into_iter().flatten().collect(),
            exposed: joined("access-control-expose-headers", &cors.expose_headers),
        })
    }
}

fn fixed(name: &'static str, value: &[u8]) -> HeaderEdit<'static> {
    HeaderEdit::set(name, value.to_vec())
}
