//! Inputs that begin with a request in readable form:
//!
//! ```text
//! GET /a/b?c
//! :authority: a.example
//! x-version: 2
//! @client: 10.1.2.3:4711
//! @chain: ns/a
//! @sni: a.example
//!
//! ```

use std::borrow::Cow;

use ingress_filter::Request;

/// A request and its connection.
#[derive(Debug, Default)]
pub(super) struct Asked {
    headers: Vec<(String, Vec<u8>)>,
    client: Option<Vec<u8>>,
    chain: Option<Vec<u8>>,
    sni: Option<Vec<u8>>,
    random: u64,
}

/// The request at the start of an input, and the rest after the empty line.
pub(super) fn split(input: &[u8]) -> Option<(Asked, &[u8])> {
    let end = input.windows(2).position(|bytes| bytes == b"\n\n")?;
    let (head, rest) = (input.get(..end)?, input.get(end + 2..)?);
    Some((Asked::parse(head)?, rest))
}

impl Asked {
    fn parse(head: &[u8]) -> Option<Self> {
        let mut lines = head.split(|byte| *byte == b'\n');
        let (method, target) = pair(lines.next()?, b" ")?;
        let mut asked = Self::default();
        for (name, value) in [(":method", method), (":path", target)] {
            asked.headers.push((name.to_owned(), value.to_vec()));
        }
        for line in lines {
            let (name, value) = pair(line, b": ")?;
            // As Envoy passes them: names in lower case, and one authority.
            let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
            match &*name {
                "@client" => asked.client = Some(value.to_vec()),
                "@chain" => asked.chain = Some(value.to_vec()),
                "@sni" => asked.sni = Some(value.to_vec()),
                "@random" => asked.random = std::str::from_utf8(value).ok()?.parse().ok()?,
                ":method" | ":path" => return None,
                _ => asked.headers.push((name, value.to_vec())),
            }
        }
        Some(asked)
    }

    /// The authority; empty if there is none.
    pub(super) fn authority(&self) -> Vec<u8> {
        self.first_value(":authority").unwrap_or_default().into_owned()
    }

    /// The path and the query.
    pub(super) fn target(&self) -> Vec<u8> {
        self.first_value(":path").unwrap_or_default().into_owned()
    }
}

fn pair<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(separator.len()).position(|bytes| bytes == separator)?;
    Some((line.get(..at)?, line.get(at + separator.len()..)?))
}

impl Request for Asked {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.headers.header(name)
    }

    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.headers.first_value(name)
    }

    fn client(&self) -> Option<Cow<'_, [u8]>> {
        self.client.as_deref().map(Cow::from)
    }

    fn filter_chain(&self) -> Option<Cow<'_, [u8]>> {
        self.chain.as_deref().map(Cow::from)
    }

    fn server_name(&self) -> Option<Cow<'_, [u8]>> {
        self.sni.as_deref().map(Cow::from)
    }

    fn random(&self) -> u64 {
        self.random
    }
}
