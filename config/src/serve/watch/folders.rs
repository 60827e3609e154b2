//! The watched folders, and their events.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io, mem};

use inotify::{EventMask, Inotify, WatchDescriptor};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::places::{Interest, places};
use crate::manifest::PathSpec;

/// The most attempts to find folders that appear while the watch is set up. The limit
/// is reached only if links are replaced all the time.
const MAX_LOOKS: usize = 10;

pub(super) struct Folders {
    inotify: Inotify,
    watched: BTreeMap<WatchDescriptor, Folder>,
}

/// A watched folder.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    interest: Interest,
}

/// An event of a watched folder or of a file in it.
pub(super) struct Event {
    pub(super) folder: WatchDescriptor,
    pub(super) mask: EventMask,
    pub(super) name: Option<OsString>,
}

impl Folders {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { inotify: Inotify::init()?, watched: BTreeMap::new() })
    }

    /// The folder of an event, if it is still watched.
    pub(super) fn get(&self, descriptor: &WatchDescriptor) -> Option<&Folder> {
        self.watched.get(descriptor)
    }

    pub(super) fn contain(&self, file: &Path) -> bool {
        self.watched.values().any(|folder| file.parent() == Some(&folder.path))
    }

    /// Watches the folders that exist now, and returns the files in folders that have not
    /// been watched before, or `None` if there are no such folders.
    pub(super) fn arm(&mut self, specs: &[PathSpec]) -> Option<Vec<PathBuf>> {
        let mut added = Vec::new();
        for _ in 0..MAX_LOOKS {
            let seen = added.len();
            added.extend(self.watch(places(specs)));
            if added.len() == seen {
                break;
            }
        }
        let files_in = |descriptor| self.watched.get(descriptor).map(Folder::files);
        (!added.is_empty()).then(|| added.iter().filter_map(files_in).flatten().collect())
    }

    /// Watches these folders and no others, and returns the new ones. A folder that was
    /// created again or replaced is new.
    fn watch(&mut self, places: BTreeMap<PathBuf, Interest>) -> Vec<WatchDescriptor> {
        let mut before = mem::take(&mut self.watched);
        let mut added = Vec::new();
        for (path, interest) in places {
            let here = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
            // A missing folder is a finding of the reading.
            let Ok(descriptor) = self.inotify.watches().add(here, interest.mask()) else {
                continue;
            };
            match self.watched.entry(descriptor) {
                Entry::Occupied(mut same) => same.get_mut().interest.merge(interest),
                Entry::Vacant(vacant) => {
                    if before.remove(vacant.key()).is_none() {
                        added.push(vacant.key().clone());
                    }
                    vacant.insert(Folder { path, interest });
                }
            }
        }
        for descriptor in before.into_keys() {
            // The kernel has removed the watch on a folder that was removed.
            let _ = self.inotify.watches().remove(descriptor);
        }
        added
    }

    /// Waits for events.
    pub(super) fn events(&mut self, timeout: Option<Duration>) -> io::Result<Vec<Event>> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [0; 16 << 10];
        match self.inotify.read_events(&mut buffer) {
            Ok(events) => Ok(events
                .map(|event| Event {
                    folder: event.wd.clone(),
                    mask: event.mask,
                    name: event.name.map(OsStr::to_owned),
                })
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

impl Folder {
    /// The path of the file or folder with this name, if it is relevant.
    pub(super) fn file(&self, name: &OsStr) -> Option<PathBuf> {
        self.interest.includes(name).then(|| self.path.join(name))
    }

    /// The relevant files in the folder.
    fn files(&self) -> Vec<PathBuf> {
        let here = if self.path.as_os_str().is_empty() { Path::new(".") } else { &self.path };
        let entries = fs::read_dir(here).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter_map(|entry| self.file(&entry.file_name()))
            .collect()
    }
}
