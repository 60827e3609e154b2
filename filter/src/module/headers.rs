//! The headers of the current request, read when a decision needs them.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use super::host;
use super::random::Random;
use crate::names::INTERNAL_HEADER_PREFIX;
use crate::request::Request;

/// After this many individual reads, all headers are read at once, which limits the cost
/// of rules with thousands of headers.
const MAX_SINGLE_READS: usize = 8;

/// Each header is read by one host call. For a repeated header, this call returns only
/// the first value; Envoy's attribute of the request has all of them, joined.
pub(super) struct RequestHeaders<'r> {
    random: &'r Random,
    single_reads: Cell<usize>,
    /// All headers, if they have been read.
    all: OnceCell<Vec<(String, Vec<u8>)>>,
    /// The method, which is read several times when the filter responds.
    method: OnceCell<Option<Vec<u8>>>,
}

impl<'r> RequestHeaders<'r> {
    pub(super) fn new(random: &'r Random) -> Self {
        Self { random, single_reads: Cell::new(0), all: OnceCell::new(), method: OnceCell::new() }
    }

    /// Removes the client's headers with the project's prefix. For that, all headers are
    /// read.
    pub(super) fn remove_internal(&self) {
        for (name, _) in self.all.get_or_init(host::request_headers) {
            if name.starts_with(INTERNAL_HEADER_PREFIX) {
                host::remove_request_header(name);
            }
        }
    }
}

impl Request for RequestHeaders<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let reads = self.single_reads.get();
        if self.all.get().is_none() && reads < MAX_SINGLE_READS {
            self.single_reads.set(reads.saturating_add(1));
            return host::property(vec!["request", "headers", name]).map(Cow::from);
        }
        self.all.get_or_init(host::request_headers).header(name)
    }

    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match self.all.get() {
            Some(all) => all.first_value(name),
            None if name == ":method" => {
                self.method.get_or_init(|| host::request_header(name)).as_deref().map(Cow::from)
            }
            None => host::request_header(name).map(Cow::from),
        }
    }

    fn client(&self) -> Option<Cow<'_, [u8]>> {
        host::property(vec!["source", "address"]).map(Cow::from)
    }

    fn filter_chain(&self) -> Option<Cow<'_, [u8]>> {
        host::property(vec!["xds", "filter_chain_name"]).map(Cow::from)
    }

    fn server_name(&self) -> Option<Cow<'_, [u8]>> {
        let name = host::property(vec!["connection", "requested_server_name"])?;
        (!name.is_empty()).then(|| name.into())
    }

    fn random(&self) -> u64 {
        self.random.next()
    }
}
