//! Waits for manifests to change, and reads them when nobody is writing.
//!
//! A file that somebody has begun to write is left alone until it is closed,
//! and what was read while a file was written is read again: a half-written
//! file is never taken for a whole one. This takes the file system's word for
//! it (inotify), which is why the watch begins before the first reading.
//!
//! Whatever others do, a change is read before long: waiting for one writer is
//! bounded by [`WRITE_TIMEOUT`], waiting for a pause by [`AT_MOST`], and files that
//! are renamed into place do not make a reading void.

mod emptied;
mod folders;
mod places;
mod writing;

use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use inotify::EventMask;

use crate::manifest::{Manifests, PathSpec, ReadCache, read_again};

use emptied::Emptied;
use folders::{Event, Folders};
use writing::Writing;

/// How long it must be quiet before the manifests are read: tools write several
/// files, or one in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// How long a steady stream of changes may put a reading off.
const AT_MOST: Duration = Duration::from_millis(500);

/// How long files and folders that come and go may make readings void.
const MAX_REARRANGING: Duration = Duration::from_secs(2);

/// How long after it was last written to a file that is not closed holds up all
/// changes, and how long one does that was emptied.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Manifests and a watch on them.
pub(super) struct Watcher {
    manifests: Vec<PathSpec>,
    /// Standard input can be read but once.
    stdin: Vec<u8>,
    /// What the files said.
    cache: ReadCache,
    folders: Folders,
    writing: Writing,
    emptied: Emptied,
    write_timeout: Duration,
    /// The worst that has happened since the last reading began.
    happened: Effect,
}

/// What an event does to a reading during which it occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    None,
    /// A file took the place of another: either was read, but that one whole.
    Replaced,
    /// Files, folders or links came or went: what was read may be from several
    /// versions of a folder, or lack a file that is being replaced.
    Rearranged,
    /// A file was written: half of it may have been read.
    Written,
}

/// A folder, or a link to one, that was not there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Appeared {
    /// With all it contains: moved here, or a link.
    Filled,
    /// Just made, so the files in it may be being written.
    Empty,
}

impl Watcher {
    pub(super) fn new(manifests: &[PathSpec]) -> io::Result<Self> {
        Self::with_timeout(manifests, WRITE_TIMEOUT)
    }

    fn with_timeout(manifests: &[PathSpec], write_timeout: Duration) -> io::Result<Self> {
        let mut stdin = Vec::new();
        if manifests.contains(&PathSpec::Stdin) {
            io::stdin().read_to_end(&mut stdin)?;
        }
        Ok(Self {
            manifests: manifests.to_vec(),
            stdin,
            cache: ReadCache::default(),
            folders: Folders::new()?,
            writing: Writing::new(write_timeout),
            emptied: Emptied::default(),
            write_timeout,
            happened: Effect::None,
        })
    }

    /// Waits for a change, and for it to be complete; then reads everything.
    pub(super) fn changed(&mut self) -> io::Result<Manifests> {
        while self.happened == Effect::None {
            self.wait(None)?;
        }
        self.read()
    }

    /// Reads everything as soon as nobody is writing.
    pub(super) fn read(&mut self) -> io::Result<Manifests> {
        let start = Instant::now();
        self.arm();
        loop {
            self.settle(start)?;
            self.happened = Effect::None;
            let mut stdin = Cursor::new(&self.stdin);
            let manifests = read_again(&self.manifests, &mut stdin, &mut self.cache);
            let is_emptied = self.emptied.note(&manifests.files, self.write_timeout);
            // Events of what happened while reading are here by now.
            self.wait(Some(Duration::ZERO))?;
            let is_void = match self.happened {
                Effect::None | Effect::Replaced => false,
                Effect::Rearranged => start.elapsed() < MAX_REARRANGING,
                Effect::Written => true,
            };
            if !is_void && !is_emptied {
                return Ok(manifests);
            }
        }
    }

    /// Watches what there is to watch now, and gives the files in folders that
    /// are new, if any are.
    fn arm(&mut self) -> Option<Vec<PathBuf>> {
        let added = self.folders.arm(&self.manifests);
        self.writing.retain(|file| self.folders.contain(file));
        added
    }

    /// Waits until nobody is writing, and until it has been quiet for a while or
    /// `start` is long ago.
    fn settle(&mut self, start: Instant) -> io::Result<()> {
        let mut last_event = Instant::now();
        loop {
            let missing = QUIET.saturating_sub(last_event.elapsed());
            if self.wait(Some(if missing.is_zero() { QUIET } else { missing }))? {
                last_event = Instant::now();
            }
            let is_late = start.elapsed() > AT_MOST;
            let is_quiet = last_event.elapsed() >= QUIET;
            if !(is_quiet || is_late) || self.writing.goes_on() || self.emptied.is_any() {
                continue;
            }
            if self.arm().is_none() || is_late {
                return Ok(());
            }
            // Nobody knows yet whether it is quiet there.
            last_event = Instant::now();
        }
    }

    /// Waits for events and takes in all there are; says whether any concerned
    /// the manifests.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut is_any = false;
        let mut events = self.folders.events(timeout)?;
        while !events.is_empty() {
            let mut appeared = None;
            for event in events {
                let effect = self.take_in(&event, &mut appeared);
                is_any |= effect > Effect::None;
                self.happened = self.happened.max(effect);
            }
            self.watch_what_appeared(appeared);
            events = self.folders.events(Some(Duration::ZERO))?;
        }
        Ok(is_any)
    }

    /// Notes what an event says of who is writing.
    fn take_in(&mut self, event: &Event, appeared: &mut Option<Appeared>) -> Effect {
        let mask = event.mask;
        if mask.contains(EventMask::Q_OVERFLOW) {
            // Events were lost, so anything may have changed.
            return Effect::Written;
        }
        let Some(folder) = self.folders.get(&event.folder) else { return Effect::None };
        let Some(name) = &event.name else {
            // The folder is gone, so those who write in it do not matter.
            self.writing.retain(|file| file.parent() != Some(&folder.path));
            return Effect::Rearranged;
        };
        let Some(file) = folder.file(name) else { return Effect::None };
        if mask.contains(EventMask::MODIFY) {
            self.writing.modified(file);
            return Effect::Written;
        }
        self.writing.ended(&file);
        if mask.contains(EventMask::CLOSE_WRITE) {
            return Effect::Written;
        }
        let is_folder = mask.contains(EventMask::ISDIR);
        let is_new = mask.contains(EventMask::CREATE);
        if !is_new && !mask.contains(EventMask::MOVED_TO) {
            return Effect::Rearranged;
        }
        if is_folder || file.is_symlink() {
            let what = if is_folder && is_new { Appeared::Empty } else { Appeared::Filled };
            *appeared = (*appeared).max(Some(what));
            return Effect::Rearranged;
        }
        if is_new {
            self.writing.created(file);
            return Effect::Written;
        }
        Effect::Replaced
    }

    /// Watches new folders at once: what is done in them before goes unnoticed.
    fn watch_what_appeared(&mut self, appeared: Option<Appeared>) {
        let Some(appeared) = appeared else { return };
        let files = self.arm().unwrap_or_default();
        if appeared == Appeared::Empty {
            for file in files {
                self.writing.created(file);
            }
        }
    }
}

#[cfg(test)]
mod tests;
