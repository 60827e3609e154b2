//! Forwards a request to an upstream.

use super::Routed;
use super::checks::check_appended;
use super::cors::{Asked, Cors};
use super::fault::Fault;
use super::limits::{Retries, Timeout};
use super::rewrite::{Replaced, Rewrite};
use super::session::{Session, check_cookie};
use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::{At, Bytes, List, Text, record};
use crate::headers::HeaderEdit;
use crate::names::{MIRROR_HEADER, WEBSOCKET_HEADER};
use crate::ports::check_cluster;
use crate::request::Request;
use crate::table;
use crate::verdict::{Applied, Forwarding, Verdict};
use crate::view::View;

record! {
    /// The upstream of a request, and how the request is forwarded to it.
    pub(crate) struct Forward {
        destination: Destination,
        timeout: Option<At<Timeout>>,
        retries: Option<At<Retries>>,
        rewrite: Option<At<Rewrite>>,
        websocket: bool,
        mirror: Option<Text>,
        append_headers: List<Header>,
        cors: Option<At<Cors>>,
        fault: Option<At<Fault>>,
        session_cookie: Option<Text>,
    }

    /// The cluster of a request.
    struct Destination {
        /// The only cluster, if the table does not have a list.
        cluster: Option<Text>,
        /// The items of the table's list, one of which is drawn per request.
        shares: List<Share>,
    }

    struct Share {
        /// Without a cluster, requests of this item get 503.
        cluster: Option<Text>,
        weight: u32,
        /// The sum of the weights up to and including this item.
        end: u64,
    }

    struct Header {
        name: Text,
        value: Text,
    }
}

impl Forward {
    pub(super) fn encode(
        forward: &table::Forward,
        replaced: Replaced,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let destination = Destination::encode(&forward.cluster, encoder, place)?;
        let timeout = match &forward.timeout {
            None => None,
            Some(timeout) => Some(Timeout::encode(timeout, encoder, &place.field("timeout"))?),
        };
        let retries = match &forward.retries {
            None => None,
            Some(retries) => Some(Retries::encode(retries, encoder, &place.field("retries"))?),
        };
        let rewrite = match &forward.rewrite {
            None => None,
            Some(it) => Some(Rewrite::encode(it, replaced, encoder, &place.field("rewrite"))?),
        };
        if let Some(mirror) = &forward.mirror {
            check_cluster(mirror, &place.field("mirror"))?;
        }
        let cors = Cors::encode_option(forward.cors.as_ref(), encoder, &place.field("cors"))?;
        let fault = match &forward.fault {
            None => None,
            Some(fault) => Some(Fault::encode(fault, encoder, &place.field("fault"))?),
        };
        check_cookie(forward.session_cookie.as_ref(), place)?;
        let mut append_headers = Vec::with_capacity(forward.append_headers.len());
        for (index, header) in forward.append_headers.iter().enumerate() {
            append_headers.push(Header::encode(
                header,
                encoder,
                &place.item("append_headers", index),
            )?);
        }
        Ok(Self {
            destination,
            timeout: timeout.map(|timeout| encoder.record(timeout)),
            retries: retries.map(|retries| encoder.record(retries)),
            rewrite: rewrite.map(|rewrite| encoder.record(rewrite)),
            websocket: forward.websocket,
            mirror: encoder.shared_option(forward.mirror.as_ref()),
            append_headers: encoder.list(&append_headers),
            cors,
            fault: fault.map(|fault| encoder.record(fault)),
            session_cookie: encoder.shared_option(forward.session_cookie.as_ref()),
        })
    }

    pub(super) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Forward, Broken> {
        let headers = bytes.list(self.append_headers)?.iter();
        Ok(table::Forward {
            cluster: self.destination.decode(bytes)?,
            timeout: bytes.option(self.timeout)?.map(|it| it.decode(bytes)).transpose()?,
            retries: bytes.option(self.retries)?.map(|it| it.decode(bytes)).transpose()?,
            rewrite: bytes.option(self.rewrite)?.map(|it| it.decode(bytes)).transpose()?,
            websocket: self.websocket,
            mirror: bytes.string_option(self.mirror)?,
            append_headers: headers.map(|it| it?.decode(bytes)).collect::<Result<_, _>>()?,
            cors: bytes.option(self.cors)?.map(|it| it.decode(bytes)).transpose()?,
            fault: bytes.option(self.fault)?.map(|it| it.decode(bytes)).transpose()?,
            session_cookie: bytes.string_option(self.session_cookie)?,
        })
    }

