//! `ingressctl explain-code`.

use std::ffi::OsStr;
use std::fmt::Write;
use std::process::ExitCode;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, Error};

use super::print;
use crate::finding::{Code, Group, quote};
use crate::manifest::nearest;

/// Explain what the code of a finding means
///
/// Each finding ends with its code, as in [service-not-found]. Prints what is wrong,
/// what to do, and an example; without a code, lists them all. The same is in
/// docs/findings.md.
#[derive(Debug, Args)]
pub(crate) struct ExplainCode {
    /// The code, without brackets
    #[arg(value_name = "CODE", value_parser = CodeParser, hide_possible_values = true)]
    code: Option<Code>,
}

impl ExplainCode {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        print(&self.code.map_or_else(list, entry))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn entry(code: Code) -> String {
    let (severity, summary) = (code.severity(), code.summary());
    let mut text = format!("{severity}[{code}]: {summary}\n\n{}\n", code.explanation());
    if !code.example().is_empty() {
        text.extend(["\n", code.example(), "\n"]);
    }
    text
}

fn list() -> String {
    let width = Code::ALL.iter().map(|code| code.as_str().len()).max().unwrap_or_default();
    let mut text = String::new();
    for group in Group::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", group.title());
        for code in group.codes() {
            let _ = writeln!(text, "  {:width$}  {}", code.as_str(), code.summary());
        }
    }
    text
}

/// Replaces clap's parser, whose error would list all codes.
#[derive(Clone)]
struct CodeParser;

impl TypedValueParser for CodeParser {
    type Value = Code;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Code, Error> {
        let name = value.to_string_lossy();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        Code::named(name).ok_or_else(|| {
            let known: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
            let remedy = match nearest(name, &known) {
                Some(nearest) => format!("did you mean {}?", quote(nearest)),
                None => "ingressctl explain-code lists them all".into(),
            };
            let message = format!("{} is not the code of a finding; {remedy}\n", quote(name));
            Error::raw(ErrorKind::InvalidValue, message).with_cmd(command)
        })
    }

    /// For shell completion.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let value = |code: &Code| PossibleValue::new(code.as_str()).help(code.summary());
        Some(Box::new(Code::ALL.iter().map(value)))
    }
}
