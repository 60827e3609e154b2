//! Plays a case of a suite of service-extensions: phases, of which each has its own expectations.

use proxy_wasm_test::{
    Activity, Error, Exchange, ExchangeRecord, HeaderMap, LocalReply, LogLine, Outcome,
};

use super::matcher::{Matcher, shown};
use super::plugin::Started;
use super::report::Run;
use super::suite::join;
use crate::finding::Location;
use crate::testing::Failure;

/// What is done and expected in each phase.
#[derive(Debug)]
pub(super) struct Phases {
    pub(super) plugin_init: Vec<Expectation>,
    pub(super) stream_init: Vec<Expectation>,
    pub(super) request_headers: Option<Phase<HeaderMap>>,
    pub(super) request_body: Vec<Phase<Body>>,
    pub(super) response_headers: Option<Phase<HeaderMap>>,
    pub(super) response_body: Vec<Phase<Body>>,
    pub(super) stream_destroy: Vec<Expectation>,
    pub(super) chunks: Option<Chunks>,
}

#[derive(Debug)]
pub(super) struct Phase<I> {
    pub(super) at: Location,
    pub(super) input: I,
    pub(super) expectations: Vec<Expectation>,
}

#[derive(Debug)]
pub(super) struct Body(pub(super) Vec<u8>);

/// How a body is divided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chunks {
    Number(usize),
    Size(usize),
}

/// One expectation.
pub(super) type Expectation = crate::testing::Expectation<Check>;

#[derive(Debug)]
pub(super) enum Check {
    HasHeader(String, Vec<u8>),
    NoHeader(String),
    /// A line `name: value`.
    Line(StringMatcher),
    Body(StringMatcher),
    Log(StringMatcher),
    Immediate(Immediate),
}

#[derive(Debug)]
pub(super) struct StringMatcher {
    pub(super) invert: bool,
    pub(super) matcher: Matcher,
}

/// A local reply.
#[derive(Debug)]
pub(super) struct Immediate {
    pub(super) http_status: Option<u32>,
    pub(super) grpc_status: Option<u32>,
    pub(super) details: Option<Vec<u8>>,
}

/// What the module did in one phase.
#[derive(Default)]
struct Seen {
    /// Each header with all its values.
    headers: HeaderMap,
    body: Vec<u8>,
    reply: Option<LocalReply>,
    is_paused: bool,
    log: Vec<LogLine>,
}

/// Plays the phases, and returns the differences.
pub(super) fn play(
    phases: &Phases,
    started: &Started,
    context: &mut Run,
) -> Result<Vec<Failure>, Box<(Vec<Failure>, Error)>> {
    let log = started.plugin.activity().log;
    context.add_log(&log);
    let mut failures = differences(&phases.plugin_init, &Seen { log, ..Seen::default() });
    let result = play_exchange(phases, started, context, &mut failures);
    match result {
        Ok(()) => Ok(failures),
        Err(error) => Err(Box::new((failures, error))),
    }
}

fn play_exchange(
    phases: &Phases,
    started: &Started,
    context: &mut Run,
    failures: &mut Vec<Failure>,
) -> Result<(), Error> {
    let mut player = Player {
        exchange: started.plugin.exchange()?,
        chunks: phases.chunks,
        log: 0,
        is_replied: false,
        begun: [false; 2],
    };
    let log = player.new_log(&player.exchange.record().activity);
    failures.extend(differences(&phases.stream_init, &Seen { log, ..Seen::default() }));
    if let Some(phase) = &phases.request_headers {
        let seen = player.headers(Side::Request, &phase.input)?;
        failures.extend(after_headers(phase, &seen));
    }
    player.bodies(Side::Request, &phases.request_body, failures)?;
    if let Some(phase) = &phases.response_headers {
        let seen = player.headers(Side::Response, &phase.input)?;
        failures.extend(after_headers(phase, &seen));
    }
    player.bodies(Side::Response, &phases.response_body, failures)?;
    let mut log = player.log;
    let record = player.exchange.finish()?;
    let last = new_log(&mut log, &record.activity);
    failures.extend(differences(&phases.stream_destroy, &Seen { log: last, ..Seen::default() }));
    context.add_log(&record.activity.log);
    context.add_fuel(&record.activity.callbacks);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

struct Player<'p> {
    exchange: Exchange<'p>,
    chunks: Option<Chunks>,
    /// The number of log lines that have been observed.
    log: usize,
    is_replied: bool,
    /// Whether the headers of the request and of the response have been delivered.
    begun: [bool; 2],
}

