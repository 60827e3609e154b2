//! Starts a plugin for a case.

use std::sync::{Arc, Mutex, PoisonError};

use proxy_wasm_test::{Answer, Error, HttpCall, Module, Options, Plugin};

use super::case::{Callout, CalloutAnswer, Setup};

/// A plugin, and the HTTP calls that its module has made.
pub(super) struct Started {
    pub(super) plugin: Plugin,
    calls: Arc<Mutex<Vec<HttpCall>>>,
}

impl Started {
    /// The HTTP calls so far, in order.
    pub(super) fn calls(&self) -> Vec<HttpCall> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts a plugin and configures it.
pub(super) fn start(module: &Module, setup: &Setup) -> Result<Started, Error> {
    let calls = Arc::<Mutex<Vec<HttpCall>>>::default();
    let options = with_answers(options(setup), &setup.callouts, &calls);
    Ok(Started { plugin: Plugin::with_options(module, options)?, calls })
}

fn options(setup: &Setup) -> Options {
    let mut options = Options::default()
        .configuration(setup.configuration.as_deref().unwrap_or_default())
        .log_level(setup.log_level)
        .vm_configuration(setup.vm_configuration.as_slice());
    if let Some(id) = &setup.root_id {
        options = options.root_id(id.as_str());
    }
    if let Some(time) = setup.time {
        options = options.fixed_time(time);
    }
    for (path, value) in &setup.properties {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        options = options.property(&path, value.as_slice());
    }
    for (name, value) in &setup.environment {
        options = options.environment(name.as_str(), value.as_slice());
    }
    if let Some(clusters) = &setup.clusters {
        options = options.clusters(clusters.iter().map(String::as_str));
    }
    options
}

/// Answers the HTTP calls as the case says, and records them. A call that the case does not
/// mention gets no answer.
fn with_answers(
    options: Options,
    callouts: &[Callout],
    calls: &Arc<Mutex<Vec<HttpCall>>>,
) -> Options {
    let (callouts, calls) = (callouts.to_vec(), Arc::clone(calls));
    options.answer_calls(move |call| {
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        let answer = callouts.iter().find(|callout| callout.is_about(call));
        answer.map_or(Answer::Later, |callout| callout.answer.clone().into())
    })
}

impl Callout {
    fn is_about(&self, call: &HttpCall) -> bool {
        let path = call.request.headers.get(":path");
        self.cluster.as_ref().is_none_or(|cluster| cluster.as_bytes() == call.cluster)
            && self.path.as_ref().is_none_or(|wanted| path == Some(wanted.as_bytes()))
    }
}

impl From<CalloutAnswer> for Answer {
    fn from(answer: CalloutAnswer) -> Self {
        match answer {
            CalloutAnswer::Respond(message) => Self::Response(message),
            CalloutAnswer::Fail => Self::Failure,
            CalloutAnswer::TimeOut => Self::Timeout,
            CalloutAnswer::Unavailable => Self::Unavailable,
        }
    }
}
