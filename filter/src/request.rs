//! The interface of a request to a decision.

use std::borrow::Cow;

/// What a decision may ask of a request. Asking may cost a host call.
pub trait Request {
    /// The value of a header or pseudo-header, by its name in lower case; of a
    /// header sent several times, all values joined with `,` (RFC 9110 section
    /// 5.3). An empty value may count as none; [`first_value`](Self::first_value) tells.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// The value of a header or pseudo-header, by its name in lower case; of a
    /// header sent several times, the first.
    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// The address of the client, as Envoy's attribute `source.address` has it:
    /// with its port.
    fn client(&self) -> Option<Cow<'_, [u8]>>;

    /// The name of the filter chain that has the request's connection, as
    /// Envoy's attribute `xds.filter_chain_name` has it. An empty name counts as
    /// none.
    fn filter_chain(&self) -> Option<Cow<'_, [u8]>>;

    /// The host that the client named when it connected by TLS (SNI), as Envoy's
    /// attribute `connection.requested_server_name` has it; `None` where it named none.
    fn server_name(&self) -> Option<Cow<'_, [u8]>>;

    /// A random number, another one each time.
    fn random(&self) -> u64;
}

/// A request whose headers have all been read, from a client and by a filter
/// chain that are not known; where something is to be drawn, it draws 0.
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
