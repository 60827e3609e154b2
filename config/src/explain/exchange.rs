//! One request through the module, and what Envoy does with the module's word:
//! its fault filter and its routes stand behind.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use host_test::{ExchangeRecord, HeaderMap, Outcome, Plugin};
use ingress_filter::WEBSOCKET_HEADER;

use super::Request;
use super::edge::{Headers, joined};

/// The port a client sends from, for want of a real one.
const CLIENT_PORT: u16 = 50_000;

/// What came of a request.
pub(super) struct Passage {
    /// The headers of the request as the module left them.
    pub(super) request: Headers,
    /// What the client sees beside the answer's own headers.
    pub(super) response: Headers,
    /// The answer, where no upstream gives it.
    pub(super) answer: Option<Answer>,
    /// The record, for the properties.
    record: ExchangeRecord,
}

/// An answer that no upstream gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) grpc_status: Option<u32>,
    pub(super) by: By,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Filter,
    /// Envoy's fault filter, on the filter's word.
    Fault,
    /// Envoy's route that refuses upgrades.
    NoUpgrade,
    /// Envoy's route that refuses TRACE; the filter may do so itself.
    NoTrace,
}

/// Sends a request through the module, with the headers that Envoy makes of it,
/// on a connection with this certificate, if any. The upstream, where it gets to one, answers with 200.
pub(super) fn pass(
    plugin: &Plugin,
    request: &Request,
    headers: &Headers,
    certificate: Option<&str>,
) -> anyhow::Result<Passage> {
    let is_trace = joined(headers, ":method").as_deref() == Some("TRACE");
    let mut exchange = plugin.exchange()?;
    let address = SocketAddr::new(request.client, CLIENT_PORT).to_string();
    exchange.set_property(&["source", "address"], address);
    if let Some(certificate) = certificate {
        exchange.set_property(&["xds", "filter_chain_name"], certificate);
    }
    let answer = match exchange.request_headers(headers.clone(), true)? {
        Outcome::Continue => {
            let answer = answer_behind(&text_of(&exchange.record().request.headers), is_trace)?;
            let status = answer.map_or(200, |answer| answer.status).to_string();
            let mut response = vec![(":status".to_owned(), status)];
            if answer.is_none() {
                response.extend(request.answer.iter().cloned());
            }
            exchange.response_headers(response, true)?;
            answer
        }
        Outcome::LocalReply => {
            let record = exchange.record();
            exchange.local_response()?;
            let reply = record.local_reply.context("a reply without one")?;
            let by = if is_trace { By::NoTrace } else { By::Filter };
            Some(Answer { status: reply.status.try_into()?, grpc_status: reply.grpc_status, by })
        }
        outcome => bail!("the module does not let the request go on: {outcome:?}"),
    };
    let record = exchange.finish()?;
    let mut response = text_of(&record.response.headers);
    response.retain(|(name, _)| !name.starts_with(':'));
    Ok(Passage { request: text_of(&record.request.headers), response, answer, record })
}

impl Passage {
    /// A property that the module set.
    pub(super) fn property(&self, name: &str) -> Option<String> {
        self.record.property(&[name]).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// How long Envoy's fault filter holds the request back.
    pub(super) fn delay(&self) -> Option<u64> {
        joined(&self.request, "x-envoy-fault-delay-request")?.parse().ok()
    }
}

/// What Envoy answers behind the filter, where no upstream gets to.
fn answer_behind(headers: &Headers, is_trace: bool) -> anyhow::Result<Option<Answer>> {
    let answer = |status, grpc_status, by| Ok(Some(Answer { status, grpc_status, by }));
    if let Some(status) = joined(headers, "x-envoy-fault-abort-request") {
        let status = status.parse().context("an abort without a status")?;
        return answer(status, None, By::Fault);
    }
    if let Some(status) = joined(headers, "x-envoy-fault-abort-grpc-request") {
        let status = status.parse().context("an abort without a gRPC status")?;
        return answer(200, Some(status), By::Fault);
    }
    if is_trace {
        return answer(405, None, By::NoTrace);
    }
    // Where it gets here, it is an upgrade to WebSocket.
    let is_upgrade = joined(headers, "upgrade").is_some();
    if is_upgrade && joined(headers, WEBSOCKET_HEADER).is_none() {
        return answer(403, None, By::NoUpgrade);
    }
    Ok(None)
}

fn text_of(headers: &HeaderMap) -> Headers {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (text(name), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(headers: &[(&str, &str)], is_trace: bool) -> Option<Answer> {
        let headers =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        answer_behind(&headers, is_trace).unwrap()
    }

    #[test]
    fn envoy_behind_the_filter_obeys_it() {
        let answer = |status, grpc_status, by| Some(Answer { status, grpc_status, by });
        let upgrade = ("upgrade", "websocket");
        for (headers, is_trace, expected) in [
            (&[("x-envoy-fault-delay-request", "5")][..], false, None),
            (&[("x-envoy-fault-abort-request", "418")], false, answer(418, None, By::Fault)),
            (
                &[("x-envoy-fault-abort-grpc-request", "14")],
                false,
                answer(200, Some(14), By::Fault),
            ),
            (&[upgrade], false, answer(403, None, By::NoUpgrade)),
            (&[upgrade, ("x-ingress-websocket", "1")], false, None),
            (&[], true, answer(405, None, By::NoTrace)),
        ] {
            assert_eq!(behind(headers, is_trace), expected, "{headers:?}");
        }
    }
}
