//! The command line of `ingressctl`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    check, compile, controller, demo, explain, module, rbac, serve, table, test,
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
    /// Does what the command line says.
    ///
    /// # Errors
    /// Where something outside the manifests is wrong; what is wrong in them
    /// are findings, printed, and shown by the exit code.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Demo(demo) => demo.run(),
            Command::Serve(serve) => serve.run(),
            Command::Check(check) => check.run(),
            Command::Compile(compile) => compile.run(),
            Command::Explain(explain) => explain.run(),
            Command::Test(test) => test.run(),
            Command::Controller(controller) => controller.run(),
            Command::Rbac(rbac) => rbac.run(),
            Command::Module(module) => module.run(),
            Command::Table(table) => table.run(),
        }
    }
}
