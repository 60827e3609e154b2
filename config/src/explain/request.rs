//! A request as a client writes it, and as the filter gets it from an Envoy
//! with our configuration.

use std::fmt;

/// A request as a client would send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host, with a port if there is one.
    pub authority: String,
    /// The path and query.
    pub target: String,
    /// Further headers.
    pub extra: Vec<(String, String)>,
}

/// Why Envoy answers a request with 400 before the filter sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected(&'static str);

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What our configuration of Envoy removes from a client's request.
const REMOVED_PREFIXES: [&str; 2] = ["x-ingress-", "x-envoy-"];
const REMOVED: [&str; 4] = ["x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded"];

impl Request {
    /// The request for `url`, which may lack its scheme. Headers are written
    /// `name: value`; `host` replaces the URL's.
    ///
    /// # Errors
    /// Where the URL names no host or a header is not written so.
    pub fn new(method: &str, url: &str, headers: &[String]) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        anyhow::ensure!(
            matches!(scheme, "http" | "https"),
            "{url:?}: the scheme must be http or https"
        );
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        // A client keeps the fragment to itself.
        let target = target.split('#').next().unwrap_or_default();
        let slash = if target.starts_with('/') { "" } else { "/" };
        let mut request = Self {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            target: format!("{slash}{target}"),
            extra: Vec::new(),
        };
        for header in headers {
            let Some((name, value)) = header.split_once(':') else {
                anyhow::bail!("header {header:?}: write it as 'name: value'");
            };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            match name.as_str() {
                "" => anyhow::bail!("header {header:?}: it has no name"),
                "host" => request.authority = value,
                _ => request.extra.push((name, value)),
            }
        }
        anyhow::ensure!(!request.authority.is_empty(), "{url:?}: it names no host");
        Ok(request)
    }

    /// The headers that the filter gets.
    ///
    /// # Errors
    /// Where Envoy refuses the request.
    pub fn headers(&self) -> Result<Vec<(String, String)>, Rejected> {
        let mut headers: Vec<_> = [
            (":method", self.method.clone()),
            (":authority", self.authority.clone()),
            (":scheme", self.scheme.clone()),
            (":path", normalize(&self.target)?),
            ("x-forwarded-proto", self.scheme.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, value) in &self.extra {
            if name.contains('_') {
                return Err(Rejected("a header's name holds an underscore"));
            }
            let is_removed = REMOVED.contains(&name.as_str()) || name == "x-forwarded-proto";
            if !is_removed && !REMOVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                headers.push((name.clone(), value.clone()));
            }
        }
        Ok(headers)
    }
}

/// A request target as Envoy normalises it: what need not be encoded is
/// decoded, dot segments are resolved, slashes merged. The query is left alone.
fn normalize(target: &str) -> Result<String, Rejected> {
    let (path, query) = match target.find('?') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    if target.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(Rejected(
            "the target holds a space, a control character or a byte beyond ASCII",
        ));
    }
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2f") || lower.contains("%5c") {
        return Err(Rejected("the path holds an encoded slash or backslash"));
    }
    if lower.contains("%00") {
        return Err(Rejected("the path holds an encoded NUL"));
    }
    Ok(resolve(&encode_special(&decode_unreserved(path).replace('\\', "/"))) + query)
}

/// Decodes the escapes of characters that need none (RFC 3986 section 2.3).
fn decode_unreserved(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let escaped = rest
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .map(char::from);
        let plain =
            escaped.filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~'));
        decoded.push(plain.unwrap_or('%'));
        rest = &rest[at + if plain.is_some() { 3 } else { 1 }..];
    }
    decoded + rest
}

/// Encodes what Envoy does not leave as it is.
fn encode_special(path: &str) -> String {
    let encode = |character: char| match character {
        '"' | '<' | '>' | '`' | '{' | '}' | '^' | '|' => format!("%{:02X}", u32::from(character)),
        character => character.to_string(),
    };
    path.chars().map(encode).collect()
}

/// Resolves dot segments (RFC 3986 section 5.2.4), then merges slashes.
fn resolve(path: &str) -> String {
    let mut elements: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." if is_last => elements.push(""),
            "." => {}
            ".." => {
                elements.pop();
                elements.extend(is_last.then_some(""));
            }
            part => elements.push(part),
        }
    }
    let ends_in_slash = elements.last().is_none_or(|last| last.is_empty());
    elements.retain(|element| !element.is_empty());
    let mut resolved: String = elements.iter().flat_map(|element| ["/", element]).collect();
    if ends_in_slash {
        resolved.push('/');
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> Request {
        Request::new("GET", url, &[]).unwrap()
    }

    #[test]
    fn a_url_may_lack_its_scheme_and_its_path() {
        for (url, scheme, authority, target) in [
            ("http://a.example/x?y#z", "http", "a.example", "/x?y"),
            ("https://a.example", "https", "a.example", "/"),
            ("a.example:80/x", "http", "a.example:80", "/x"),
            ("a.example?y", "http", "a.example", "/?y"),
        ] {
            let request = request(url);
            assert_eq!(
                (&*request.scheme, &*request.authority, &*request.target),
                (scheme, authority, target),
                "{url}"
            );
        }
        for bad in ["ftp://a/", "/x", ""] {
            assert!(Request::new("GET", bad, &[]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_target_is_normalised_as_envoy_does() {
        for (target, expected) in [
            ("/", "/"),
            ("//admin", "/admin"),
            ("/./admin", "/admin"),
            ("/x/../admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/%2e%2e/admin", "/admin"),
            ("/x\\..\\admin", "/admin"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a//b///", "/a/b/"),
            ("/%2561dmin", "/%2561dmin"),
            ("/%zz/%", "/%zz/%"),
            ("/x?/../y//z", "/x?/../y//z"),
            ("/..", "/"),
            ("/{a}|^?{", "/%7Ba%7D%7C%5E?{"),
        ] {
            assert_eq!(normalize(target).as_deref(), Ok(expected), "{target}");
        }
        for bad in ["/a%2fb", "/a%5Cb", "/a%00", "/a b", "/\u{e9}"] {
            assert!(normalize(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_only_the_filter_may_say_is_removed() {
        let headers = [
            "X-Ingress-Cluster: evil",
            "x-envoy-retry-on: 5xx",
            "Forwarded: for=x",
            "x-user: me",
            "Host: b.example",
        ];
        let request = Request::new("GET", "a.example", &headers.map(str::to_owned)).unwrap();
        let headers = request.headers().unwrap();
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [":method", ":authority", ":scheme", ":path", "x-forwarded-proto", "x-user"]
        );
        assert_eq!(headers[1].1, "b.example");
        assert!(Request::new("GET", "a", &["x_y: z".into()]).unwrap().headers().is_err());
    }
}
