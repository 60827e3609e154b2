//! The results of a run.

use proxy_wasm_test::{CallbackRun, LogLine};
use serde::Serialize;

use crate::testing::{Context, TestResult};

/// The results of all cases.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) tests: Vec<TestResult<Run>>,
}

/// What the module did in a case.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Run {
    /// The lines of the log, with their levels.
    pub(crate) log: Vec<String>,
    /// The functions that ran when the module failed, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stack: Vec<String>,
    /// The HTTP calls of the module that got no answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unanswered: Vec<String>,
    /// The fuel that the callbacks used after the start.
    pub(crate) fuel: u64,
    pub(crate) callbacks: Vec<CallbackFuel>,
}

/// The fuel that all runs of a callback used.
#[derive(Debug, Serialize)]
pub(crate) struct CallbackFuel {
    pub(crate) name: &'static str,
    pub(crate) runs: u64,
    pub(crate) fuel: u64,
}

impl Report {
    pub(super) fn new(tests: Vec<TestResult<Run>>) -> Self {
        let passed = tests.iter().filter(|test| test.passed).count();
        Self { passed, failed: tests.len() - passed, tests }
    }
}

impl Run {
    pub(super) fn add_log(&mut self, log: &[LogLine]) {
        self.log.extend(log.iter().map(ToString::to_string));
    }

    pub(super) fn add_fuel(&mut self, callbacks: &[CallbackRun]) {
        for CallbackRun { name, fuel, .. } in callbacks {
            self.fuel += fuel;
            match self.callbacks.iter_mut().find(|known| known.name == *name) {
                Some(known) => {
                    known.runs += 1;
                    known.fuel += fuel;
                }
                None => self.callbacks.push(CallbackFuel { name, runs: 1, fuel: *fuel }),
            }
        }
    }
}

impl Context for Run {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut list = |title: &str, texts: &[String]| {
            if !texts.is_empty() {
                lines.push(format!("{title}:"));
                let texts = texts.iter().flat_map(|text| text.lines());
                lines.extend(texts.map(|text| format!("  {text}")));
            }
        };
        list("log", &self.log);
        list("stack", &self.stack);
        list("callouts without an answer", &self.unanswered);
        lines
    }
}
