//! The differences that stay, each with its reason.

use std::fmt;

use crate::compare::Difference;

/// A difference that stays.
pub(crate) struct Known {
    /// The scenario; `*` at the end stands for any rest.
    scenario: &'static str,
    /// The host call or the part of the outcome, with the same `*`.
    what: &'static str,
    pub(crate) reason: &'static str,
}

const fn known(scenario: &'static str, what: &'static str, reason: &'static str) -> Known {
    Known { scenario, what, reason }
}

const THREADS: &str = "Envoy starts a module in each of its threads, and what they share counts \
    each of them; the host starts it once.";
const NAMES: &str = "The names of Envoy's configuration are set by the test, after the context of \
    the stream has been created.";
const CREATED: &str = "Envoy accepts a configuration whose root context has trapped, and then \
    answers 503; the host returns an error.";
const HOP: &str = "Envoy has removed `transfer-encoding` and added `date`; the host has no codec.";
const ROUTER: &str = "Envoy finds no route for a request without `x-forwarded-proto`; the host has \
    no router.";
const RECURSION: &str = "Envoy ends the stream within the callback, and goes on with it \
    nevertheless.";
const NOT_PAUSED: &str = "The module continues a response that it has not paused: Envoy sends its \
    headers twice, and cuts it off. The host returns an error.";
const TRAP: &str = "Envoy answers 503 for a module that has failed; the host returns an error, \
    because the test has to fail.";

/// All of them. The test fails if one of them does not occur.
pub(crate) const KNOWN_DIFFERENCES: &[Known] = &[
    known("root-context-create", "get_metric: counter*", THREADS),
    known("root-context-create", "set_shared_data(absent key, cas 7)", THREADS),
    known("root-context-create", "metrics", THREADS),
    known("vm-start", "get_metric: counter*", THREADS),
    known("vm-start", "set_shared_data(absent key, cas 7)", THREADS),
    known("vm-start", "metrics", THREADS),
    known("configure", "get_metric: counter*", THREADS),
    known("configure", "set_shared_data(absent key, cas 7)", THREADS),
    known("configure", "metrics", THREADS),
    known("create-traps", "start", CREATED),
    known("stream-context-create", "get_property(xds.*", NAMES),
    known("stream-log", "get_property(response.total_size)", HOP),
    known("stream-log", "get_header_map_pairs: response headers", HOP),
    known("request-all-set-without-proto", "*", ROUTER),
    known("close-request--context-create", "*", RECURSION),
    known("close-response--context-create", "*", RECURSION),
    known("continue-response--response-headers", "*", NOT_PAUSED),
    known("trap-*", "client", TRAP),
];

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.scenario, self.what)
    }
}

impl Known {
    /// Where it is, as the page shows it.
    pub(crate) fn place(&self) -> (String, String) {
        let place = |text: &str| match text {
            "*" => "all".to_owned(),
            text => format!("`{text}`"),
        };
        (place(self.scenario), place(self.what))
    }

    pub(crate) fn covers(&self, difference: &Difference) -> bool {
        matches(self.scenario, &difference.scenario) && matches(self.what, &difference.what)
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == pattern,
    }
}

/// The reason of a difference, if it has one.
pub(crate) fn reason(difference: &Difference) -> Option<&'static Known> {
    KNOWN_DIFFERENCES.iter().find(|known| known.covers(difference))
}
