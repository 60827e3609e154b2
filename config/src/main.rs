//! The command `ingressctl`.

use std::process::ExitCode;

use ingressctl::cli::Cli;
use mimalloc::MiMalloc;

/// Those of C libraries keep what each thread has used, of which the controller's
/// memory grew in steps, or have one lock for all threads, as that of the image.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    Cli::from_arguments().run()
}
