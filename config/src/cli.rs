//! The command line of `ingressctl`.

mod hints;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    InvalidFile, check, compile, controller, demo, explain, explain_code, module, rbac, serve,
    table, test,
};

/// A Kubernetes Ingress for any unmodified Envoy: compiles manifests to a route
/// table and an Envoy configuration, serves them, explains how requests are
/// routed, and tests routes.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Check(check::Check),
    Compile(compile::Compile),
    Explain(explain::Explain),
    ExplainCode(explain_code::ExplainCode),
    Test(test::Test),
    Controller(Box<controller::Controller>),
    Rbac(Box<rbac::Rbac>),
    Module(module::Module),
    Table(table::Table),
}

impl Cli {
    /// Parses the arguments of this process.
    ///
    /// Exits after printing help, and with 2 and a hint if the arguments are wrong.
    pub fn from_arguments() -> Self {
        let words: Vec<OsString> = env::args_os().collect();
        Self::try_parse_from(&words).unwrap_or_else(|error| hints::with_hint(error, &words).exit())
    }

    /// Runs the command. Errors in manifests are printed as findings, and set the
    /// exit code.
    pub fn run(self) -> ExitCode {
        let failure = self.command.failure();
        self.command.run().unwrap_or_else(|error| {
            // It begins with its position, for editors.
            let is_placed = error.is::<InvalidFile>();
            eprintln!("{}{error:#}", if is_placed { "" } else { "ingressctl: " });
            failure
        })
    }
}

/// The exit code of commands where 1 means errors in the manifests.
const COULD_NOT_RUN: u8 = 3;

impl Command {
    /// The exit code if the command fails.
    fn failure(&self) -> ExitCode {
        match self {
            Self::Check(_) | Self::Compile(_) => ExitCode::from(COULD_NOT_RUN),
            _ => ExitCode::FAILURE,
        }
    }

    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(demo) => demo.run(),
            Self::Serve(serve) => serve.run(),
            Self::Check(check) => check.run(),
            Self::Compile(compile) => compile.run(),
            Self::Explain(explain) => explain.run(),
            Self::ExplainCode(explain) => explain.run(),
            Self::Test(test) => test.run(),
            Self::Controller(controller) => controller.run(),
            Self::Rbac(rbac) => rbac.run(),
            Self::Module(module) => module.run(),
            Self::Table(table) => table.run(),
        }
    }
}
