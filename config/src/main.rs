//! The command `ingressctl`.

use std::process::ExitCode;

use clap::Parser;
use ingressctl::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ingressctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
