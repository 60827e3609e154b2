//! Sessions: all requests of a client go to the same endpoint and version of a service.
//!
//! A cookie identifies the client. Envoy selects the endpoint by a hash of it, and the
//! filter the item of a weighted destination, so that the weights apply to clients.

use crate::error::{Broken, LoadError, Place};
use crate::flat::{Bytes, Text};
use crate::headers::{self, HeaderEdit};
use crate::names::SESSION_HEADER;
use crate::request::Request;
use crate::view::View;

/// The session of a request.
pub(super) struct Session {
    /// The hash of the cookie's value.
    pub(super) hash: u64,
    /// The new cookie, for a client without one.
    pub(super) cookie: Option<HeaderEdit<'static>>,
}

impl Session {
    /// The session by the cookie with the name `cookie`.
    pub(super) fn of<R: Request + ?Sized>(
        cookie: Text,
        bytes: Bytes<'_>,
        view: &View<'_, R>,
    ) -> Result<Self, Broken> {
        let name = bytes.str(cookie)?;
        let cookies = view.first_value("cookie").unwrap_or_default();
        if let Some(value) = value_of(name, &cookies) {
            return Ok(Self { hash: hash(value), cookie: None });
        }
        let value = format!("{:016x}", view.random());
        let secure = if view.is_https() { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; HttpOnly{secure}").into_bytes();
        let cookie = HeaderEdit::append("set-cookie", cookie);
        Ok(Self { hash: hash(value.as_bytes()), cookie: Some(cookie) })
    }

    /// Envoy hashes this header.
    pub(super) fn edit(&self) -> HeaderEdit<'static> {
        HeaderEdit::set(SESSION_HEADER, format!("{:016x}", self.hash).into_bytes())
    }
}

pub(super) fn check_cookie(name: Option<&String>, place: &Place<'_>) -> Result<(), LoadError> {
    match name {
        Some(name) if !headers::is_cookie_name(name) => {
            let reason =
                format!("{name:?} is not a valid cookie name; use letters, digits, - and _");
            Err(place.field("session_cookie").error(reason))
        }
        _ => Ok(()),
    }
}

/// The value of a cookie (RFC 6265 section 4.2.1), if it is not empty.
fn value_of<'c>(name: &str, cookies: &'c [u8]) -> Option<&'c [u8]> {
    let mut pairs = cookies.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let value = pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    value.filter(|value| !value.is_empty())
}

/// FNV-1a: the cookie is chosen by the client in any case.
fn hash(value: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    value.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Router;
    use crate::verdict::Verdict;

    #[test]
    fn a_cookie_is_found_among_others() {
        for (cookies, expected) in [
            ("id=1", Some("1")),
            ("a=b; id=1; c=d", Some("1")),
            ("a=b;id=1", Some("1")),
            ("id=1; id=2", Some("1")),
            ("id=", None),
            ("xid=1; id2=3; ID=4", None),
            ("", None),
            ("id", None),
            ("id=a=b", Some("a=b")),
        ] {
            let value = value_of("id", cookies.as_bytes());
            assert_eq!(value, expected.map(str::as_bytes), "{cookies}");
        }
    }

    /// The cluster, the hash, and the new cookie of a request with these cookies.
    fn decide(cookies: &str, random: u64) -> (String, String, Option<String>) {
        let router = Router::load(
            format!(
                r#"{{"version": 1, "fixed_random": {random}, "backends": [{{"name": "web", "default": {{"forward": {{
                    "session_cookie": "id",
                    "cluster": [{{"cluster": "old", "weight": 1}}, {{"cluster": "new", "weight": 1}}]
                }}}}}}], "virtual_hosts": [{{"hosts": ["*"], "routes": [
                    {{"match": {{"prefix": "/"}}, "backend": "web"}}]}}]}}"#
            )
            .as_bytes(),
        )
        .unwrap();
        let request = [
            (":path".to_owned(), b"/".to_vec()),
            ("cookie".to_owned(), cookies.as_bytes().to_vec()),
            ("x-forwarded-proto".to_owned(), b"https".to_vec()),
        ];
        let decision = router.decide(&request[..]);
        let Verdict::Forward(forwarding) = decision.verdict else { panic!("forwarded") };
        let text = |edit: &HeaderEdit<'_>| String::from_utf8(edit.value.to_vec()).unwrap();
        let hash = forwarding.edits.iter().find(|edit| edit.name == SESSION_HEADER).unwrap();
        let cookie = decision.response_headers.first().map(text);
        (forwarding.cluster.to_owned(), text(hash), cookie)
    }

    #[test]
    fn a_client_stays_where_it_was() {
        let mut clusters = std::collections::BTreeSet::new();
        for random in 0..20 {
            let (cluster, hash, cookie) = decide("", random);
            let cookie = cookie.unwrap();
            assert_eq!(cookie, format!("id={random:016x}; Path=/; HttpOnly; Secure"));
            let cookie = cookie.split(';').next().unwrap();
            assert_eq!(decide(cookie, random + 1), (cluster.clone(), hash, None));
            clusters.insert(cluster);
        }
        assert_eq!(clusters.len(), 2);
    }
}
