//! Runs one request through the module, and applies Envoy's routes to the result.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use ingress_filter::names::WEBSOCKET_HEADER;
use proxy_wasm_test::{ExchangeRecord, HeaderMap, Outcome, Plugin};

use super::Request;
use super::edge::{Headers, joined};

/// The source port of the client, because there is no connection.
const CLIENT_PORT: u16 = 50_000;

/// The property in which the module records the fault of a request.
const FAULT: &str = "fault";

/// The result of a request.
pub(super) struct OfflineExchange {
    /// The headers of the request, as changed by the module.
    pub(super) request: Headers,
    /// The headers that are added to the response.
    pub(super) response: Headers,
    /// The response, if it is not from an upstream.
    pub(super) answer: Option<Answer>,
    /// The record, for the properties.
    record: ExchangeRecord,
}

/// A response that is not from an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) grpc_status: Option<u32>,
    pub(super) by: Responder,
}

/// The sender of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Responder {
    Filter,
    /// The filter, with an injected abort.
    Fault,
    /// Envoy's route that rejects upgrades.
    NoUpgrade,
    /// Envoy's route that rejects TRACE; the filter can also reject it itself.
    NoTrace,
}

/// Sends a request through the module, with the headers that the filter gets from Envoy,
/// on a connection with this certificate, if any. If it is forwarded, the upstream
/// responds with 200.
pub(super) fn run_exchange(
    plugin: &Plugin,
    request: &Request,
    headers: &Headers,
    certificate: Option<&str>,
) -> anyhow::Result<OfflineExchange> {
    let is_trace = joined(headers, ":method").as_deref() == Some("TRACE");
    let mut exchange = plugin.exchange()?;
    let address = SocketAddr::new(request.client, CLIENT_PORT).to_string();
    exchange.set_property(&["source", "address"], address);
    if let Some(certificate) = certificate {
        exchange.set_property(&["xds", "filter_chain_name"], certificate);
        if let Some(host) = &request.sni {
            exchange.set_property(&["connection", "requested_server_name"], &**host);
        }
    }
    let mut outcome = exchange.request_headers(headers.clone(), true)?;
    if outcome == Outcome::Pause
        && let Some(ms) = delay(&exchange.record())
    {
        plugin.advance(Duration::from_millis(ms))?;
        // The delay ends with the next tick of the timer.
        if exchange.request_outcome() == Outcome::Pause {
            plugin.tick()?;
        }
        outcome = exchange.request_outcome();
    }
    let answer = match outcome {
        Outcome::Continue => {
            let answer = answer_behind(&text_of(&exchange.record().request.headers), is_trace);
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
            let by = match property(&record, FAULT) {
                Some(fault) if fault.contains("abort=") => Responder::Fault,
                _ if is_trace => Responder::NoTrace,
                _ => Responder::Filter,
            };
            let reply =
                record.local_reply.context("the module reported a local reply, but sent none")?;
            Some(Answer { status: reply.status.try_into()?, grpc_status: reply.grpc_status, by })
        }
        outcome => bail!("the module neither forwards nor answers the request: {outcome:?}"),
    };
    let record = exchange.finish()?;
    let mut response = text_of(&record.response.headers);
    response.retain(|(name, _)| !name.starts_with(':'));
    Ok(OfflineExchange { request: text_of(&record.request.headers), response, answer, record })
}

impl OfflineExchange {
    /// A property that the module has set.
    pub(super) fn property(&self, name: &str) -> Option<String> {
        property(&self.record, name)
    }

    /// The time by which the filter delays the request.
    pub(super) fn delay(&self) -> Option<u64> {
        delay(&self.record)
    }
}

/// The delay of a fault, in milliseconds.
fn delay(record: &ExchangeRecord) -> Option<u64> {
    let fault = property(record, FAULT)?;
    let (ms, _) = fault.strip_prefix("delay=")?.split_once("ms")?;
    ms.parse().ok()
}

fn property(record: &ExchangeRecord, name: &str) -> Option<String> {
    record.property(&[name]).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// The response of Envoy's routes after the filter, if they do not forward the request.
fn answer_behind(headers: &Headers, is_trace: bool) -> Option<Answer> {
    let answer = |status, by| Some(Answer { status, grpc_status: None, by });
    if is_trace {
        return answer(405, Responder::NoTrace);
    }
    // Only upgrades to WebSocket get here.
    let is_upgrade = joined(headers, "upgrade").is_some();
    if is_upgrade && joined(headers, WEBSOCKET_HEADER).is_none() {
        return answer(403, Responder::NoUpgrade);
    }
    None
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
        answer_behind(&headers, is_trace)
    }

    #[test]
    fn envoy_behind_the_filter_obeys_it() {
        let answer = |status, by| Some(Answer { status, grpc_status: None, by });
        let upgrade = ("upgrade", "websocket");
        for (headers, is_trace, expected) in [
            (&[][..], false, None),
            (&[upgrade], false, answer(403, Responder::NoUpgrade)),
            (&[upgrade, ("x-ingress-websocket", "1")], false, None),
            (&[], true, answer(405, Responder::NoTrace)),
        ] {
            assert_eq!(behind(headers, is_trace), expected, "{headers:?}");
        }
    }
}
