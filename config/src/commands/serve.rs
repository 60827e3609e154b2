//! placeholder
use clap::Args;
/// placeholder
#[derive(Debug, Args)]
pub(crate) struct Serve {}
impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<std::process::ExitCode> {
        todo!()
    }
}
