//! The command `ingressctl`.

use std::process::ExitCode;

use clap::Parser;
use ingressctl::cli::Cli;
use mimalloc::MiMalloc;

/// Those of C libraries keep what each thread has used, of which the controller's
/// memory grew in steps, or have one lock for all threads, as that of the image.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        // Whoever read the output has had enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ingressctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
