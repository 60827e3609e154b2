//! Plays the steps of a case, and observes what the module does in each.

use proxy_wasm_test::{
    Activity, CallbackRun, Error, Exchange, ExchangeRecord, HostCall, HttpCall, LogLine, Metric,
    Outcome,
};

use super::case::{Action, Parts, Step};
use super::plugin::Started;

/// What the module did in one step.
#[derive(Default)]
pub(super) struct Seen {
    /// What became of the request, if there was one.
    pub(super) request: Option<Outcome>,
    /// What became of the response, if there was one.
    pub(super) response: Option<Outcome>,
    pub(super) record: ExchangeRecord,
    pub(super) log: Vec<LogLine>,
    pub(super) host_calls: Vec<HostCall>,
    pub(super) callbacks: Vec<CallbackRun>,
    pub(super) metrics: Vec<Metric>,
    pub(super) calls: Vec<HttpCall>,
    /// Whether the module rejected the new configuration of this step.
    pub(super) is_rejected: bool,
}

/// Plays steps on one plugin.
pub(super) struct Player<'s> {
    started: &'s Started,
    open: Option<Open<'s>>,
    /// What has been observed of the root contexts.
    root: Mark,
    /// The number of HTTP calls that have been observed.
    calls: usize,
}

/// An exchange that has not ended.
struct Open<'s> {
    exchange: Exchange<'s>,
    response: &'s Parts,
    is_answered: bool,
    seen: Mark,
}

/// How much of an activity has been observed.
#[derive(Clone, Copy, Default)]
struct Mark {
    log: usize,
    host_calls: usize,
    callbacks: usize,
}

impl Mark {
    /// What is new in an activity.
    fn news(&mut self, activity: &Activity, seen: &mut Seen) {
        seen.log.extend(activity.log.iter().skip(self.log).cloned());
        seen.host_calls.extend(activity.host_calls.iter().skip(self.host_calls).cloned());
        seen.callbacks.extend(activity.callbacks.iter().skip(self.callbacks).copied());
        *self = Self {
            log: activity.log.len(),
            host_calls: activity.host_calls.len(),
            callbacks: activity.callbacks.len(),
        };
    }
}

impl<'s> Player<'s> {
    /// A player for a plugin that has just started. The log of the start belongs to the first
    /// step, its fuel and host calls to none.
    pub(super) fn new(started: &'s Started) -> Self {
        let mut root = Mark::default();
        root.news(&started.plugin.activity(), &mut Seen::default());
        root.log = 0;
        Self { started, open: None, root, calls: 0 }
    }

    pub(super) fn play(&mut self, step: &'s Step) -> Result<Seen, Error> {
        let mut seen = Seen::default();
        // At the first step, the log of the start.
        self.root.news(&self.started.plugin.activity(), &mut seen);
        match &step.action {
            Action::Exchange(request, response) => {
                self.end(&mut seen)?;
                self.begin(request, response)?;
            }
            Action::Tick => self.started.plugin.tick()?,
            Action::Advance(by) => self.started.plugin.advance(*by)?,
            Action::Reload(configuration) => {
                seen.is_rejected = !self.started.plugin.reload(configuration)?;
            }
            Action::Start => {}
        }
        self.go_on(&mut seen)?;
        self.root.news(&self.started.plugin.activity(), &mut seen);
        seen.metrics = self.started.plugin.metrics();
        let calls = self.started.calls();
        seen.calls = calls.get(self.calls..).unwrap_or_default().to_vec();
        self.calls = calls.len();
        Ok(seen)
    }

    /// Ends the exchange that is still open, if there is one.
    pub(super) fn end(&mut self, seen: &mut Seen) -> Result<(), Error> {
        let Some(Open { exchange, seen: mut mark, .. }) = self.open.take() else { return Ok(()) };
        let record = exchange.finish()?;
        mark.news(&record.activity, seen);
        seen.record = record;
        Ok(())
    }

    fn begin(&mut self, request: &Parts, response: &'s Parts) -> Result<(), Error> {
        let mut exchange = self.started.plugin.exchange()?;
        let Parts { headers, pieces, trailers } = request;
        let ends = pieces.is_empty() && trailers.is_none();
        exchange.request_headers(headers.clone(), ends)?;
        for (index, piece) in pieces.iter().enumerate() {
            exchange.request_body(piece, trailers.is_none() && index + 1 == pieces.len())?;
        }
        if let Some(trailers) = trailers {
            exchange.request_trailers(trailers.clone())?;
        }
        self.open = Some(Open { exchange, response, is_answered: false, seen: Mark::default() });
        Ok(())
    }

    /// Delivers the response as soon as the request has gone on, and ends the exchange with it.
    fn go_on(&mut self, seen: &mut Seen) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if !open.is_answered && open.exchange.request_outcome() == Outcome::Continue {
            open.is_answered = true;
            open.respond()?;
        }
        let request = open.exchange.request_outcome();
        seen.request = Some(request);
        seen.response = open.is_answered.then(|| open.exchange.response_outcome());
        let is_over = match seen.response {
            Some(response) => response != Outcome::Pause,
            None => matches!(request, Outcome::LocalReply | Outcome::Closed),
        };
        if is_over {
            return self.end(seen);
        }
        let record = open.exchange.record();
        open.seen.news(&record.activity, seen);
        seen.record = record;
        Ok(())
    }
}

impl Open<'_> {
    fn respond(&mut self) -> Result<(), Error> {
        let Parts { headers, pieces, trailers } = self.response;
        let ends = pieces.is_empty() && trailers.is_none();
        self.exchange.response_headers(headers.clone(), ends)?;
        for (index, piece) in pieces.iter().enumerate() {
            self.exchange.response_body(piece, trailers.is_none() && index + 1 == pieces.len())?;
        }
        if let Some(trailers) = trailers {
            self.exchange.response_trailers(trailers.clone())?;
        }
        Ok(())
    }
}
