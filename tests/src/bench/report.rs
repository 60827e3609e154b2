//! The figures of a benchmark, printed immediately and saved as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Arguments, Figure, Machine};
use crate::tools::workspace;

/// The figures of one benchmark. Each is printed and saved at once, so an
/// interrupted run keeps those it has measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The command that prints these figures.
    pub command: String,
    /// The machine on which they were measured.
    pub machine: Machine,
    /// The skipped measurements, with the reasons.
    pub notes: Vec<String>,
    /// The figures, in the order in which they were first measured.
    pub figures: Vec<Figure>,
    #[serde(skip)]
    file: PathBuf,
}

/// The folder of the figures: `docs/benchmarks`, or for a short run, which must not
/// be published, a folder in `target`.
///
/// # Panics
/// If it cannot be created.
pub fn folder(is_short: bool) -> PathBuf {
    let folder = if is_short { "target/benchmarks" } else { "docs/benchmarks" };
    let folder = workspace().join(folder);
    fs::create_dir_all(&folder).expect("the folder is created");
    folder
}

impl Report {
    /// The report of the benchmark `name`. New figures replace earlier ones of the
    /// same quantity; the others stay.
    ///
    /// # Panics
    /// If a report exists but cannot be read.
    pub fn of(name: &str, arguments: &Arguments) -> Self {
        Self::within(&folder(arguments.is_short()), name, arguments)
    }

    /// The same, in a folder that the benchmark chooses.
    ///
    /// # Panics
    /// If a report exists but cannot be read.
    pub fn within(folder: &Path, name: &str, arguments: &Arguments) -> Self {
        let file = folder.join(format!("{name}.json"));
        let before = file.is_file().then(|| Self::read(&file));
        Self {
            command: format!("cargo bench -p ingress-tests --bench {name}{}", arguments.as_given()),
            machine: Machine::this(),
            notes: Vec::new(),
            figures: before.map(|report| report.figures).unwrap_or_default(),
            file,
        }
    }

    /// The report in this file.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn read(file: &PathBuf) -> Self {
        let text = fs::read(file).expect("a report");
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Starts a group of figures.
    pub fn begin(&self, group: &str) {
        println!("\n{group}");
    }

    /// Prints and saves a figure.
    pub fn add(&mut self, figure: Figure) {
        println!("{figure}");
        match self.figures.iter_mut().find(|before| before.is_of_same(&figure)) {
            Some(before) => *before = figure,
            None => self.figures.push(figure),
        }
        self.write();
    }

    /// Prints and saves a skipped measurement, with the reason.
    pub fn note(&mut self, note: &str) {
        println!("  note: {note}");
        if !self.notes.iter().any(|before| before == note) {
            self.notes.push(note.to_owned());
        }
        self.write();
    }

    fn write(&self) {
        let text = serde_json::to_string_pretty(self).expect("figures are JSON");
        fs::write(&self.file, text + "\n").expect("figures are written");
    }
}
