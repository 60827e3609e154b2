//! Random requests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ingress_filter::Request;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) authority: &'static str,
    pub(crate) path: String,
    pub(crate) query: &'static str,
    pub(crate) headers: BTreeMap<&'static str, String>,
    pub(crate) client: &'static str,
    pub(crate) is_upgrade: bool,
    pub(crate) random: u64,
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let headers = prop::collection::btree_map(select(vec!["x-a", "x-b"]), "[ab/]{0,3}", 0..3);
    let origin = option::weighted(
        0.4,
        select(vec!["https://a.example", "https://b.example"]).prop_map(str::to_owned),
    );
    let preflight = option::weighted(0.5, Just("GET".to_owned()));
    (
        select(vec!["GET", "OPTIONS"]),
        select(vec!["h.example", "H.Example", "h.example.", "h.example:81", "o.example"]),
        "/([ab/]|%(c3|C3)){0,3}".prop_map(|path| path.replace("//", "/").replace("//", "/")),
        select(vec!["", "?", "?x=/a"]),
        (headers, origin, preflight),
        (select(vec!["10.1.2.3:1", "[2001:db8::1]:2", "192.0.2.1:3"]), prop::bool::weighted(0.1)),
        select(vec![0_u64, 1, 74, 75, 99, 499_999, 500_000, 999_999]),
    )
        .prop_map(
            |(
                method,
                authority,
                path,
                query,
                (mut headers, origin, preflight),
                (client, is_upgrade),
                random,
            )| {
                headers.extend(origin.map(|origin| ("origin", origin)));
                headers.extend(preflight.map(|method| ("access-control-request-method", method)));
                Asked { method, authority, path, query, headers, client, is_upgrade, random }
            },
        )
}

impl Request for Asked {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        Some(match name {
            ":method" => self.method.as_bytes().into(),
            ":path" => format!("{}{}", self.path, self.query).into_bytes().into(),
            ":authority" => self.authority.as_bytes().into(),
            "x-forwarded-proto" => b"http"[..].into(),
            "upgrade" if self.is_upgrade => b"websocket"[..].into(),
            _ => self.headers.get(name)?.as_bytes().into(),
        })
    }

    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.header(name)
    }

    fn client(&self) -> Option<Cow<'_, [u8]>> {
        Some(self.client.as_bytes().into())
    }

    fn filter_chain(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn server_name(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn random(&self) -> u64 {
        self.random
    }
}
