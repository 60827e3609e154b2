//! The processing of an HTTP/1.1 request by Envoy with our configuration, before
//! the filter.

use std::fmt;

use super::path::normalize;
use super::request::Request;
use crate::envoy::{added, removed};
use crate::settings::{HeadersWithUnderscores, Settings};

/// A response with which Envoy rejects a request before the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    why: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

pub(super) type Headers = Vec<(String, String)>;

/// The methods that Envoy's HTTP/1.1 parser supports.
const METHODS: [&str; 34] = [
    "ACL",
    "BIND",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "MSEARCH",
    "NOTIFY",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
];

/// Headers that Envoy sets or removes itself, whatever the client sends.
const REPLACED: [&str; 2] = ["x-forwarded-proto", "x-forwarded-client-cert"];
/// A header that Envoy replaces unless a trusted proxy has set it.
const REQUEST_ID: &str = "x-request-id";
/// Hop-by-hop headers.
const HOP_BY_HOP: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
/// Options of `connection` that are not names of headers.
const CONNECTION_OPTIONS: [&str; 4] = ["close", "keep-alive", "upgrade", "http2-settings"];
/// Headers that `connection` may not remove.
const NEVER_NOMINATED: [&str; 4] =
    ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
/// With this many options or more, Envoy rejects the request.
const MAX_OPTIONS: usize = 10;

/// The headers that the filter gets.
///
/// # Errors
/// If Envoy rejects the request.
pub(super) fn admit(request: &Request, settings: &Settings) -> Result<Headers, Refusal> {
    let Settings { trusted_hops, escaped_slashes: slashes, .. } = *settings;
    let underscores = settings.headers_with_underscores;
    check_target(request)?;
    request.extra.iter().try_for_each(|header| check_header(header, underscores))?;
    check_framing(&request.extra)?;
    let connection = Connection::of(&request.extra);
    connection.check()?;
    check_authority(&request.authority)?;
    let path = normalize(&request.target, slashes);
    let path = path.map_err(|refused| bad_request(refused.why()))?;

    let proto = joined(&request.extra, "x-forwarded-proto")
        .filter(|proto| trusted_hops > 0 && !proto.is_empty())
        .unwrap_or_else(|| request.scheme.clone());
    let mut headers: Vec<_> = [
        (":method", request.method.clone()),
        (":authority", request.authority.clone()),
        (":scheme", request.scheme.clone()),
        (":path", path),
        ("x-forwarded-proto", proto),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let kept = request.extra.iter().filter(|(name, value)| {
        let is_removed = REPLACED.contains(&&**name)
            || (trusted_hops == 0 && name == REQUEST_ID)
            || (underscores == HeadersWithUnderscores::Drop && name.contains('_'))
            || removed(settings).any(|removed| removed.covers(name))
            || (name == "expect" && value.eq_ignore_ascii_case("100-continue"));
        !is_removed && connection.keeps(name)
    });
    headers.extend(kept.cloned());
    headers.extend(trailers_wanted(&request.extra));
    let is_https = request.scheme == "https";
    let port = if is_https { settings.public_https_port() } else { settings.public_http_port() };
    for (name, value) in added(settings, &request.authority, port) {
        if !headers.iter().any(|(present, _)| present == name) {
            headers.push((name.to_owned(), value));
        }
    }
    Ok(headers)
}

fn bad_request(why: &'static str) -> Refusal {
    Refusal { status: 400, why }
}

fn refuse_if(is_bad: bool, status: u16, why: &'static str) -> Result<(), Refusal> {
    if is_bad { Err(Refusal { status, why }) } else { Ok(()) }
}

/// All values of a header, joined with `,`.
pub(super) fn joined(headers: &Headers, name: &str) -> Option<String> {
    let values: Vec<_> = headers
        .iter()
        .filter(|(candidate, _)| candidate == name)
        .map(|(_, value)| value.as_str())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn check_target(request: &Request) -> Result<(), Refusal> {
    let Request { method, target, authority, .. } = request;
    refuse_if(!METHODS.contains(&&**method), 400, "the method is not supported")?;
    if method == "CONNECT" {
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let has_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        refuse_if(
            !target.is_empty() || !has_port,
            400,
            "the target of CONNECT is not a host with a port",
        )?;
        check_authority(authority)?;
        return refuse_if(true, 404, "there is no route for CONNECT");
    }
    let is_clean = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    refuse_if(
        !is_clean || !target.starts_with('/'),
        400,
        "the path does not start with / or has a character that is not visible ASCII; encode it",
    )
}

fn check_header(
    (name, value): &(String, String),
    underscores: HeadersWithUnderscores,
) -> Result<(), Refusal> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    refuse_if(!name.bytes().all(is_token), 400, "a header name contains an invalid character")?;
    let is_rejected = underscores == HeadersWithUnderscores::Reject && name.contains('_');
    refuse_if(is_rejected, 400, "a header name contains an underscore; use - instead")?;
    let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    refuse_if(value.bytes().any(is_control), 400, "a header value contains a control character")
}

/// Checks that the length of the body is unambiguous.
fn check_framing(headers: &Headers) -> Result<(), Refusal> {
    let length = joined(headers, "content-length");
    let encoding = joined(headers, "transfer-encoding");
    let is_number = |text: &String| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok()
    };
    refuse_if(!length.as_ref().is_none_or(is_number), 400, "content-length is not a number")?;
    let has_both = length.is_some() && encoding.is_some();
    refuse_if(has_both, 400, "both content-length and transfer-encoding are present; omit one")?;
    let is_known = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("chunked"));
    refuse_if(!is_known, 501, "transfer-encodings other than chunked are not supported")
}

