//! placeholder
use clap::Args;
/// placeholder
#[derive(Debug, Args)]
pub(crate) struct Demo {}
impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<std::process::ExitCode> {
        todo!()
    }
}
