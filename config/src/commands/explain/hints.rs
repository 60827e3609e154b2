//! What may be why a request is not served as someone expects, and is no matter of
//! the route table.

use crate::compile::Compiled;
use crate::explain::{Explanation, Request};

/// Sentences, in no need of the rest.
pub(super) fn hints(
    compiled: &Compiled,
    request: &Request,
    explanation: &Explanation,
) -> Vec<String> {
    let is_unserved =
        explanation.status == Some(404) && !explanation.candidates.iter().any(|it| it.chosen);
    let host = ingress_filter::host_of(request.authority.as_bytes());
    let host = host.map(|host| String::from_utf8_lossy(&host).into_owned()).unwrap_or_default();
    let unread = compiled.unread.iter().filter(|it| is_unserved && it.may_be_for(&host));
    unread.map(|unread| unread.summary().to_owned()).collect()
}
