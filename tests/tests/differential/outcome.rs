//! The result of a request: in a real Envoy, and according to `explain`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ingress_tests::{Answer, Echoed, KeepAlive, is_added_by_envoy};
use ingressctl::explain::{Explainer, Explanation, Request};

use crate::sets::address;

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The response headers that the filter sets.
    response: BTreeMap<String, String>,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Answered(u16),
    Forwarded {
        /// The endpoints that it may reach, or the one that it has reached.
        to: BTreeSet<IpAddr>,
        method: String,
        path: String,
        headers: BTreeMap<String, String>,
    },
}

/// The response headers that are compared.
const RESPONSE: [&str; 7] = [
    "location",
    "vary",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
];

/// Random values that together select each item of each split, with and without a
/// fault.
const RANDOM: [u64; 4] = [0, 99, 500_000, 999_999];

impl Outcome {
    /// The result in a real Envoy.
    pub(crate) fn observed(client: &mut KeepAlive, request: &Request) -> Self {
        let answer = client.send(&bytes_of(request));
        let end = match Echoed::of(&answer) {
            None => End::Answered(answer.status),
            Some(request) => End::Forwarded {
                to: [request.at.ip()].into(),
                headers: headers_of(&request),
                method: request.method,
                path: request.path,
            },
        };
        let header = |name: &&str| Some(((*name).to_owned(), joined(&answer, name)?));
        Self { response: RESPONSE.iter().filter_map(header).collect(), end }
    }

    pub(crate) fn is_forwarded(&self) -> bool {
        matches!(self.end, End::Forwarded { .. })
    }

    /// The result according to `explain`, if it differs from the observed one.
    pub(crate) fn difference(&self, explainer: &Explainer, request: &Request) -> Option<Vec<Self>> {
        let mut expected = Vec::new();
        for random in RANDOM {
            let request = Request { random: Some(random), ..request.clone() };
            let explanation = explainer.decide(&request).expect("the module runs");
            let outcome = Self::explained(explanation, &request);
            if outcome.includes(self) {
                return None;
            }
            expected.push(outcome);
        }
        expected.dedup();
        Some(expected)
    }

    fn explained(explanation: Explanation, request: &Request) -> Self {
        let is_compared = |name: &&str| RESPONSE.contains(name);
        let response = explanation.response_headers.iter();
        let response = response.filter(|(name, _)| is_compared(&name.as_str()));
        let mut response: BTreeMap<_, _> =
            response.map(|(name, value)| (name.clone(), value.clone())).collect();
        response.extend(explanation.location.map(|location| ("location".to_owned(), location)));
        let to = explanation.cluster.as_deref().map(endpoints).unwrap_or_default();
        let end = match explanation.status {
            Some(status) => End::Answered(status),
            // Envoy has no endpoint for it; `explain` does not know about
            // endpoints.
            None if to.is_empty() => End::Answered(503),
            None => {
                let mut headers = explanation.request_headers;
                headers.retain(|name, _| !is_added_by_envoy(name));
                headers.insert("host".into(), explanation.host);
                End::Forwarded {
                    to,
                    method: request.method.clone(),
                    path: explanation.path,
                    headers,
                }
            }
        };
        Self { response, end }
    }

    /// Whether the observed result is one that this result allows.
    fn includes(&self, observed: &Self) -> bool {
        let is_end = match (&self.end, &observed.end) {
            (
                End::Forwarded { to, method, path, headers },
                End::Forwarded { to: reached, method: m, path: p, headers: h },
            ) => reached.is_subset(to) && (method, path, headers) == (m, p, h),
            (end, other) => end == other,
        };
        is_end && self.response == observed.response
    }
}

/// The endpoints of a cluster, by its name: `s17-one.default.svc.cluster.local|80`,
/// optionally with `|version=v1`.
fn endpoints(cluster: &str) -> BTreeSet<IpAddr> {
    let (set, service) = cluster[1..].split_once('-').expect("a service of a set");
    let (service, _) = service.split_once('.').expect("a name of a service");
    let number = set.parse().expect("a number");
    let versions = match cluster.rsplit_once("version=") {
        None => &[1, 2][..],
        Some((_, "v1")) => &[1],
        Some((_, "v2")) => &[2],
        // A version without pods.
        Some(_) => &[],
    };
    versions.iter().map(|version| address(number, service, *version, 0).ip()).collect()
}

/// The request in bytes.
pub(crate) fn bytes_of(request: &Request) -> Vec<u8> {
    let Request { method, authority, target, extra, .. } = request;
    let headers = extra.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]);
    let headers: String = headers.collect();
    format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\n{headers}\r\n").into_bytes()
}

fn headers_of(echoed: &Echoed) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::<_, String>::new();
    for (name, value) in echoed.headers.iter().filter(|(name, _)| !is_added_by_envoy(name)) {
        let joined = headers.entry(name.clone());
        joined.and_modify(|known| *known = format!("{known},{value}")).or_insert(value.clone());
    }
    headers
}

/// All values of a response header.
fn joined(answer: &Answer, name: &str) -> Option<String> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    let values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| values.join(","))
}
