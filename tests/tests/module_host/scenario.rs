//! A scenario, which runs in Envoy and in the host, and what came of it.

use std::collections::BTreeMap;

use crate::probe::Probe;

pub(crate) type Fields = Vec<(String, String)>;

/// A request or a response, and the pieces in which it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The method and the path, or the status.
    pub(crate) start: String,
    pub(crate) headers: Fields,
    pub(crate) pieces: Vec<String>,
    pub(crate) trailers: Fields,
    /// The body is in one piece, whose length a header tells.
    pub(crate) has_length: bool,
}

impl Sent {
    pub(crate) fn chunked(&self) -> bool {
        !self.has_length && self.goes_on()
    }

    /// Whether more than headers is sent.
    pub(crate) fn goes_on(&self) -> bool {
        !self.pieces.is_empty() || !self.trailers.is_empty()
    }
}

pub(crate) fn fields(fields: &[(&str, &str)]) -> Fields {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) key: String,
    pub(crate) module: Probe,
    pub(crate) configuration: String,
    pub(crate) vm_configuration: String,
    /// A second module, in a filter and a VM of its own, after the first one.
    pub(crate) beside: Option<Probe>,
    /// Scenarios with the same id share what VMs share.
    pub(crate) vm_id: Option<String>,
    pub(crate) request: Sent,
    pub(crate) response: Sent,
    /// The client waits for nothing between pieces, and leaves at this line of the log.
    pub(crate) leaves_at: Option<String>,
    /// The bytes of a TCP connection, in place of a request: from the client, from the upstream.
    pub(crate) tcp: Option<(String, String)>,
    /// No client comes: the scenario ends with this line of the log.
    pub(crate) idle_until: Option<String>,
    /// The scenario ends with this line of the log, and not with that of its stream.
    pub(crate) ends_at: Option<String>,
    /// The client waits with the body until the upstream is connected.
    pub(crate) waits_for_upstream: bool,
    /// Envoy crashes.
    pub(crate) crashes: bool,
}

impl Scenario {
    pub(crate) fn new(key: impl Into<String>, module: Probe) -> Self {
        Self {
            key: key.into(),
            module,
            configuration: "the configuration".to_owned(),
            vm_configuration: "of the VM".to_owned(),
            beside: None,
            vm_id: None,
            request: Sent {
                start: "GET /path?query=1".to_owned(),
                headers: fields(&[("x-request", "one")]),
                pieces: Vec::new(),
                trailers: Vec::new(),
                has_length: false,
            },
            response: Sent {
                start: "200".to_owned(),
                headers: fields(&[("x-response", "one")]),
                pieces: vec!["response".to_owned()],
                trailers: Vec::new(),
                has_length: false,
            },
            leaves_at: None,
            tcp: None,
            idle_until: None,
            ends_at: None,
            waits_for_upstream: false,
            crashes: false,
        }
    }

    /// The same with bodies in two pieces and trailers, in both directions.
    pub(crate) fn whole(key: impl Into<String>, module: Probe) -> Self {
        Self::new(key, module)
            .request("POST /path?query=1", &[("x-request", "one")], &["first", "second"])
            .request_trailers(&[("x-request-trailer", "one")])
            .response("200", &[("x-response", "one")], &["third", "fourth"])
            .response_trailers(&[("x-response-trailer", "one")])
    }

    pub(crate) fn request(
        mut self,
        start: &str,
        headers: &[(&str, &str)],
        pieces: &[&str],
    ) -> Self {
        start.clone_into(&mut self.request.start);
        self.request.headers = fields(headers);
        self.request.pieces = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        self
    }

    /// A request with a body whose length a header tells.
    pub(crate) fn whole_body(mut self, body: &str) -> Self {
        self.request.pieces = vec![body.to_owned()];
        self.request.has_length = true;
        self
    }

    /// A response with a body whose length a header tells.
    pub(crate) fn whole_response(mut self, body: &str) -> Self {
        self.response.pieces = vec![body.to_owned()];
        self.response.has_length = true;
        self
    }

    pub(crate) fn request_trailers(mut self, trailers: &[(&str, &str)]) -> Self {
        self.request.trailers = fields(trailers);
        self
    }

    pub(crate) fn response(
        mut self,
        status: &str,
        headers: &[(&str, &str)],
        pieces: &[&str],
    ) -> Self {
        status.clone_into(&mut self.response.start);
        self.response.headers = fields(headers);
        self.response.pieces = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        self
    }

    pub(crate) fn response_trailers(mut self, trailers: &[(&str, &str)]) -> Self {
        self.response.trailers = fields(trailers);
        self
    }

    pub(crate) fn leaves_at(mut self, line: &str) -> Self {
        self.leaves_at = Some(line.to_owned());
        self
    }

    pub(crate) fn idle_until(mut self, line: &str) -> Self {
        self.idle_until = Some(line.to_owned());
        self
    }

    pub(crate) fn ends_at(mut self, line: &str) -> Self {
        self.ends_at = Some(line.to_owned());
        self
    }

    pub(crate) fn waits_for_upstream(mut self) -> Self {
        self.waits_for_upstream = true;
        self
    }

    pub(crate) fn beside(mut self, module: Probe) -> Self {
        self.beside = Some(module);
        self
    }

    /// The scenario of the second module, if there is one.
    pub(crate) fn second(&self) -> Option<Self> {
        let module = self.beside.clone()?;
        Some(Self { key: beside(&self.key), module, beside: None, ..self.clone() })
    }

    pub(crate) fn crashes(mut self) -> Self {
        self.crashes = true;
        self
    }

    pub(crate) fn tcp(mut self, client: &str, upstream: &str) -> Self {
        self.tcp = Some((client.to_owned(), upstream.to_owned()));
        self
    }

    pub(crate) fn vm_id(&self) -> &str {
        self.vm_id.as_deref().unwrap_or(&self.key)
    }
}

/// The name and the VM of the second module in the scenario with this key.
pub(crate) fn beside(key: &str) -> String {
    format!("{key}-beside")
}

/// A message as one side got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Got {
    /// Sorted, with the pseudo-headers, without those that the proxy adds.
    pub(crate) headers: Fields,
    pub(crate) body: String,
    pub(crate) trailers: Fields,
    pub(crate) cut_off: bool,
}

/// What came of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The lines of the log, in order.
    pub(crate) log: Vec<String>,
    pub(crate) upstream: Option<Got>,
    pub(crate) client: Option<Got>,
    pub(crate) metrics: BTreeMap<String, u64>,
    pub(crate) crashed: bool,
}