impl Player<'_> {
    /// Delivers headers. After a local reply, nothing happens any more.
    fn headers(&mut self, side: Side, headers: &HeaderMap) -> Result<Seen, Error> {
        if self.is_replied {
            return Ok(Seen::default());
        }
        if side == Side::Response {
            self.begin(Side::Request)?;
        }
        let outcome = self.deliver(side, headers.clone())?;
        let record = self.exchange.record();
        let log = self.new_log(&record.activity);
        if let Some(reply) = record.local_reply {
            self.is_replied = true;
            let headers = joined(&reply.headers);
            let body = reply.body.clone();
            return Ok(Seen { headers, body, reply: Some(reply), is_paused: true, log });
        }
        let headers = match side {
            Side::Request => joined(&record.request.headers),
            Side::Response => joined(&record.response.headers),
        };
        Ok(Seen { headers, is_paused: outcome != Outcome::Continue, log, ..Seen::default() })
    }

    fn deliver(&mut self, side: Side, headers: HeaderMap) -> Result<Outcome, Error> {
        match side {
            Side::Request => {
                self.begun[0] = true;
                self.exchange.request_headers(headers, false)
            }
            Side::Response => {
                self.begun[1] = true;
                self.exchange.response_headers(headers, false)
            }
        }
    }

    /// Delivers headers if the suite leaves them out, because no proxy begins with a body or a
    /// response. They belong to no phase.
    fn begin(&mut self, side: Side) -> Result<(), Error> {
        if side == Side::Response {
            self.begin(Side::Request)?;
        }
        let (begun, headers) = match side {
            Side::Request => (self.begun[0], HeaderMap::new()),
            Side::Response => (self.begun[1], HeaderMap::new()),
        };
        if !begun {
            self.deliver(side, headers)?;
            let record = self.exchange.record();
            self.is_replied |= record.local_reply.is_some();
            self.new_log(&record.activity);
        }
        Ok(())
    }

    fn bodies(
        &mut self,
        side: Side,
        phases: &[Phase<Body>],
        failures: &mut Vec<Failure>,
    ) -> Result<(), Error> {
        if !phases.is_empty() {
            self.begin(side)?;
        }
        for (index, phase) in phases.iter().enumerate() {
            let seen = self.body(side, &phase.input.0, index + 1 == phases.len())?;
            failures.extend(differences(&phase.expectations, &seen));
        }
        Ok(())
    }

    /// Delivers a body in chunks. Its log is that of the last chunk, as in the runner of these
    /// suites.
    fn body(&mut self, side: Side, body: &[u8], is_last: bool) -> Result<Seen, Error> {
        let passed = self.passed(side).len();
        let chunks = divide(body, self.chunks);
        let mut seen = Seen::default();
        if self.is_replied {
            return Ok(seen);
        }
        for (index, chunk) in chunks.iter().enumerate() {
            if self.is_replied {
                break;
            }
            if index + 1 == chunks.len() {
                self.new_log(&self.exchange.record().activity);
            }
            let ends = is_last && index + 1 == chunks.len();
            let outcome = match side {
                Side::Request => self.exchange.request_body(chunk, ends)?,
                Side::Response => self.exchange.response_body(chunk, ends)?,
            };
            self.is_replied = outcome == Outcome::LocalReply;
        }
        let record = self.exchange.record();
        seen.log = self.new_log(&record.activity);
        seen.reply = record.local_reply;
        seen.body = self.passed(side).get(passed..).unwrap_or_default().to_vec();
        Ok(seen)
    }

    /// The body that the module has let pass so far.
    fn passed(&self, side: Side) -> Vec<u8> {
        let ExchangeRecord { request, response, .. } = self.exchange.record();
        match side {
            Side::Request => request.body,
            Side::Response => response.body,
        }
    }

    fn new_log(&mut self, activity: &Activity) -> Vec<LogLine> {
        new_log(&mut self.log, activity)
    }
}

fn new_log(mark: &mut usize, activity: &Activity) -> Vec<LogLine> {
    let lines = activity.log.get(*mark..).unwrap_or_default().to_vec();
    *mark = activity.log.len();
    lines
}

/// Each header with all its values, as these suites see headers.
fn joined(headers: &HeaderMap) -> HeaderMap {
    let mut joined = HeaderMap::new();
    for (name, value) in headers.iter() {
        join(&mut joined, &String::from_utf8_lossy(name), value);
    }
    joined
}

