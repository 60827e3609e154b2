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
    /// In place of random numbers; by default 0. A string, because the numbers of JavaScript
    /// are exact only up to 2^53.
    #[serde(default)]
    pub(super) random: Option<String>,
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
            .with_random(Some(self.random()?));
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

    fn random(&self) -> anyhow::Result<u64> {
        match self.random.as_deref().map(str::trim) {
            None | Some("") => Ok(0),
            Some(number) => number.parse().ok().with_context(|| {
                format!("random number {number:?} is not an integer from 0 to {}", u64::MAX)
            }),
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

#[cfg(test)]
mod tests {
    use ingress_filter::RouteTable;
    use ingress_filter::table::{PathMatch, Route, VirtualHost};

    use super::*;
    use crate::settings::Settings;

    fn trial(json: &str) -> Trial {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_request_is_written_as_on_the_command_line() {
        let all = r#"{"method": "POST", "url": "https://a.example/x", "headers": ["X-A: 1"],
            "client": " 192.0.2.7 ", "sni": "b.example", "random": "18446744073709551615"}"#;
        let request = trial(all).request().unwrap();
        assert_eq!((&*request.method, &*request.target), ("POST", "/x"));
        assert_eq!(request.extra, [("x-a".to_owned(), "1".to_owned())]);
        assert_eq!(request.client.to_string(), "192.0.2.7");
        assert_eq!((request.sni.as_deref(), request.random), (Some("b.example"), Some(u64::MAX)));
        assert_eq!(trial(r#"{"url": "a.example/"}"#).request().unwrap().random, Some(0));
        for (json, problem) in [
            (r#"{"url": "a", "client": "nobody"}"#, "write 192.0.2.1"),
            (r#"{"url": "a", "sni": "b"}"#, "use an https:// URL"),
            (r#"{"url": "/x"}"#, "has no host"),
            (
                r#"{"url": "a", "random": "1e9"}"#,
                "is not an integer from 0 to 18446744073709551615",
            ),
        ] {
            let error = trial(json).request().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn the_chosen_candidate_is_never_omitted() {
        let route = |index: usize| Route {
            path: PathMatch::Exact(format!("/{index}")),
            backend: "web".into(),
            port: None,
            source: format!("ns/web#0.{index}"),
            count_as: String::new(),
            plaintext: None,
        };
        let last = MAX_CANDIDATES + 9;
        let table = RouteTable {
            backends: vec![
                serde_json::from_str(
                    r#"{"name": "web", "default": {"forward": {"cluster": "web"}}}"#,
                )
                .unwrap(),
            ],
            virtual_hosts: vec![VirtualHost {
                hosts: vec!["a.example".into()],
                routes: (0..=last).map(route).collect(),
                no_default_backend: false,
            }],
            ..RouteTable::empty()
        };
        let explainer = Explainer::new(&table, &Settings::default()).unwrap();
        let request = trial(&format!(r#"{{"url": "a.example/{last}"}}"#)).request().unwrap();
        let mut explanation = explainer.explain(&request).unwrap();
        assert_eq!(shorten(&mut explanation), 9);
        assert_eq!(explanation.candidates.len(), MAX_CANDIDATES + 1);
        assert!(explanation.candidates[MAX_CANDIDATES].chosen);
    }
}
