//! What a release needs beyond `cargo build`: `cargo xtask --help`.

mod binary;
mod chart;
mod dist;
mod image;
mod krew;
mod package;
mod sbom;
mod site;
mod step;
mod verify;

use std::process::ExitCode;

use clap::Parser;

/// The release, and the site of the documentation
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
enum Task {
    Dist(dist::Dist),
    Site(site::Site),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Dist(dist) => dist.run(),
        Task::Site(site) => site.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
