//! A request while it is decided on: what was asked of it once is not asked
//! again.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use super::request::Request;
use crate::rules::{Backend, Facts, Slot, Source};
use crate::subnet;

type Value<'r> = Option<Cow<'r, [u8]>>;

/// See the module.
pub(super) struct View<'r, R: ?Sized> {
    request: &'r R,
    target: Cow<'r, [u8]>,
    /// Where the target's query begins, or its end.
    path_len: OnceCell<usize>,
    authority: Cow<'r, [u8]>,
    scheme: OnceCell<Value<'r>>,
    client: OnceCell<Option<IpAddr>>,
    slots: &'r [Slot],
    values: Vec<OnceCell<Value<'r>>>,
    fixed_random: Option<u64>,
}

impl<'r, R: Request + ?Sized> View<'r, R> {
    /// A request for `target` and `authority`, which `backend` serves.
    pub(super) fn new(
        request: &'r R,
        target: Cow<'r, [u8]>,
        authority: Cow<'r, [u8]>,
        backend: &'r Backend,
        fixed_random: Option<u64>,
    ) -> Self {
        let slots = backend.slots();
        let mut values = Vec::new();
        values.resize_with(slots.len(), OnceCell::new);
        Self {
            request,
            target,
            path_len: OnceCell::new(),
            authority,
            scheme: OnceCell::new(),
            client: OnceCell::new(),
            slots,
            values,
            fixed_random,
        }
    }

    pub(super) fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// The path and the query.
    pub(super) fn target(&self) -> &[u8] {
        &self.target
    }

    /// The path, and the query with what it begins with.
    pub(super) fn path_and_query(&self) -> (&[u8], &[u8]) {
        let path_len = *self.path_len.get_or_init(|| {
            let query = self.target.iter().position(|byte| matches!(byte, b'?' | b'#'));
            query.unwrap_or(self.target.len())
        });
        self.target.split_at_checked(path_len).unwrap_or((&self.target, &[]))
    }

    /// Whether the client came with TLS. Nothing but Envoy's word counts; that
    /// of a proxy it trusts it passes on as it is.
    pub(super) fn is_https(&self) -> bool {
        self.scheme().is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
    }

    /// What Envoy says the client came by.
    pub(super) fn scheme(&self) -> Option<&[u8]> {
        self.scheme.get_or_init(|| self.request.first_value("x-forwarded-proto")).as_deref()
    }

    pub(super) fn first_value(&self, name: &str) -> Value<'r> {
        self.request.first_value(name)
    }

    pub(super) fn random(&self) -> u64 {
        self.fixed_random.unwrap_or_else(|| self.request.random())
    }

    fn read(&self, name: &str, may_be_empty: bool) -> Value<'r> {
        let value = self.request.header(name);
        if value.is_none() && may_be_empty {
            return self.request.first_value(name);
        }
        value
    }
}

impl<R: Request + ?Sized> Facts for View<'_, R> {
    fn value(&self, slot: u32) -> Option<&[u8]> {
        let Slot { source, may_be_empty } = self.slots.get(slot as usize)?;
        let value = self.values.get(slot as usize)?;
        match source {
            Source::Path => Some(self.path_and_query().0),
            Source::Authority => Some(&self.authority),
            Source::Scheme => self.scheme(),
            Source::Method => value.get_or_init(|| self.request.first_value(":method")).as_deref(),
            Source::Header(name) => value.get_or_init(|| self.read(name, *may_be_empty)).as_deref(),
        }
    }

    fn client(&self) -> Option<IpAddr> {
        *self.client.get_or_init(|| subnet::parse_client(&self.request.client()?))
    }
}