fn check_authority(authority: &str) -> Result<(), Refusal> {
    let is_clean = authority
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%[]".contains(&byte));
    refuse_if(!is_clean, 400, "the host contains an invalid character")
}

/// The content of `connection` and `upgrade`.
struct Connection {
    options: Vec<String>,
    /// Whether an upgrade to WebSocket is requested; Envoy ignores all others. It decides
    /// only after the filter on which routes the upgrade is allowed.
    is_websocket: bool,
}

impl Connection {
    fn of(headers: &Headers) -> Self {
        let options = tokens(headers, "connection");
        let is_upgrade = options.iter().any(|option| option == "upgrade");
        let mut protocols = tokens(headers, "upgrade").into_iter();
        let is_websocket = is_upgrade && protocols.any(|protocol| protocol == "websocket");
        Self { options, is_websocket }
    }

    fn check(&self) -> Result<(), Refusal> {
        let is_bad =
            |option: &String| option.starts_with(':') || NEVER_NOMINATED.contains(&&**option);
        let is_bad = self.options.len() >= MAX_OPTIONS || self.options.iter().any(is_bad);
        refuse_if(
            is_bad && !self.is_websocket,
            400,
            "the connection header has 10 or more options, or one that names a protected header",
        )
    }

    /// Whether a header is forwarded.
    fn keeps(&self, name: &str) -> bool {
        if self.is_websocket {
            let is_upgrade = ["connection", "upgrade"].contains(&name);
            return is_upgrade || !(HOP_BY_HOP.contains(&name) || name == "te");
        }
        let is_nominated =
            !CONNECTION_OPTIONS.contains(&name) && self.options.iter().any(|option| option == name);
        !HOP_BY_HOP.contains(&name) && name != "te" && !is_nominated
    }
}

/// The elements of a comma-separated list, in lower case.
fn tokens(headers: &Headers, name: &str) -> Vec<String> {
    let value = joined(headers, name).unwrap_or_default().to_ascii_lowercase();
    value.split(',').map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned).collect()
}

