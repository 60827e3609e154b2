//! Files that are being written, according to inotify.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a new file that nobody writes to is taken for one about to be
/// written; a hard link is never closed.
const NEW_FILE: Duration = Duration::from_secs(2);

/// After how long the operator is told who keeps us waiting.
const SILENCE: Duration = Duration::from_secs(1);

/// Files being written.
pub(super) struct Writing {
    files: BTreeMap<PathBuf, File>,
    write_timeout: Duration,
}

struct File {
    /// When it was written to first, if it was.
    since: Option<Instant>,
    /// When it is taken for complete even if it is not closed.
    until: Instant,
    is_announced: bool,
}

impl Writing {
    /// A file that is not written to for `write_timeout` is taken for complete: some
    /// hold it open for good, and `truncate(2)` never closes it.
    pub(super) fn new(write_timeout: Duration) -> Self {
        Self { files: BTreeMap::new(), write_timeout }
    }

    /// The file is new, and may be about to be written.
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

    /// The file was closed, or is another one now, or none.
    pub(super) fn ended(&mut self, file: &Path) {
        self.files.remove(file);
    }

    pub(super) fn retain(&mut self, matters: impl Fn(&Path) -> bool) {
        self.files.retain(|file, _| matters(file));
    }

    /// Whether somebody is writing still. Says so once it takes long.
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
