//! Networks in CIDR notation (RFC 4632, RFC 4291 section 2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::flat::record;

record! {
    /// The addresses with the same first bits.
    #[derive(PartialEq, Eq)]
    pub struct Subnet {
        is_v4: bool,
        /// The number of these bits.
        network: u128,
        mask: u128,
    }
}

impl Subnet {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    ///
    /// # Errors
    /// If the text is not a network. The message has the remedy.
    ///
    /// ```
    /// use ingress_filter::{Subnet, SubnetError};
    ///
    /// let subnet = Subnet::parse("10.0.0.0/8")?;
    /// assert!(subnet.contains("10.1.2.3".parse().unwrap()));
    /// assert!(subnet.contains("::ffff:10.1.2.3".parse().unwrap()), "the same address");
    /// assert!(!subnet.contains("11.0.0.1".parse().unwrap()));
    /// assert_eq!(Subnet::parse("10.0.0.0/33"), Err(SubnetError::Length));
    /// # Ok::<_, SubnetError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, SubnetError> {
        let (address, length) = match text.split_once('/') {
            None => (text, None),
            Some((address, length)) => (address, Some(length)),
        };
        let address: IpAddr = address.parse().map_err(|_| SubnetError::Address)?;
        let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => bits,
            Some(length) => crate::duration::parse_number(length.as_bytes())
                .filter(|length| *length <= bits)
                .ok_or(SubnetError::Length)?,
        };
        let host_bits = bits - length;
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        let (is_v4, bits_of_address) = number(address);
        // Bits beyond the length are ignored, as in Go and Envoy.
        Ok(Self { is_v4, network: bits_of_address & mask, mask })
    }

    /// Whether the network contains an address. An IPv4-mapped IPv6 address counts as the
    /// IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (is_v4, address) = number(address.to_canonical());
        is_v4 == self.is_v4 && address & self.mask == self.network
    }
}

/// In the syntax of [`Subnet::parse`].
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host_bits = self.mask.trailing_zeros();
        if self.is_v4 {
            let address = Ipv4Addr::from_bits(u32::try_from(self.network).unwrap_or_default());
            return write!(f, "{address}/{}", 32_u32.saturating_sub(host_bits));
        }
        write!(f, "{}/{}", Ipv6Addr::from_bits(self.network), 128_u32.saturating_sub(host_bits))
    }
}

/// The reason why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubnetError {
    /// It does not start with an IP address.
    Address,
    /// The length is not a number, or greater than the address has bits.
    Length,
}

impl fmt::Display for SubnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "is not a network; write an address and a length, as in 10.0.0.0/8",
            Self::Length => {
                "has a length that is not valid; write 0 to 32 bits for IPv4, 0 to 128 for IPv6"
            }
        })
    }
}

impl std::error::Error for SubnetError {}

/// Whether the address is an IPv4 address, and its bits.
fn number(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(address) => (true, address.to_bits().into()),
        IpAddr::V6(address) => (false, address.to_bits()),
    }
}

/// The address in Envoy's attribute `source.address`, with or without a port.
pub(crate) fn parse_client(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let with_port = text.parse::<SocketAddr>().map(|address| address.ip());
    with_port.or_else(|_| text.parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(subnet: &str, address: &str) -> bool {
        Subnet::parse(subnet).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        for (subnet, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.255.0.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.128.0.0/9", "10.127.0.0", false),
            ("::/0", "10.0.0.1", false),
            ("::/0", "::ffff:10.0.0.1", false),
        ] {
            assert_eq!(contains(subnet, address), expected, "{subnet} {address}");
        }
    }

    #[test]
    fn what_is_no_network_says_so() {
        for bad in
            ["", "x", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "10.0.0/8", "1.2.3.4/"]
        {
            assert!(Subnet::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_client_has_a_port_or_none() {
        for (text, address) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[::1]:80", "::1"),
            ("192.0.2.1", "192.0.2.1"),
            ("::1", "::1"),
        ] {
            assert_eq!(parse_client(text.as_bytes()), address.parse().ok(), "{text}");
        }
        for bad in [&b""[..], b"\xff", b"/run/socket", b"1.2.3.4:"] {
            assert_eq!(parse_client(bad), None);
        }
    }
}
