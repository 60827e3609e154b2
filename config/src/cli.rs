//! The command line of `ingressctl`.

mod hints;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    InvalidFile, check, compile, controller, demo, explain, module, rbac, serve, table, test,
};

/// A Kubernetes Ingress for any stock Envoy: compiles manifests to a route
/// table and an Envoy configuration, serves them, explains what happens to a
/// request, and tests routes.
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
    Test(test::Test),
    Controller(Box<controller::Controller>),
    Rbac(Box<rbac::Rbac>),
    Module(module::Module),
    Table(table::Table),
}

impl Cli {
    /// What this process was called with.
    ///
    /// Ends the process where that is help, or wrong: with 2, and what to write.
    pub fn from_arguments() -> Self {
        let words: Vec<OsString> = env::args_os().collect();
        Self::try_parse_from(&words).unwrap_or_else(|error| hints::with_hint(error, &words).exit())
    }

    /// Does what the command line says. What is wrong in the manifests are
    /// findings, printed, and shown by the exit code.
    pub fn run(self) -> ExitCode {
        let failure = self.command.failure();
        self.command.run().unwrap_or_else(|error| {
            // It begins with its place, for editors.
            let is_placed = error.is::<InvalidFile>();
            eprintln!("{}{error:#}", if is_placed { "" } else { "ingressctl: " });
            failure
        })
    }
}

/// Of commands that tell by 1 that something is wrong in the manifests.
const COULD_NOT_RUN: u8 = 3;

impl Command {
    /// The exit code where it could not do what it is for.
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
            Self::Test(test) => test.run(),
            Self::Controller(controller) => controller.run(),
            Self::Rbac(rbac) => rbac.run(),
            Self::Module(module) => module.run(),
            Self::Table(table) => table.run(),
        }
    }
}
