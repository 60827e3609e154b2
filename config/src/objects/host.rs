//! The hosts of Ingresses.

use std::fmt;
use std::net::IpAddr;

use super::is_dns_subdomain;
use crate::finding::quote;

/// A host in the spelling of the route table: a DNS name, whose first label may be `*`.
pub(super) fn parse(host: &str) -> Result<&str, HostError<'_>> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    if is_dns_subdomain(name) && name.parse::<IpAddr>().is_err() {
        return Ok(host);
    }
    Err(HostError { host, mistake: Mistake::of(host) })
}

/// The reason why a host is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostError<'a> {
    host: &'a str,
    mistake: Mistake,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    UpperCase,
    Address,
    Every,
    MoreThanAHost,
    NotAscii,
    EndsInADot,
    Wildcard,
    LongLabel,
    Other,
}

impl Mistake {
    fn of(host: &str) -> Self {
        match host {
            _ if host.bytes().any(|byte| byte.is_ascii_uppercase()) => Self::UpperCase,
            _ if is_address(host) => Self::Address,
            "*" => Self::Every,
            _ if host.contains([':', '/']) => Self::MoreThanAHost,
            _ if !host.is_ascii() => Self::NotAscii,
            _ if host.ends_with('.') => Self::EndsInADot,
            _ if host.contains('*') => Self::Wildcard,
            _ if host.split('.').any(|label| label.len() > 63) => Self::LongLabel,
            _ => Self::Other,
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::UpperCase => "write it in lower case",
            Self::Address => "an IP address is not allowed, omit host to match every host",
            Self::Every => "omit host to match every host",
            Self::MoreThanAHost => "write the DNS name without scheme, port or path",
            Self::NotAscii => "write it in Punycode, as xn--… labels",
            Self::EndsInADot => "write it without the trailing dot",
            Self::Wildcard => "write a wildcard as the whole first label, as in *.example.com",
            Self::LongLabel => "use labels of 63 characters at most",
            Self::Other => {
                "use labels of lower-case letters, digits and -, joined by dots, 253 characters at most"
            }
        }
    }
}

impl fmt::Display for HostError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a valid host; {}", quote(self.host), self.mistake.remedy())
    }
}

fn is_address(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    literal.unwrap_or(host).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_wildcards_of_one_label_are_hosts() {
        for host in ["foo.com", "*.foo.com", "localhost", "a-1.b", "1.2.3.example"] {
            assert_eq!(parse(host), Ok(host));
        }
    }

    #[test]
    fn the_remedy_fits_the_mistake() {
        let long = "a".repeat(64) + ".com";
        for (host, remedy) in [
            ("Foo.com", "lower case"),
            ("foo.com:80", "without scheme, port or path"),
            ("http://foo.com", "without scheme, port or path"),
            ("10.0.0.1", "an IP address is not allowed"),
            ("[::1]", "an IP address is not allowed"),
            ("b\u{fc}cher.example", "Punycode"),
            ("foo.com.", "without the trailing dot"),
            ("*.*.com", "whole first label"),
            ("foo.*", "whole first label"),
            ("*", "omit host"),
            (long.as_str(), "63 characters at most"),
            ("foo..com", "labels of"),
            ("foo bar", "labels of"),
            ("", "labels of"),
            ("-a.com", "labels of"),
            ("foo.com|x", "labels of"),
            ("foo\n.com", "labels of"),
        ] {
            let message = parse(host).unwrap_err().to_string();
            assert!(message.contains(remedy), "{host:?}: {message}");
        }
    }
}
