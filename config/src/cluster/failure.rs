//! The reasons why a request to the API fails, and how each is handled.

use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

/// The timeout of a request. The client itself has none, because of watches.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The kinds of failed requests, by how to handle them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The object or its namespace no longer exists: nothing to do.
    Gone,
    /// Another client has changed the object: read it again.
    Conflict,
    /// A permission is missing.
    Forbidden(String),
    /// The request is invalid, and would be rejected again.
    Refused(String),
    /// The API is unavailable or overloaded: retry later.
    Away(String),
}

impl Failure {
    pub(crate) fn of(error: &kube::Error) -> Self {
        let status = match error {
            kube::Error::Api(status) => status,
            kube::Error::BuildRequest(_) | kube::Error::SerdeError(_) => {
                return Self::Refused(with_sources(error));
            }
            _ => return Self::Away(with_sources(error)),
        };
        let message = status.message.clone();
        let causes = status.details.iter().flat_map(|details| &details.causes);
        // Creating an object in a namespace that is being deleted is also
        // forbidden: k8s.io/api/core/v1, NamespaceTerminatingCause.
        let mut causes = causes.map(|cause| cause.reason.as_str());
        match status.code {
            403 if causes.any(|cause| cause == "NamespaceTerminating") => Self::Gone,
            403 => Self::Forbidden(message),
            404 | 410 => Self::Gone,
            409 => Self::Conflict,
            // The token may be renewed, and a timed-out request retried.
            401 | 408 | 429 | 500.. => Self::Away(message),
            _ => Self::Refused(message),
        }
    }

    /// The kind of a failure; each kind is logged once.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Conflict => "conflict",
            Self::Forbidden(_) => "forbidden",
            Self::Refused(_) => "refused",
            Self::Away(_) => "away",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the object no longer exists"),
            Self::Conflict => f.write_str("another client has changed the object"),
            Self::Forbidden(message) | Self::Refused(message) | Self::Away(message) => {
                f.write_str(message)
            }
        }
    }
}

/// The error with its sources, which have the reason.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// The result of `request`, with the default timeout.
pub(crate) async fn ask<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    ask_within(REQUEST_TIMEOUT, request).await
}

/// The result of `request`, with the timeout `limit`.
pub(crate) async fn ask_within<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failure> {
    match timeout(limit, request).await {
        Ok(result) => result.map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::Away(format!("no response within {limit:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn failure(status: Status) -> Failure {
        Failure::of(&kube::Error::Api(status.boxed()))
    }

    #[test]
    fn what_to_do_follows_from_the_status() {
        let message = || "m".to_owned();
        let cases = [
            (404, Failure::Gone),
            (409, Failure::Conflict),
            (403, Failure::Forbidden(message())),
            (422, Failure::Refused(message())),
            (400, Failure::Refused(message())),
            (401, Failure::Away(message())),
            (429, Failure::Away(message())),
            (503, Failure::Away(message())),
        ];
        for (code, want) in cases {
            assert_eq!(failure(Status::failure("m", "").with_code(code)), want, "{code}");
        }
    }

    #[test]
    fn a_namespace_on_its_way_out_is_no_missing_right() {
        let cause = StatusCause {
            reason: "NamespaceTerminating".to_owned(),
            message: "namespace n is being terminated".to_owned(),
            field: "metadata.namespace".to_owned(),
        };
        let details = StatusDetails {
            name: "n".to_owned(),
            group: String::new(),
            kind: "namespaces".to_owned(),
            uid: String::new(),
            causes: vec![cause],
            retry_after_seconds: 0,
        };
        let status = Status::failure("m", "Forbidden").with_code(403).with_details(details);
        assert_eq!(failure(status), Failure::Gone);
    }
}
