//! What a release needs beyond `cargo build`: `cargo xtask --help`.

mod binary;
mod chart;
mod dist;
mod image;
mod krew;
mod package;
mod sbom;
mod step;
mod verify;

use std::process::ExitCode;

use clap::Parser;

/// Tasks of a release
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
enum Task {
    Dist(dist::Dist),
}

fn main() -> ExitCode {
    let Task::Dist(dist) = Task::parse();
    match dist.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
