//! The archive that a person installs from: the command, its manual pages, the completions
//! of shells, a service.

use std::fs;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use ingressctl::cli::Cli;
use ingressctl::oci::{Entry, archive, compress};

use crate::binary::Machine;
use crate::step::workspace;

const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "ingressctl.bash"),
    (Shell::Zsh, "_ingressctl"),
    (Shell::Fish, "ingressctl.fish"),
];

/// Files of the workspace, and their names in the archive.
const COPIED: [(&str, &str); 3] = [
    ("LICENSE", "LICENSE"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("config/deploy/systemd/ingressctl.service", "systemd/ingressctl.service"),
];

/// What is in the archive of each machine.
pub(crate) struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for (from, to) in COPIED {
            let content = fs::read(workspace().join(from)).with_context(|| from.to_owned())?;
            files.push((to.to_owned(), content));
        }
        for (shell, name) in SHELLS {
            let mut script = Vec::new();
            generate(shell, &mut Cli::command(), "ingressctl", &mut script);
            files.push((format!("completions/{name}"), script));
        }
        files.extend(manual()?);
        Ok(Self(files))
    }

    /// The compressed archive: one folder, which is called as the archive.
    pub(crate) fn packed(&self, folder: &str, binary: &[u8]) -> anyhow::Result<Vec<u8>> {
        let program = ("ingressctl", 0o755, binary);
        let others = self.0.iter().map(|(name, content)| (&**name, 0o644, &**content));
        let files: Vec<_> = [program]
            .into_iter()
            .chain(others)
            .map(|(name, mode, content)| (format!("{folder}/{name}"), mode, content))
            .collect();
        let entries: Vec<_> = files
            .iter()
            .map(|(path, mode, content)| Entry { path, mode: *mode, content: Some(content) })
            .collect();
        Ok(compress(&archive(&entries)?)?)
    }
}

/// The name of a machine's archive, without its ending.
pub(crate) fn name(machine: Machine) -> String {
    format!("ingressctl-{}-linux-{}", env!("CARGO_PKG_VERSION"), machine.name())
}

/// A page for the command and for each of its subcommands.
fn manual() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = tempfile::tempdir()?;
    clap_mangen::generate_to(Cli::command(), folder.path())?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        pages.push((format!("man/man1/{name}"), fs::read(entry.path())?));
    }
    pages.sort();
    Ok(pages)
}
