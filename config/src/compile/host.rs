//! The hosts of Ingress rules.

use std::net::IpAddr;

use crate::finding::quote;
use crate::objects::is_dns_subdomain;

/// A host as the route table spells it, or why it is none.
pub(super) fn parse(host: &str) -> Result<&str, String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    if is_dns_subdomain(name) && name.parse::<IpAddr>().is_err() {
        return Ok(host);
    }
    let remedy = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        "write it in lower case"
    } else if is_address(host) {
        "an address is none; leave the host out to serve every host"
    } else if host == "*" {
        "leave the host out to serve every host"
    } else if host.contains([':', '/']) {
        "write it alone, without scheme, port or path"
    } else if !host.is_ascii() {
        "write it in Punycode, as xn--… labels"
    } else if host.ends_with('.') {
        "write it without the dot at its end"
    } else if host.contains('*') {
        "a wildcard stands for the whole first label, as in *.example.com"
    } else if host.split('.').any(|label| label.len() > 63) {
        "a label has 63 characters at most"
    } else {
        "labels of lower-case letters, digits and -, joined by dots, 253 characters at most"
    };
    Err(format!("{} is no DNS name: {remedy}", quote(host)))
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
            ("10.0.0.1", "an address is none"),
            ("[::1]", "an address is none"),
            ("b\u{fc}cher.example", "Punycode"),
            ("foo.com.", "without the dot"),
            ("*.*.com", "whole first label"),
            ("foo.*", "whole first label"),
            ("*", "leave the host out"),
            (long.as_str(), "63 characters at most"),
            ("foo..com", "labels of"),
            ("foo bar", "labels of"),
            ("", "labels of"),
            ("-a.com", "labels of"),
            ("foo.com|x", "labels of"),
            ("foo\n.com", "labels of"),
        ] {
            let message = parse(host).unwrap_err();
            assert!(message.contains(remedy), "{host:?}: {message}");
        }
    }
}
