//! Files that are being written, according to inotify.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time for which a new file without writes is treated as about to be written,
/// because a hard link is never closed.
const NEW_FILE: Duration = Duration::from_secs(2);

/// The time of waiting after which the file is logged.
const SILENCE: Duration = Duration::from_secs(1);

/// Files being written.
pub(super) struct Writing {
    files: BTreeMap<PathBuf, File>,
    write_timeout: Duration,
}

struct File {
    /// The time of the first write, if any.
    since: Option<Instant>,
    /// The time from which it counts as complete even if it is not closed.
    until: Instant,
    is_announced: bool,
}

impl Writing {
    /// A file without writes for `write_timeout` counts as complete, because some processes
    /// keep files open, and `truncate(2)` never closes them.
    pub(super) fn new(write_timeout: Duration) -> Self {
        Self { files: BTreeMap::new(), write_timeout }
    }

    /// Adds a new file, which may be about to be written.
    pub(super) fn created(&mut self, file: PathBuf) {
        let until = Instant::now() + NEW_FILE;
        self.files.entry(file).or_insert(File { since: None, until, is_announced: false });
    }

    pub(super) fn modified(&mut self, file: PathBuf) {
        let now = Instant::now();
        let until = now + self.write_timeout;
        let file =
            self.files.entry(file).or_insert(File { since: None, until, is_announced: false });
        file.since.get_or_insert(now);
        file.until = until;
    }

    /// Removes a file that was closed, replaced or removed.
    pub(super) fn ended(&mut self, file: &Path) {
        self.files.remove(file);
    }

    pub(super) fn retain(&mut self, matters: impl Fn(&Path) -> bool) {
        self.files.retain(|file, _| matters(file));
    }

    /// Whether a process is still writing. Logs the file once this takes long.
    pub(super) fn goes_on(&mut self) -> bool {
        let now = Instant::now();
        self.files.retain(|_, file| now < file.until);
        for (path, file) in &mut self.files {
            let is_long = file.since.is_some_and(|since| now.duration_since(since) >= SILENCE);
            if is_long && !file.is_announced {
                file.is_announced = true;
                eprintln!("ingressctl: waiting for {}, which is being written", path.display());
            }
        }
        !self.files.is_empty()
    }
}
