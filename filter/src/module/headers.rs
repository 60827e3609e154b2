//! The headers of the current request, read as far as a decision asks for them.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::host;
use crate::decision::{INTERNAL_HEADER_PREFIX, Request};

/// Pseudo-headers are read one by one. For any other header all are read at
/// once, because asked for one that was sent several times the host gives only
/// its first value.
#[derive(Default)]
pub(super) struct RequestHeaders {
    all: OnceCell<Vec<(String, Vec<u8>)>>,
    /// Asked for twice where the filter answers.
    method: OnceCell<Option<Vec<u8>>>,
}

impl RequestHeaders {
    fn all(&self) -> &[(String, Vec<u8>)] {
        self.all.get_or_init(host::request_headers)
    }

    /// Removes what a client sent under our prefix, at the price of reading
    /// everything.
    pub(super) fn remove_internal(&self) {
        for (name, _) in self.all() {
            if name.starts_with(INTERNAL_HEADER_PREFIX) {
                host::remove_request_header(name);
            }
        }
    }
}

impl Request for RequestHeaders {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match name {
            _ if self.all.get().is_some() => self.all().header(name),
            ":method" => {
                self.method.get_or_init(|| host::request_header(name)).as_deref().map(Cow::from)
            }
            _ if name.starts_with(':') => host::request_header(name).map(Cow::from),
            _ => self.all().header(name),
        }
    }
}