/// Envoy removes all values of `te` except `trailers`.
fn trailers_wanted(headers: &Headers) -> Option<(String, String)> {
    let te = joined(headers, "te")?;
    let wanted = te.split(',').any(|coding| coding.trim() == "trailers");
    wanted.then(|| ("te".to_owned(), "trailers".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(method: &str, url: &str, headers: &[&str], hops: u32) -> Result<Headers, u16> {
        let settings = Settings { trusted_hops: hops, ..Settings::default() };
        admitted_by(&settings, method, url, headers)
    }

    fn admitted_by(
        settings: &Settings,
        method: &str,
        url: &str,
        headers: &[&str],
    ) -> Result<Headers, u16> {
        let headers: Vec<_> = headers.iter().map(ToString::to_string).collect();
        admit(&Request::new(method, url, &headers).unwrap(), settings)
            .map_err(|refusal| refusal.status)
    }

    /// The names of the client's headers that are forwarded.
    fn names(headers: &[&str], hops: u32) -> Vec<String> {
        let headers = admitted("GET", "a.example", headers, hops).unwrap();
        headers.into_iter().skip(5).map(|(name, _)| name).collect()
    }

    #[test]
    fn upstreams_learn_host_and_port_unless_a_proxy_has_told_them() {
        let told = |headers: &[&str], hops| {
            let (trusted_hops, forwarded_host) = (hops, true);
            let settings = Settings { trusted_hops, forwarded_host, ..Settings::default() };
            let headers = admitted_by(&settings, "GET", "a.example", headers).unwrap();
            ["x-forwarded-host", "x-forwarded-port"].map(|name| joined(&headers, name))
        };
        let texts = |texts: [&str; 2]| texts.map(|text| Some(text.to_owned()));
        let headers = ["x-forwarded-host: b", "x-forwarded-port: 1"];
        assert_eq!(told(&headers, 0), texts(["a.example", "80"]));
        assert_eq!(told(&headers, 1), texts(["b", "1"]));
        assert_eq!(told(&[], 1), [Some("a.example".to_owned()), None]);
    }

    #[test]
    fn what_only_others_may_say_is_removed() {
        let internal = [
            "X-Ingress-Cluster: evil",
            "x-envoy-retry-on: 5xx",
            "Proxy: evil",
            "X-Original-URL: /admin",
            "x-rewrite-url: /admin",
            "x-user: me",
        ];
        assert_eq!(names(&internal, 1), ["x-user"]);
        let forwarding = [
            "Forwarded: for=x",
            "x-real-ip: 1",
            "x-original-method: PUT",
            "x-forwarded-ssl: on",
            "x-forwarded-proto: https",
        ];
        assert_eq!(names(&forwarding, 0), [""; 0]);
        let believed = ["forwarded", "x-real-ip", "x-original-method", "x-forwarded-ssl"];
        assert_eq!(names(&forwarding, 1), believed);
        let headers = admitted("GET", "a.example", &forwarding, 1).unwrap();
        assert_eq!(headers[4].1, "https");
    }

    #[test]
    fn what_concerns_the_connection_ends_there() {
        for (headers, expected) in [
            (&["keep-alive: 5", "proxy-connection: close", "upgrade: x", "te: gzip"][..], &[][..]),
            (&["connection: close, X-A", "x-a: 1", "x-b: 2"], &["x-b"]),
            (&["te: gzip, trailers"], &["te"]),
            (&["connection: upgrade", "upgrade: H2C", "http2-settings: x"], &[]),
            (&["expect: 100-continue", "transfer-encoding: chunked"], &[]),
            (&["upgrade: websocket"], &[]),
            (&["connection: Upgrade", "upgrade: TLS/1.2"], &[]),
            (
                &["connection: Upgrade, x-a", "upgrade: WebSocket", "x-a: 1", "keep-alive: 5"],
                &["connection", "upgrade", "x-a"],
            ),
        ] {
            assert_eq!(names(headers, 0), expected, "{headers:?}");
        }
    }

    #[test]
    fn what_envoy_refuses_has_its_status() {
        for (method, url, headers, status) in [
            ("FOO", "a", &[][..], 400),
            ("get", "a", &[], 400),
            ("CONNECT", "a:80", &[], 404),
            ("CONNECT", "a", &[], 400),
            ("CONNECT", "a:80/", &[], 400),
            ("GET", "a b/", &[], 400),
            ("GET", "a/b c", &[], 400),
            ("GET", "a/\u{e9}", &[], 400),
            ("GET", "a/%2f", &[], 400),
            ("GET", "a", &["x y: z"], 400),
            ("GET", "a", &["x-y : z"], 400),
            ("GET", "a", &["x: \u{1}"], 400),
            ("GET", "a", &["content-length: +1"], 400),
            ("GET", "a", &["content-length: 1", "content-length: 1"], 400),
            ("GET", "a", &["content-length: 1", "transfer-encoding: chunked"], 400),
            ("GET", "a", &["transfer-encoding: gzip"], 501),
            ("GET", "a", &["connection: host"], 400),
            ("GET", "a", &["connection: a,b,c,d,e,f,g,h,i,j"], 400),
        ] {
            let result = admitted(method, url, headers, 0);
            assert_eq!(result, Err(status), "{method} {url} {headers:?}");
        }
    }

    #[test]
    fn headers_with_underscores_are_a_setting() {
        let outcome = |underscores| {
            let settings =
                Settings { headers_with_underscores: underscores, ..Settings::default() };
            let headers = admitted_by(&settings, "GET", "a", &["x_y: z"])?;
            Ok(headers.iter().any(|(name, _)| name == "x_y"))
        };
        assert_eq!(outcome(HeadersWithUnderscores::Drop), Ok(false));
        assert_eq!(outcome(HeadersWithUnderscores::Reject), Err(400));
        assert_eq!(outcome(HeadersWithUnderscores::Allow), Ok(true));
    }
}
