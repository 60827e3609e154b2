//! placeholder
use clap::Args;
/// placeholder
#[derive(Debug, Args)]
pub(crate) struct Explain {}
impl Explain {
    pub(crate) fn run(self) -> anyhow::Result<std::process::ExitCode> {
        todo!()
    }
}
