//! Compares what a module did with what is expected.

use std::fmt::Write as _;

use proxy_wasm_test::{HeaderMap, HttpCall, LocalReply, Outcome, Sent};

use super::check::{CalloutCheck, Check, Expectation, HeaderTest, Section, Side};
use super::matcher::{Matcher, shown};
use super::steps::Seen;
use crate::testing::Failure;

pub(super) const ACCEPTS: &str = "the module accepts it";
pub(super) const REJECTS: &str = "the module rejects it";
const NONE: &str = "(none)";
/// The most log lines in one difference.
const LINES: usize = 5;

/// The difference between a step and an expectation.
pub(super) fn compare(expectation: &Expectation, seen: &Seen) -> Option<Failure> {
    let (expected, got) = difference(&expectation.check, seen)?;
    let Expectation { at, field, .. } = expectation;
    Some(Failure { at: at.clone(), field: field.clone(), expected, got })
}

/// The expected and the actual value, if they differ.
fn difference(check: &Check, seen: &Seen) -> Option<(String, String)> {
    let record = &seen.record;
    match check {
        Check::Accepted(wanted) => {
            let name = |accepted| if accepted { ACCEPTS } else { REJECTS };
            differ(name(*wanted), name(!seen.is_rejected))
        }
        Check::RequestOutcome(outcome) => outcomes(*outcome, seen.request),
        Check::ResponseOutcome(outcome) => outcomes(*outcome, seen.response),
        Check::Status(status) => {
            let got = record.response.headers.get_str(":status");
            let got = got.filter(|_| record.response_sent != Sent::Nothing);
            differ(&status.to_string(), got.unwrap_or(NONE))
        }
        Check::Header(section, name, test) => {
            let map = section_of(*section, seen);
            let values = map.map_or(Vec::new(), |map| map.get_all(name).collect());
            value(name, test, &values)
        }
        Check::Body(Side::Request, matcher) => text(matcher, &record.request.body),
        Check::Body(Side::Response, matcher) => text(matcher, &record.response.body),
        Check::LocalReply(wanted) => {
            let name = |is_there| if is_there { "a local reply" } else { "no local reply" };
            let is_there = record.local_reply.is_some();
            differ(name(*wanted), name(is_there))
        }
        Check::ReplyStatus(status) => {
            reply_number(*status, record.local_reply.as_ref().map(|reply| reply.status))
        }
        Check::ReplyGrpcStatus(status) => {
            reply_number(*status, record.local_reply.as_ref().and_then(|reply| reply.grpc_status))
        }
        Check::ReplyDetails(matcher) => reply_text(matcher, seen, |reply| &reply.details),
        Check::ReplyBody(matcher) => reply_text(matcher, seen, |reply| &reply.body),
        Check::Log(matcher) => {
            (!matcher.holds(&seen.log)).then(|| (matcher.to_string(), log(seen)))
        }
        Check::Metric(name, expected) => {
            let metric = seen.metrics.iter().find(|metric| metric.name == name.as_bytes());
            let got = metric.map_or(NONE.to_owned(), |metric| metric.value.to_string());
            differ(&expected.to_string(), &got)
        }
        Check::HostCalls(name, most) => {
            let calls = seen.host_calls.iter().filter(|call| call.name == name).count();
            at_most(*most, u64::try_from(calls).unwrap_or(u64::MAX))
        }
        Check::Fuel(most) => at_most(*most, seen.callbacks.iter().map(|run| run.fuel).sum()),
        Check::Property(path, test) => {
            let parts: Vec<&str> = path.iter().map(String::as_str).collect();
            let values: Vec<&[u8]> = record.property(&parts).into_iter().collect();
            value(&path.join("."), test, &values)
        }
        Check::Callouts(checks) => callouts(checks, &seen.calls),
    }
}

fn differ(expected: &str, got: &str) -> Option<(String, String)> {
    (expected != got).then(|| (expected.to_owned(), got.to_owned()))
}

pub(super) fn at_most(most: u64, got: u64) -> Option<(String, String)> {
    (got > most).then(|| (format!("at most {most}"), got.to_string()))
}

fn text(matcher: &Matcher, text: &[u8]) -> Option<(String, String)> {
    (!matcher.holds(text)).then(|| (matcher.to_string(), shown(text)))
}

fn outcomes(expected: Outcome, got: Option<Outcome>) -> Option<(String, String)> {
    let name = |outcome| match outcome {
        Outcome::Continue => "continue",
        Outcome::Pause => "pause",
        Outcome::LocalReply => "local_reply",
        Outcome::Closed => "closed",
        _ => "unknown",
    };
    differ(name(expected), got.map_or(NONE, name))
}

