//! `ingressctl completions`.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::print_bytes;

/// Print a script with which a shell completes the commands and flags
///
///   source <(ingressctl completions bash)            # in ~/.bashrc
///   ingressctl completions zsh > ~/.zfunc/_ingressctl
///   ingressctl completions fish > ~/.config/fish/completions/ingressctl.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the script for a command line.
    pub(crate) fn run(self, mut cli: Command) -> anyhow::Result<ExitCode> {
        let name = cli.get_name().to_owned();
        let mut script = Vec::new();
        generate(self.shell, &mut cli, name, &mut script);
        print_bytes(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
