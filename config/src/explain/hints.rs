//! Reasons why a request may not be served as expected that are not in the route
//! table.

use super::{Explanation, Request};
use crate::compile::Compiled;
use crate::finding::quote;

/// The reasons, as independent sentences. `has_all_secrets` says whether all Secrets could
/// be read, so that absent ones do not exist.
pub(crate) fn hints(
    compiled: &Compiled,
    has_all_secrets: bool,
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
    let handshake = handshake.filter(|_| has_all_secrets);
    handshake.into_iter().chain(unread).collect()
}

/// The reason why no client can send the request, if its TLS handshake fails.
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
        "clients cannot connect over HTTPS, because the handshake fails: there is {of_host}no default certificate"
    ))
}