fn section_of(section: Section, seen: &Seen) -> Option<&HeaderMap> {
    let record = &seen.record;
    match section {
        Section::Headers(Side::Request) => Some(&record.request.headers),
        Section::Headers(Side::Response) => Some(&record.response.headers),
        Section::Trailers(Side::Request) => record.request.trailers.as_ref(),
        Section::Trailers(Side::Response) => record.response.trailers.as_ref(),
        Section::Reply => record.local_reply.as_ref().map(|reply| &reply.headers),
    }
}

fn value(name: &str, test: &HeaderTest, values: &[&[u8]]) -> Option<(String, String)> {
    let joined = values.join(&b',');
    let holds = match test {
        HeaderTest::Absent => values.is_empty(),
        HeaderTest::Present => !values.is_empty(),
        HeaderTest::Is(matcher) => !values.is_empty() && matcher.holds(&joined),
        HeaderTest::All(wanted) => {
            wanted.len() == values.len()
                && wanted.iter().zip(values).all(|(wanted, value)| wanted.as_bytes() == *value)
        }
    };
    if holds {
        return None;
    }
    let list = |values: &[String]| format!("{name}: [{}]", values.join(", "));
    let expected = match test {
        HeaderTest::Absent => format!("{name} is absent"),
        HeaderTest::Present => format!("{name} is present"),
        HeaderTest::Is(Matcher::Exact(wanted)) => format!("{name}: {}", shown(wanted)),
        HeaderTest::Is(matcher) => format!("{name} {matcher}"),
        HeaderTest::All(wanted) => list(wanted),
    };
    let got = match (test, values) {
        (_, []) => format!("{name} is absent"),
        (HeaderTest::All(_), values) => {
            list(&values.iter().map(|value| shown(value)).collect::<Vec<_>>())
        }
        _ => format!("{name}: {}", shown(&joined)),
    };
    Some((expected, got))
}

fn reply_number(expected: u32, got: Option<u32>) -> Option<(String, String)> {
    differ(&expected.to_string(), &got.map_or(NONE.to_owned(), |got| got.to_string()))
}

fn reply_text(
    matcher: &Matcher,
    seen: &Seen,
    part: fn(&LocalReply) -> &Vec<u8>,
) -> Option<(String, String)> {
    match &seen.record.local_reply {
        Some(reply) => text(matcher, part(reply)),
        None => Some((matcher.to_string(), NONE.to_owned())),
    }
}

/// The end of the log, on one line.
fn log(seen: &Seen) -> String {
    let skipped = seen.log.len().saturating_sub(LINES);
    let lines: Vec<_> = seen.log.iter().skip(skipped).map(ToString::to_string).collect();
    match (lines.is_empty(), skipped) {
        (true, _) => "no log".to_owned(),
        (false, 0) => lines.join(" | "),
        (false, skipped) => format!("({skipped} lines) | {}", lines.join(" | ")),
    }
}

fn callouts(checks: &[CalloutCheck], calls: &[HttpCall]) -> Option<(String, String)> {
    let holds = checks.len() == calls.len()
        && checks.iter().zip(calls).all(|(check, call)| check.holds(call));
    if holds {
        return None;
    }
    let expected: Vec<_> = checks.iter().map(CalloutCheck::shown).collect();
    let got: Vec<_> = calls.iter().map(shown_call).collect();
    let list = |texts: Vec<String>| {
        if texts.is_empty() { "no callouts".to_owned() } else { texts.join("; ") }
    };
    Some((list(expected), list(got)))
}

impl CalloutCheck {
    fn holds(&self, call: &HttpCall) -> bool {
        let header = |(name, test): &(String, HeaderTest)| {
            let values: Vec<_> = call.request.headers.get_all(name).collect();
            value(name, test, &values).is_none()
        };
        self.cluster.as_ref().is_none_or(|cluster| cluster.holds(&call.cluster))
            && self.headers.iter().all(header)
            && self.body.as_ref().is_none_or(|body| body.holds(&call.request.body))
    }

    fn shown(&self) -> String {
        let mut text = match &self.cluster {
            Some(cluster) => format!("to {cluster}"),
            None => "to any cluster".to_owned(),
        };
        for (name, test) in &self.headers {
            // No value can equal this, so the expectation is always shown.
            let expected = value(name, test, &[]).map(|(expected, _)| expected);
            let expected = expected.unwrap_or_else(|| format!("{name} is absent"));
            let _ = write!(text, ", {expected}");
        }
        if let Some(body) = &self.body {
            let _ = write!(text, ", body {body}");
        }
        text
    }
}

fn shown_call(call: &HttpCall) -> String {
    let mut text = format!("to {}", shown(&call.cluster));
    for (name, value) in call.request.headers.iter() {
        let _ = write!(text, ", {}: {}", shown(name), shown(value));
    }
    if !call.request.body.is_empty() {
        let _ = write!(text, ", body {}", shown(&call.request.body));
    }
    text
}