fn divide(body: &[u8], chunks: Option<Chunks>) -> Vec<&[u8]> {
    let Some(chunks) = chunks else { return vec![body] };
    if body.is_empty() {
        return vec![body];
    }
    match chunks {
        Chunks::Size(size) => body.chunks(size).collect(),
        Chunks::Number(number) => {
            // The last one gets what is left.
            let size = (body.len() / number).max(1);
            let mut pieces: Vec<&[u8]> = body.chunks(size).take(number - 1).collect();
            let taken = pieces.iter().map(|piece| piece.len()).sum();
            pieces.extend(body.get(taken..).filter(|rest| !rest.is_empty()));
            pieces
        }
    }
}

/// After headers, whether there is a local reply is always compared.
fn after_headers(phase: &Phase<HeaderMap>, seen: &Seen) -> Vec<Failure> {
    let mut failures = differences(&phase.expectations, seen);
    let expects = phase.expectations.iter().any(|it| matches!(it.check, Check::Immediate(_)));
    if !expects && (seen.is_paused || seen.reply.is_some()) {
        let got = match &seen.reply {
            Some(reply) => format!("a local reply with status {}", reply.status),
            None => "the module pauses the stream".to_owned(),
        };
        failures.push(Failure {
            at: phase.at.clone(),
            field: "immediate".to_owned(),
            expected: "no local reply".to_owned(),
            got,
        });
    }
    failures
}

fn differences(expectations: &[Expectation], seen: &Seen) -> Vec<Failure> {
    let difference = |expectation: &Expectation| {
        let (expected, got) = expectation.check.difference(seen)?;
        let Expectation { at, field, .. } = expectation;
        Some(Failure { at: at.clone(), field: field.clone(), expected, got })
    };
    expectations.iter().filter_map(difference).collect()
}

impl Check {
    fn difference(&self, seen: &Seen) -> Option<(String, String)> {
        match self {
            Self::HasHeader(name, value) => {
                let got = seen.headers.get(name);
                let absent = || format!("{name} is absent");
                (got != Some(value)).then(|| {
                    let got = got.map_or_else(absent, |got| format!("{name}: {}", shown(got)));
                    (format!("{name}: {}", shown(value)), got)
                })
            }
            Self::NoHeader(name) => {
                let got = seen.headers.get(name)?;
                Some((format!("{name} is absent"), format!("{name}: {}", shown(got))))
            }
            Self::Line(matcher) => matcher.in_lines("a header", &header_lines(&seen.headers)),
            Self::Body(matcher) => matcher.in_lines("a body", std::slice::from_ref(&seen.body)),
            Self::Log(matcher) => {
                let lines: Vec<_> = seen.log.iter().map(|line| line.message.clone()).collect();
                matcher.in_lines("a line", &lines)
            }
            Self::Immediate(immediate) => immediate.difference(seen.reply.as_ref()),
        }
    }
}

fn header_lines(headers: &HeaderMap) -> Vec<Vec<u8>> {
    headers.iter().map(|(name, value)| [name, b": ", value].concat()).collect()
}

impl StringMatcher {
    fn in_lines(&self, what: &str, lines: &[Vec<u8>]) -> Option<(String, String)> {
        if lines.iter().any(|line| self.matcher.holds(line)) != self.invert {
            return None;
        }
        let is = match self.matcher {
            Matcher::Exact(_) => "is ",
            _ => "",
        };
        let no = if self.invert { "not " } else { "" };
        let got: Vec<_> = lines.iter().map(|line| shown(line)).collect();
        let got = if got.is_empty() { "(none)".to_owned() } else { got.join(" | ") };
        Some((format!("{no}{what} that {is}{}", self.matcher), got))
    }
}

impl Immediate {
    fn difference(&self, reply: Option<&LocalReply>) -> Option<(String, String)> {
        let status = |status: u32| format!("status {status}");
        let grpc = |status: u32| format!("gRPC status {status}");
        let details = |details: &[u8]| format!("details {}", shown(details));
        let expected = [
            self.http_status.map(status),
            self.grpc_status.map(grpc),
            self.details.as_deref().map(details),
        ];
        let expected: Vec<String> = expected.into_iter().flatten().collect();
        let expected = if expected.is_empty() {
            "a local reply".to_owned()
        } else {
            format!("a local reply with {}", expected.join(", "))
        };
        let Some(reply) = reply else { return Some((expected, "no local reply".to_owned())) };
        let holds = self.http_status.is_none_or(|status| status == reply.status)
            && self.grpc_status.is_none_or(|status| Some(status) == reply.grpc_status)
            && self.details.as_ref().is_none_or(|details| *details == reply.details);
        let got = [
            Some(status(reply.status)),
            reply.grpc_status.map(grpc),
            Some(details(&reply.details)),
        ];
        let got: Vec<String> = got.into_iter().flatten().collect();
        (!holds).then(|| (expected, format!("a local reply with {}", got.join(", "))))
    }
}
