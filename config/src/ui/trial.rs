//! A request to try, and its outcome.

use std::net::IpAddr;

use anyhow::Context;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::compile::Compiled;
use crate::explain::{Explainer, Explanation, Request, RouteIndex, hints};

/// The most candidates that are sent, because a table may have a million routes. Those of
/// the request's host come first.
const MAX_CANDIDATES: usize = 200;

/// A request, in the syntax of the command line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Trial {
    #[serde(default = "get")]
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) headers: Vec<String>,
    /// By default this machine.
    #[serde(default)]
    pub(super) client: Option<String>,
    /// The server name (SNI), by default the host of the URL.
    #[serde(default)]
    pub(super) sni: Option<String>,
    /// In place of random numbers.
    #[serde(default)]
    pub(super) random: u64,
}

fn get() -> String {
    "GET".into()
}

/// The outcome, with the way through the document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    request: Shown,
    explanation: Explanation,
    /// The candidates that are not listed.
    omitted: usize,
    way: Option<Way>,
}

/// The request as a client would send it.
#[derive(Debug, Serialize)]
struct Shown {
    method: String,
    scheme: String,
    authority: String,
    target: String,
}

/// The indexes of a document's host and route, or neither for the default backend, and of
/// the rule that applies.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Way {
    host: Option<usize>,
    route: Option<usize>,
    rule: Option<usize>,
}

impl Trial {
    fn request(&self) -> anyhow::Result<Request> {
        let request = Request::new(self.method.trim(), self.url.trim(), &self.headers)?
            .with_random(Some(self.random));
        let request = match self.client.as_deref().map(str::trim) {
            None | Some("") => request,
            Some(client) => {
                let address: IpAddr = client.parse().ok().with_context(|| {
                    format!("client address {client:?} is not an IP address; write 192.0.2.1")
                })?;
                request.from_client(address)
            }
        };
        match &self.sni {
            None => Ok(request),
            Some(host) => Ok(request.on_connection_to(host)?),
        }
    }
}

/// Runs the module on the request.
///
/// # Errors
/// If the request is not valid.
pub(super) fn attempt(
    trial: &Trial,
    explainer: &Explainer,
    compiled: &Compiled,
    has_all_secrets: bool,
) -> anyhow::Result<Outcome> {
    let request = trial.request()?;
    let mut explanation = explainer.explain(&request)?;
    explanation.hints = hints(compiled, has_all_secrets, &request, &explanation);
    let omitted = shorten(&mut explanation);
    let way = explanation.place.map(|place| {
        let (host, route) = match place {
            RouteIndex::Route(host, route) => (Some(host), Some(route)),
            RouteIndex::Default => (None, None),
        };
        Way { host, route, rule: explanation.rule }
    });
    let Request { method, scheme, authority, target, .. } = request;
    let request = Shown { method, scheme, authority, target };
    Ok(Outcome { request, explanation, omitted, way })
}

/// Removes the candidates after the first ones, except for the chosen one.
fn shorten(explanation: &mut Explanation) -> usize {
    let all = explanation.candidates.len();
    let mut index = 0;
    explanation.candidates.retain(|candidate| {
        index += 1;
        index <= MAX_CANDIDATES || candidate.chosen
    });
    all - explanation.candidates.len()
}

/// The outcome as JSON, with the version of the document to which it belongs.
pub(super) fn answer(version: &str, outcome: anyhow::Result<Outcome>) -> Bytes {
    #[derive(Serialize)]
    struct Answer<'a> {
        version: &'a str,
        outcome: Option<Outcome>,
        error: Option<String>,
    }
    let (outcome, error) = match outcome {
        Ok(outcome) => (Some(outcome), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    // Maps with keys other than strings would fail; there are none.
    serde_json::to_vec(&Answer { version, outcome, error }).unwrap_or_default().into()
}
