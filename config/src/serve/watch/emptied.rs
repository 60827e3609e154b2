//! Files that have become empty: usually the first half of rewriting them (`cp`,
//! `> file`, some editors), and rarely the intent to remove all routes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, mem};

/// A larger file counts as not empty, because files of only white space are smaller.
const MAX_BLANK_BYTES: u64 = 32;

/// The files with content, and those that had content: until when an empty file is
/// treated as being rewritten.
#[derive(Default)]
pub(super) struct Emptied(BTreeMap<PathBuf, Option<Instant>>);

impl Emptied {
    /// Records the files that were read. Returns whether any of them was emptied less than
    /// `write_timeout` ago.
    pub(super) fn note(&mut self, files: &[PathBuf], write_timeout: Duration) -> bool {
        let before = mem::take(&mut self.0);
        let now = Instant::now();
        let mut is_any = false;
        for file in files {
            if !is_blank(file) {
                self.0.insert(file.clone(), None);
                continue;
            }
            // A file that never had content, or whose time is up, is accepted as empty.
            let Some(until) = before.get(file) else { continue };
            if until.is_none() {
                eprintln!(
                    "ingressctl: {} is empty; its objects are removed if it stays empty for {} s",
                    file.display(),
                    write_timeout.as_secs()
                );
            }
            let until = until.unwrap_or(now + write_timeout);
            if now < until {
                self.0.insert(file.clone(), Some(until));
                is_any = true;
            }
        }
        is_any
    }

    /// Whether an empty file may be about to be written.
    pub(super) fn is_any(&self) -> bool {
        let now = Instant::now();
        let is_early = |until: &Option<Instant>| until.is_some_and(|until| now < until);
        self.0.iter().any(|(file, until)| is_early(until) && is_blank(file))
    }
}

/// Whether a file is empty or has only white space.
fn is_blank(file: &Path) -> bool {
    // Only regular files, because opening a pipe may wait forever.
    let Some(metadata) = fs::metadata(file).ok().filter(fs::Metadata::is_file) else {
        return false;
    };
    metadata.len() == 0
        || (metadata.len() <= MAX_BLANK_BYTES
            && fs::read(file).is_ok_and(|bytes| bytes.trim_ascii().is_empty()))
}
