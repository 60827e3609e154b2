//! The command `ingressctl`.

use std::process::ExitCode;

use ingressctl::cli::Cli;
use mimalloc::MiMalloc;

/// glibc's keeps what each thread has used, so the controller's memory grew in steps;
/// musl's, which the image would have, takes one lock for all threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    Cli::from_arguments().run()
}
