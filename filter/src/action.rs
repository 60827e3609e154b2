//! The action of a matched route and rule. Each action is encoded into the flat
//! form, decoded, and applied by the same module.

mod checks;
mod cors;
mod fault;
mod forward;
mod limits;
mod path;
mod redirect;
mod rewrite;
mod session;

use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::{At, Bytes, Flat};
use crate::ports::PortClusters;
use crate::request::Request;
use crate::table;
use crate::verdict::{Applied, Verdict};
use crate::view::View;
use checks::check_status;
use forward::Forward;
use redirect::Redirect;
pub(crate) use redirect::url;
pub(crate) use rewrite::Replaced;

/// How a request is answered or forwarded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Forward(At<Forward>),
    Redirect(At<Redirect>),
    Respond(u16),
}

/// The parts of the matched route that an action depends on.
#[derive(Clone, Copy)]
pub(crate) struct Routed<'t> {
    /// The length in bytes of the prefix in the path; `None` if the route's path
    /// is not a prefix.
    pub(crate) prefix: Option<usize>,
    /// The clusters of the route's port.
    pub(crate) port: Option<PortClusters<'t>>,
}

/// A tag, followed by the offset of the record or by the status.
impl Flat for Action {
    const SIZE: usize = 5;

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Forward(at) => {
                0_u8.put(out);
                at.put(out);
            }
            Self::Redirect(at) => {
                1_u8.put(out);
                at.put(out);
            }
            Self::Respond(status) => {
                2_u8.put(out);
                u32::from(status).put(out);
            }
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match u8::take(from)? {
            0 => At::take(from).map(Self::Forward),
            1 => At::take(from).map(Self::Redirect),
            2 => Some(Self::Respond(u32::take(from)?.try_into().ok()?)),
            _ => None,
        }
    }
}

impl Action {
    /// `replaced` is the part of the path that a rewrite replaces.
    pub(crate) fn encode(
        action: &table::Action,
        replaced: Replaced,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        Ok(match action {
            table::Action::Forward(forward) => {
                let place = place.field("forward");
                let forward = Forward::encode(forward, replaced, encoder, &place)?;
                Self::Forward(encoder.record(forward))
            }
            table::Action::Redirect(redirect) => {
                let redirect = Redirect::encode(redirect, encoder, &place.field("redirect"))?;
                Self::Redirect(encoder.record(redirect))
            }
            table::Action::Respond(table::Respond { status }) => {
                check_status(*status, &place.field("respond").field("status"))?;
                Self::Respond(*status)
            }
        })
    }

    pub(crate) fn decode(self, bytes: Bytes<'_>) -> Result<table::Action, Broken> {
        Ok(match self {
            Self::Forward(at) => bytes.at(at)?.decode(bytes)?.into(),
            Self::Redirect(at) => bytes.at(at)?.decode(bytes)?.into(),
            Self::Respond(status) => table::Action::Respond(table::Respond { status }),
        })
    }

    pub(crate) fn apply<'t, R: Request + ?Sized>(
        self,
        bytes: Bytes<'t>,
        view: &View<'_, R>,
        routed: Routed<'t>,
    ) -> Result<Applied<'t>, Broken> {
        match self {
            Self::Forward(at) => bytes.at(at)?.apply(bytes, view, routed),
            Self::Redirect(at) => bytes.at(at)?.apply(bytes, view),
            Self::Respond(status) => Ok(Applied::routed(Verdict::Respond(status), Vec::new())),
        }
    }
}
