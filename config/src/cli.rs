//! The command line of `ingressctl`.

mod hints;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::commands::{
    InvalidFile, check, compile, completions, controller, demo, explain, explain_code, module,
    print, rbac, serve, table, test, ui,
};
use crate::version::Version;

/// A Kubernetes Ingress for any unmodified Envoy: compiles manifests to a route
/// table and an Envoy configuration, serves them, explains how requests are
/// routed, and tests routes.
#[derive(Debug, Parser)]
#[command(
    name = "ingressctl",
    max_term_width = 100,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    override_usage = "ingressctl <COMMAND>\n       ingressctl --version [-o json]"
)]
pub struct Cli {
    /// Print the version of ingressctl, its commit, the digest of the Wasm module in it,
    /// the version of the route table, and the version of Envoy it was tested with
    #[arg(short = 'V', long)]
    version: bool,
    /// Print the version as text or JSON
    #[arg(short, long, value_enum, default_value = "text", requires = "version")]
    output: Format,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Check(check::Check),
    Compile(compile::Compile),
    Explain(explain::Explain),
    Ui(ui::Ui),
    ExplainCode(explain_code::ExplainCode),
    Test(test::Test),
    Controller(Box<controller::Controller>),
    Rbac(Box<rbac::Rbac>),
    Module(module::Module),
    Table(table::Table),
    Completions(completions::Completions),
}

impl Cli {
    /// Parses the arguments of this process.
    ///
    /// Exits after printing help, and with 2 and a hint if the arguments are wrong.
    pub fn from_arguments() -> Self {
        let words: Vec<OsString> = env::args_os().collect();
        let command = called_as(Self::command(), words.first());
        let matches = command.try_get_matches_from(&words);
        let parsed = matches.and_then(|matches| Self::from_arg_matches(&matches));
        parsed.unwrap_or_else(|error| hints::with_hint(error, &words).exit())
    }

    /// Runs the command. Errors in manifests are printed as findings, and set the
    /// exit code.
    pub fn run(self) -> ExitCode {
        let failure = self.command.as_ref().map_or(ExitCode::FAILURE, Command::failure);
        let result = match self.command {
            Some(command) => command.run(),
            None => print_version(self.output),
        };
        result.unwrap_or_else(|error| {
            // It begins with its position, for editors.
            let is_placed = error.is::<InvalidFile>();
            eprintln!("{}{error:#}", if is_placed { "" } else { "ingressctl: " });
            failure
        })
    }
}

fn print_version(format: Format) -> anyhow::Result<ExitCode> {
    let version = Version::current();
    print(&match format {
        Format::Text => version.to_string(),
        Format::Json => serde_json::to_string_pretty(&version)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The command line under the name of a plugin of kubectl, if it was called as one.
fn called_as(command: clap::Command, program: Option<&OsString>) -> clap::Command {
    let name = program.and_then(|path| Path::new(path).file_name()?.to_str());
    match name.and_then(|name| name.strip_prefix("kubectl-")) {
        Some(plugin) => command
            .bin_name(format!("kubectl {plugin}"))
            .override_usage(format!("kubectl {plugin} <COMMAND>")),
        None => command,
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
            Self::Ui(ui) => ui.run(),
            Self::ExplainCode(explain) => explain.run(),
            Self::Test(test) => test.run(),
            Self::Controller(controller) => controller.run(),
            Self::Rbac(rbac) => rbac.run(),
            Self::Module(module) => module.run(),
            Self::Table(table) => table.run(),
            Self::Completions(completions) => completions.run(Cli::command()),
        }
    }
}
