//! Why a request may not be served as its sender expects, where the route table does
//! not say it.

use crate::commands::source::Source;
use crate::compile::Compiled;
use crate::explain::{Explanation, Request};
use crate::finding::quote;

/// Sentences, each for itself.
pub(super) fn hints(
    source: &Source,
    compiled: &Compiled,
    request: &Request,
    explanation: &Explanation,
) -> Vec<String> {
    let is_unserved =
        explanation.status == Some(404) && !explanation.candidates.iter().any(|it| it.chosen);
    let host = ingress_filter::host_of(request.authority.as_bytes());
    let host = host.map(|host| String::from_utf8_lossy(&host).into_owned()).unwrap_or_default();
    let unread = compiled.unread.iter().filter(|it| is_unserved && it.may_be_for(&host));
    let unread = unread.map(|unread| unread.summary().to_owned());
    let handshake = no_handshake(compiled, request, explanation);
    let handshake = handshake.filter(|_| source.has_all_secrets());
    handshake.into_iter().chain(unread).collect()
}

/// That no client gets as far as to send the request, where that is so.
fn no_handshake(
    compiled: &Compiled,
    request: &Request,
    explanation: &Explanation,
) -> Option<String> {
    let certificate = explanation.certificate.as_deref()?;
    if compiled.gateway.has_certificate(certificate) {
        return None;
    }
    let of_host = match &request.sni {
        Some(host) => format!("no certificate for {} and ", quote(host)),
        None => String::new(),
    };
    Some(format!(
        "no client gets that far by HTTPS, since the handshake fails: there is {of_host}no default certificate"
    ))
}
