//! A request while it is decided: values that were read once are cached.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use crate::authority;
use crate::error::Broken;
use crate::flat::{Bytes, List, Records, Text, record, tags};
use crate::names::SCHEME_HEADER;
use crate::request::Request;
use crate::subnet;

type Value<'r> = Option<Cow<'r, [u8]>>;

tags! {
    /// The source of a value.
    #[derive(PartialOrd, Ord)]
    pub(crate) enum Source {
        /// The path without its query.
        Path = 0,
        /// The normalised host, so that a rule for a host cannot be bypassed by
        /// another spelling.
        Host = 1,
        Method = 2,
        /// From Envoy's `x-forwarded-proto`.
        Scheme = 3,
        Header = 4,
    }
}

record! {
    /// A value that conditions read.
    pub(crate) struct Slot {
        pub(crate) source: Source,
        /// The name of the header, as in the table.
        pub(crate) name: Text,
        /// Whether a condition matches an empty value, so that it has to be
        /// distinguished from a missing one.
        pub(crate) may_be_empty: bool,
    }
}

impl Source {
    /// Whether it has been read before any rule is matched.
    pub(crate) fn is_known(self) -> bool {
        matches!(self, Self::Path | Self::Host)
    }
}

/// See the module.
pub(crate) struct View<'r, R: ?Sized> {
    bytes: Bytes<'r>,
    request: &'r R,
    target: Cow<'r, [u8]>,
    /// The index of the query in the target, or its length.
    path_len: OnceCell<usize>,
    authority: Cow<'r, [u8]>,
    scheme: OnceCell<Value<'r>>,
    client: OnceCell<Option<IpAddr>>,
    slots: Records<'r, Slot>,
    values: Vec<OnceCell<Value<'r>>>,
    fixed_random: Option<u64>,
}

impl<'r, R: Request + ?Sized> View<'r, R> {
    /// A request for `target` and `authority`; the conditions of its backend read
    /// `slots`.
    pub(crate) fn new(
        request: &'r R,
        target: Cow<'r, [u8]>,
        authority: Cow<'r, [u8]>,
        (bytes, slots): (Bytes<'r>, List<Slot>),
        fixed_random: Option<u64>,
    ) -> Result<Self, Broken> {
        let slots = bytes.list(slots)?;
        Ok(Self::unread(bytes, request, target, authority, slots, fixed_random))
    }

    pub(crate) fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// The path and the query.
    /// The same request for another target.
    pub(crate) fn with_target(&self, target: Vec<u8>) -> View<'_, R> {
        let authority = Cow::Borrowed(&*self.authority);
        let target = Cow::Owned(target);
        View::unread(self.bytes, self.request, target, authority, self.slots, self.fixed_random)
    }

    fn unread(
        bytes: Bytes<'r>,
        request: &'r R,
        target: Cow<'r, [u8]>,
        authority: Cow<'r, [u8]>,
        slots: Records<'r, Slot>,
        fixed_random: Option<u64>,
    ) -> Self {
        let mut values = Vec::new();
        values.resize_with(slots.len(), OnceCell::new);
        Self {
            bytes,
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

    pub(crate) fn target(&self) -> &[u8] {
        &self.target
    }

    /// The path, and the query including its `?`.
    pub(crate) fn path_and_query(&self) -> (&[u8], &[u8]) {
        let path_len = *self.path_len.get_or_init(|| {
            let query = self.target.iter().position(|byte| matches!(byte, b'?' | b'#'));
            query.unwrap_or(self.target.len())
        });
        self.target.split_at_checked(path_len).unwrap_or((&self.target, &[]))
    }

    /// Whether the client used TLS, according to Envoy, which forwards the value
    /// of trusted proxies.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme().is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
    }

    /// The scheme of the client, according to Envoy.
    pub(crate) fn scheme(&self) -> Option<&[u8]> {
        self.scheme.get_or_init(|| self.request.first_value(SCHEME_HEADER)).as_deref()
    }

    pub(crate) fn first_value(&self, name: &str) -> Value<'r> {
        self.request.first_value(name)
    }

    pub(crate) fn random(&self) -> u64 {
        self.fixed_random.unwrap_or_else(|| self.request.random())
    }

    /// Whether the slot with this number is the path.
    pub(crate) fn is_path(&self, slot: u32) -> Result<bool, Broken> {
        Ok(self.slots.get(slot)?.source == Source::Path)
    }

    /// The value of the slot with this number, if the request has it.
    pub(crate) fn value(&self, slot: u32) -> Result<Option<&[u8]>, Broken> {
        let Slot { source, name, may_be_empty } = self.slots.get(slot)?;
        let value = self.values.get(slot as usize).ok_or(Broken)?;
        Ok(match source {
            Source::Path => Some(self.path_and_query().0),
            Source::Host => value.get_or_init(|| self.host()).as_deref(),
            Source::Scheme => self.scheme(),
            Source::Method => value.get_or_init(|| self.request.first_value(":method")).as_deref(),
            Source::Header => {
                let name = self.bytes.str(name)?;
                value.get_or_init(|| self.read(name, may_be_empty)).as_deref()
            }
        })
    }

    fn host(&self) -> Value<'r> {
        authority::host(&self.authority).map(|host| host.into_owned().into())
    }

    fn read(&self, name: &str, may_be_empty: bool) -> Value<'r> {
        let value = self.request.header(name);
        if value.is_none() && may_be_empty {
            return self.request.first_value(name);
        }
        value
    }

    /// The address of the client.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        *self.client.get_or_init(|| subnet::parse_client(&self.request.client()?))
    }
}
