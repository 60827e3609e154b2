//! What is expected of a step.

use proxy_wasm_test::Outcome;

use super::matcher::{LogMatcher, Matcher};

/// One expectation.
pub(super) type Expectation = crate::testing::Expectation<Check>;

#[derive(Debug)]
pub(super) enum Check {
    RequestOutcome(Outcome),
    ResponseOutcome(Outcome),
    /// Whether the module accepts its new configuration.
    Accepted(bool),
    /// The status that the client gets.
    Status(u32),
    Header(Section, String, HeaderTest),
    Body(Side, Matcher),
    /// Whether there is a local reply.
    LocalReply(bool),
    ReplyStatus(u32),
    ReplyGrpcStatus(u32),
    ReplyDetails(Matcher),
    ReplyBody(Matcher),
    Log(LogMatcher),
    Metric(String, u64),
    /// At most this number of calls of a host function.
    HostCalls(String, u64),
    /// At most this much fuel.
    Fuel(u64),
    /// A property that the module has set, by the parts of its path.
    Property(Vec<String>, HeaderTest),
    /// The HTTP calls that the module made, in order.
    Callouts(Vec<CalloutCheck>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// The headers or trailers of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Headers(Side),
    Trailers(Side),
    Reply,
}

/// What is expected of a header, or of another value that may be missing.
#[derive(Debug)]
pub(super) enum HeaderTest {
    Absent,
    Present,
    Is(Matcher),
    /// These values, in order.
    All(Vec<String>),
}

#[derive(Debug)]
pub(super) struct CalloutCheck {
    pub(super) cluster: Option<Matcher>,
    pub(super) headers: Vec<(String, HeaderTest)>,
    pub(super) body: Option<Matcher>,
}
