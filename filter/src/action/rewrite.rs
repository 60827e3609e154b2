//! Rewrites the path and host that the upstream sees.

use super::checks::check_target;
use super::path::{self, LeadsElsewhere};
use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::{Bytes, Flat, Text, record};
use crate::headers::HeaderEdit;
use crate::names::ORIGINAL_PATH_HEADER;
use crate::request::Request;
use crate::table;
use crate::view::View;

record! {
    pub(super) struct Rewrite {
        path: Option<Text>,
        replaced: Replaced,
        authority: Option<Text>,
    }
}

/// The part of a path that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    Whole,
    /// This many bytes at the start.
    Prefix(u32),
    /// The part that the route's path matches: its prefix, or the whole path.
    Route,
}

impl Flat for Replaced {
    const SIZE: usize = 5;

    fn put(self, out: &mut Vec<u8>) {
        let (tag, len) = match self {
            Self::Whole => (0_u8, 0),
            Self::Prefix(len) => (1, len),
            Self::Route => (2, 0),
        };
        tag.put(out);
        len.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match (u8::take(from)?, u32::take(from)?) {
            (0, _) => Some(Self::Whole),
            (1, len) => Some(Self::Prefix(len)),
            (2, _) => Some(Self::Route),
            _ => None,
        }
    }
}

impl Replaced {
    pub(crate) fn prefix(prefix: &str) -> Self {
        Self::Prefix(u32::try_from(prefix.len()).unwrap_or(u32::MAX))
    }
}

impl Rewrite {
    pub(super) fn encode(
        rewrite: &table::Rewrite,
        replaced: Replaced,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let table::Rewrite { path, authority } = rewrite;
        check_target(path.as_ref(), authority.as_ref(), place)?;
        if let Some(path) = path.as_ref().filter(|path| path.contains('?')) {
            let reason = format!(
                "{path:?} has a query, but the request's query is kept; write only the path"
            );
            return Err(place.field("path").error(reason));
        }
        Ok(Self {
            path: encoder.shared_option(path.as_ref()),
            replaced,
            authority: encoder.shared_option(authority.as_ref()),
        })
    }

    pub(super) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Rewrite, Broken> {
        Ok(table::Rewrite {
            path: bytes.string_option(self.path)?,
            authority: bytes.string_option(self.authority)?,
        })
    }

    pub(super) fn apply<'t, R: Request + ?Sized>(
        &self,
        bytes: Bytes<'t>,
        view: &View<'_, R>,
        prefix: Option<usize>,
        edits: &mut Vec<HeaderEdit<'t>>,
    ) -> Result<Result<(), LeadsElsewhere>, Broken> {
        if let Some(new) = self.path {
            let new = bytes.str(new)?;
            let target = match path::rewrite(view.path_and_query(), new, self.replaced, prefix) {
                Ok(target) => target,
                Err(elsewhere) => return Ok(Err(elsewhere)),
            };
            if target != view.target() {
                edits.push(HeaderEdit::set(ORIGINAL_PATH_HEADER, view.target().to_vec()));
                edits.push(HeaderEdit::set(":path", target));
            }
        }
        if let Some(authority) = self.authority {
            edits.push(HeaderEdit::set(":authority", bytes.text(authority)?));
        }
        Ok(Ok(()))
    }
}