    pub(super) fn apply<'t, R: Request + ?Sized>(
        &self,
        bytes: Bytes<'t>,
        view: &View<'_, R>,
        routed: Routed<'t>,
    ) -> Result<Applied<'t>, Broken> {
        let mut response_headers = match Cors::ask(self.cors, bytes, view)? {
            Asked::Preflight(headers) => {
                return Ok(Applied::routed(Verdict::Respond(200), headers));
            }
            Asked::Other(headers) => headers,
        };
        let at_port = |cluster: Text| match routed.port {
            None => Ok(Some(cluster)),
            Some(port) => port.cluster(cluster),
        };
        let session = self.session_cookie.map(|cookie| Session::of(cookie, bytes, view));
        let session = session.transpose()?;
        let number = || session.as_ref().map_or_else(|| view.random(), |session| session.hash);
        let drawn = self.destination.draw(bytes, number)?.map(at_port).transpose()?.flatten();
        let Some(cluster) = drawn else {
            return Ok(Applied::routed(Verdict::Respond(503), response_headers));
        };
        let mut edits = Vec::new();
        if let Some(session) = session {
            edits.push(session.edit());
            response_headers.extend(session.cookie);
        }
        if let Some(timeout) = bytes.option(self.timeout)? {
            edits.push(timeout.edit(bytes, view)?);
        }
        if let Some(retries) = bytes.option(self.retries)? {
            retries.apply(bytes, view, &mut edits)?;
        }
        let fault = bytes.option(self.fault)?;
        let fault = fault.map(|fault| fault.draw(bytes, view)).transpose()?.unwrap_or_default();
        if let Some(rewrite) = bytes.option(self.rewrite)?
            && rewrite.apply(bytes, view, routed.prefix, &mut edits)?.is_err()
        {
            return Ok(Applied::refused(400));
        }
        if let Some(mirror) = self.mirror.map(at_port).transpose()?.flatten() {
            edits.push(HeaderEdit::set(MIRROR_HEADER, bytes.text(mirror)?));
        }
        if self.websocket {
            edits.push(HeaderEdit::set(WEBSOCKET_HEADER, &b"1"[..]));
        }
        for header in bytes.list(self.append_headers)?.iter() {
            let Header { name, value } = header?;
            edits.push(HeaderEdit::append(bytes.str(name)?, bytes.text(value)?));
        }
        let forwarding = Forwarding {
            cluster: bytes.str(cluster)?,
            websocket: self.websocket,
            edits,
            delay: fault.delay,
            abort: fault.abort,
        };
        Ok(Applied::routed(Verdict::Forward(forwarding), response_headers))
    }
}

impl Destination {
    /// `place` is the position of the record that contains the destination.
    fn encode(
        destination: &table::Destination,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let listed = match destination {
            table::Destination::Cluster(cluster) => {
                check_cluster(cluster, &place.field("cluster"))?;
                return Ok(Self { cluster: Some(encoder.shared(cluster)), shares: List::EMPTY });
            }
            table::Destination::Split(listed) => listed,
        };
        let mut shares = Vec::with_capacity(listed.len());
        let mut end = 0_u64;
        for (index, share) in listed.iter().enumerate() {
            if let Some(cluster) = &share.cluster {
                check_cluster(cluster, &place.item("cluster", index).field("cluster"))?;
            }
            end = end.saturating_add(share.weight.into());
            let cluster = encoder.shared_option(share.cluster.as_ref());
            shares.push(Share { cluster, weight: share.weight, end });
        }
        let mut weighted = shares.iter().filter(|share| share.weight > 0);
        let cluster = match (weighted.next(), weighted.next()) {
            (None, _) => {
                let reason = "has no cluster with a weight; set a weight of 1 or more";
                return Err(place.field("cluster").error(reason));
            }
            (Some(only), None) => only.cluster,
            (Some(_), Some(_)) => None,
        };
        Ok(Self { cluster, shares: encoder.list(&shares) })
    }

    fn decode(&self, bytes: Bytes<'_>) -> Result<table::Destination, Broken> {
        if let Some(cluster) = self.cluster.filter(|_| self.shares.is_empty()) {
            return Ok(table::Destination::Cluster(bytes.string(cluster)?));
        }
        let share = |share: Result<Share, Broken>| {
            let Share { cluster, weight, .. } = share?;
            Ok(table::Share { cluster: bytes.string_option(cluster)?, weight })
        };
        let shares = bytes.list(self.shares)?.iter().map(share).collect::<Result<_, _>>()?;
        Ok(table::Destination::Split(shares))
    }

    /// The cluster that `number` selects; `None` if its item has none.
    fn draw(&self, bytes: Bytes<'_>, number: impl FnOnce() -> u64) -> Result<Option<Text>, Broken> {
        if let Some(only) = self.cluster {
            return Ok(Some(only));
        }
        let shares = bytes.list(self.shares)?;
        let total = shares.iter().next_back().ok_or(Broken)??.end;
        let drawn = number().checked_rem(total).ok_or(Broken)?;
        for share in shares.iter() {
            let share = share?;
            if drawn < share.end {
                return Ok(share.cluster);
            }
        }
        Err(Broken)
    }
}

impl Header {
    fn encode(
        header: &table::Header,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        check_appended(header, place)?;
        Ok(Self { name: encoder.shared(&header.name), value: encoder.shared(&header.value) })
    }

    fn decode(&self, bytes: Bytes<'_>) -> Result<table::Header, Broken> {
        Ok(table::Header { name: bytes.string(self.name)?, value: bytes.string(self.value)? })
    }
}
