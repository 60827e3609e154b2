//! The interface of a request to a decision.

use std::borrow::Cow;

/// The values of a request that a decision may need. Each may cost a host call.
pub trait Request {
    /// The value of a header or pseudo-header, by its name in lower case. The values of
    /// a repeated header are joined with `,` (RFC 9110 section 5.3). An empty value may be
    /// returned as `None`; [`first_value`](Self::first_value) distinguishes the two.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// The value of a header or pseudo-header, by its name in lower case; the first value
    /// of a repeated header.
    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// The address of the client with its port, as in Envoy's attribute `source.address`.
    fn client(&self) -> Option<Cow<'_, [u8]>>;

    /// The name of the filter chain of the request's connection, as in Envoy's attribute
    /// `xds.filter_chain_name`. An empty name is returned as `None`.
    fn filter_chain(&self) -> Option<Cow<'_, [u8]>>;

    /// The server name (SNI) of the client's TLS handshake, if any, as in Envoy's attribute
    /// `connection.requested_server_name`.
    fn server_name(&self) -> Option<Cow<'_, [u8]>>;

    /// A new random number.
    fn random(&self) -> u64;
}

/// A request as a list of its headers, without an address or a filter chain. Its random
/// numbers are 0.
impl Request for [(String, Vec<u8>)] {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut values =
            self.iter().filter(|(candidate, _)| candidate == name).map(|(_, value)| value);
        let mut joined = Cow::from(values.next()?);
        for value in values {
            let joined = joined.to_mut();
            joined.push(b',');
            joined.extend_from_slice(value);
        }
        Some(joined)
    }

    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.into())
    }

    fn client(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn filter_chain(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn server_name(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn random(&self) -> u64 {
        0
    }
}
