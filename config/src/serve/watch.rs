//! Waits for manifests to change, and reads them when nobody is writing.
//!
//! A file that somebody has begun to write is left alone until it is closed,
//! and what was read while something changed is read again: a half-written
//! file is never taken for a whole one. This takes the file system's word for
//! it (inotify), which is why the watch begins before the first reading.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::manifest::{self, Manifests, PathSpec};

/// How long it must be quiet before the manifests are read: tools write several
/// files, or one in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// How long a steady stream of changes may put a reading off.
const AT_MOST: Duration = Duration::from_millis(500);

/// How long a new file that nobody writes to is taken for one about to be
/// written; a hard link is never closed.
const NEW_FILE: Duration = Duration::from_secs(2);

/// Mounted `ConfigMap`s change by this link, next to their files.
const CONFIG_MAP_LINK: &str = "..data";

/// Manifests and a watch on them.
pub(super) struct Watcher {
    manifests: Vec<PathSpec>,
    /// Standard input can be read but once.
    stdin: Vec<u8>,
    inotify: Inotify,
    folders: BTreeMap<WatchDescriptor, Folder>,
    /// Files being written, and until when at the longest.
    writing: BTreeMap<PathBuf, Option<Instant>>,
}

/// A folder under watch.
struct Folder {
    path: PathBuf,
    /// The names that matter, or all manifests.
    names: Option<BTreeSet<Box<OsStr>>>,
}

impl Watcher {
    pub(super) fn new(manifests: &[PathSpec]) -> io::Result<Self> {
        let mut stdin = Vec::new();
        if manifests.contains(&PathSpec::Stdin) {
            io::stdin().read_to_end(&mut stdin)?;
        }
        let inotify = Inotify::init()?;
        let (folders, writing) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { manifests: manifests.to_vec(), stdin, inotify, folders, writing })
    }

    /// Watches all folders; those that are watched already stay so, and one
    /// that has been made anew is watched again.
    fn arm(&mut self) {
        self.folders.clear();
        for spec in &self.manifests {
            let PathSpec::Path(path) = spec else { continue };
            let (folder, name) = folder_of(path);
            let mask = WatchMask::CREATE
                | WatchMask::MODIFY
                | WatchMask::CLOSE_WRITE
                | WatchMask::MOVE
                | WatchMask::DELETE
                | WatchMask::DELETE_SELF
                | WatchMask::MOVE_SELF;
            // What is not there is a finding of the reading.
            let Ok(descriptor) = self.inotify.watches().add(folder, mask) else { continue };
            let entry = self.folders.entry(descriptor).or_insert_with(|| Folder {
                path: folder.to_owned(),
                names: Some(BTreeSet::new()),
            });
            match (name, &mut entry.names) {
                (Some(name), Some(names)) => drop(names.insert(name.into())),
                (None, names) => *names = None,
                (Some(_), None) => {}
            }
        }
    }

    /// Waits for a change, and for it to be complete; then reads everything.
    pub(super) fn changed(&mut self) -> io::Result<Manifests> {
        while !self.wait(None)? {}
        self.read()
    }

    /// Reads everything as soon as nobody is writing.
    pub(super) fn read(&mut self) -> io::Result<Manifests> {
        self.arm();
        loop {
            self.settle()?;
            let manifests = manifest::read(&self.manifests, &mut Cursor::new(&self.stdin));
            // Events of what happened while reading are here by now.
            if !self.wait(Some(Duration::ZERO))? {
                return Ok(manifests);
            }
        }
    }

    /// Waits until it has been quiet for a while, or for long enough, and
    /// nobody is writing.
    fn settle(&mut self) -> io::Result<()> {
        let start = Instant::now();
        loop {
            let is_quiet = !self.wait(Some(QUIET))?;
            let now = Instant::now();
            self.writing.retain(|_, until| until.is_none_or(|until| now < until));
            if self.writing.is_empty() && (is_quiet || now.duration_since(start) > AT_MOST) {
                return Ok(());
            }
        }
    }

    /// Waits for events, and says whether any concerned a manifest.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [0; 4096];
        let events: Vec<_> = match self.inotify.read_events(&mut buffer) {
            Ok(events) => events
                .map(|event| (event.wd.clone(), event.mask, event.name.map(PathBuf::from)))
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut is_relevant = false;
        for (descriptor, mask, name) in events {
            is_relevant |= self.take_in(&descriptor, mask, name.as_deref());
        }
        Ok(is_relevant)
    }

    /// Notes what an event says of who is writing, and says whether it concerns
    /// a manifest.
    fn take_in(
        &mut self,
        descriptor: &WatchDescriptor,
        mask: EventMask,
        name: Option<&Path>,
    ) -> bool {
        // Events were lost, so anything may have changed.
        if mask.contains(EventMask::Q_OVERFLOW) {
            self.writing.clear();
            return true;
        }
        let Some(folder) = self.folders.get(descriptor) else { return false };
        let Some(name) = name else { return true };
        if !folder.concerns(name) {
            return false;
        }
        let file = folder.path.join(name);
        if mask.contains(EventMask::MODIFY) {
            self.writing.insert(file, None);
        } else if mask.contains(EventMask::CREATE) && !mask.contains(EventMask::ISDIR) {
            let is_link = file.is_symlink();
            self.writing.extend((!is_link).then(|| (file, Some(Instant::now() + NEW_FILE))));
        } else {
            // Closed, moved or deleted.
            self.writing.remove(&file);
        }
        true
    }
}

impl Folder {
    fn concerns(&self, name: &Path) -> bool {
        match &self.names {
            _ if name == Path::new(CONFIG_MAP_LINK) => true,
            Some(names) => names.contains(name.as_os_str()),
            None => manifest::is_manifest(name.as_os_str()),
        }
    }
}

/// The folder to watch for a path, and the name in it if the path is a file.
fn folder_of(path: &Path) -> (&Path, Option<&OsStr>) {
    if path.is_dir() {
        return (path, None);
    }
    let folder =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    (folder, path.file_name())
}
