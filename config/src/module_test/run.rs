//! Runs cases.

use std::time::Instant;

use proxy_wasm_test::{Error, ErrorKind, Module};

use super::case::{Case, Cases, Script, Step};
use super::check::Check;
use super::compare::{ACCEPTS, REJECTS, at_most, compare};
use super::phases;
use super::plugin::{Started, start};
use super::report::{Report, Run};
use super::steps::{Player, Seen};
use crate::finding::Location;
use crate::testing::{Failure, TestResult};

/// Limits for all cases.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// The most fuel that the callbacks of a case may use after the start.
    pub(crate) fuel: Option<u64>,
}

/// Runs all cases, each with a plugin of its own.
pub(crate) fn run(cases: &Cases, module: &Module, limits: Limits) -> Report {
    Report::new(cases.cases.iter().map(|case| run_case(case, module, limits)).collect())
}

fn run_case(case: &Case, module: &Module, limits: Limits) -> TestResult<Run> {
    let start = Instant::now();
    let mut context = Run::default();
    let mut failures = play(case, module, &mut context);
    if let Some(most) = limits.fuel {
        let over = at_most(most, context.fuel);
        failures
            .extend(over.map(|(expected, got)| failure(&case.at, "fuel budget", expected, got)));
    }
    let (name, at, seconds) = (case.name.clone(), case.at.clone(), start.elapsed().as_secs_f64());
    TestResult { name, at, passed: failures.is_empty(), failures, context, seconds }
}

fn play(case: &Case, module: &Module, context: &mut Run) -> Vec<Failure> {
    let started = match start(module, &case.setup) {
        Ok(started) if case.setup.starts => started,
        Ok(started) => {
            context.add_log(&started.plugin.activity().log);
            return vec![failure(&case.at, "configuration", REJECTS.into(), ACCEPTS.into())];
        }
        Err(error) if is_rejection(&error) && case.setup.starts => {
            context.add_log(error.log());
            return vec![failure(&case.at, "configuration", ACCEPTS.into(), REJECTS.into())];
        }
        Err(error) if !case.setup.starts => {
            // A module that fails rejects the configuration, too. The log may be compared.
            context.add_log(error.log());
            let seen = Seen { log: error.log().to_vec(), ..Seen::default() };
            return match &case.script {
                Script::Steps(steps) => {
                    steps.first().map_or(Vec::new(), |it| differences(it, &seen))
                }
                Script::Phases(_) => Vec::new(),
            };
        }
        Err(error) => return vec![module_failed(&case.at, &error, context)],
    };
    let failures = match &case.script {
        Script::Steps(steps) => play_steps(case, steps, &started, context),
        Script::Phases(phases) => match phases::play(phases, &started, context) {
            Ok(failures) => failures,
            Err(failed) => {
                let (mut failures, error) = *failed;
                failures.push(module_failed(&case.at, &error, context));
                failures
            }
        },
    };
    context.unanswered = started
        .plugin
        .http_calls()
        .iter()
        .map(|call| {
            let path = call.request.headers.get(":path").unwrap_or_default();
            format!("{}: {}", call.cluster.escape_ascii(), path.escape_ascii())
        })
        .collect();
    failures
}

/// Whether the module has said no, in one of the two callbacks in which it can.
fn is_rejection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConfigurationRefused | ErrorKind::StartRefused)
}

fn play_steps(case: &Case, steps: &[Step], started: &Started, context: &mut Run) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut player = Player::new(started);
    for step in steps {
        match player.play(step) {
            Ok(seen) => {
                context.add_log(&seen.log);
                context.add_fuel(&seen.callbacks);
                let expects =
                    step.expectations.iter().any(|it| matches!(it.check, Check::Accepted(_)));
                if seen.is_rejected && !expects {
                    let (expected, got) = (ACCEPTS, REJECTS);
                    failures.push(failure(&step.at, "reload", expected.into(), got.into()));
                }
                failures.extend(differences(step, &seen));
            }
            Err(error) => {
                failures.push(module_failed(&step.at, &error, context));
                return failures;
            }
        }
    }
    let mut seen = Seen::default();
    if let Err(error) = player.end(&mut seen) {
        failures.push(module_failed(&case.at, &error, context));
    }
    context.add_log(&seen.log);
    context.add_fuel(&seen.callbacks);
    failures
}

fn differences(step: &Step, seen: &Seen) -> Vec<Failure> {
    step.expectations.iter().filter_map(|expectation| compare(expectation, seen)).collect()
}

fn module_failed(at: &Location, error: &Error, context: &mut Run) -> Failure {
    context.add_log(error.log());
    context.stack = error.stack().to_vec();
    failure(at, "module", "it runs without failing".to_owned(), error.kind().to_string())
}

fn failure(at: &Location, field: &str, expected: String, got: String) -> Failure {
    Failure { at: at.clone(), field: field.to_owned(), expected, got }
}
