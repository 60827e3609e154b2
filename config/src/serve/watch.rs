//! Waits for manifests to change, and reads them when no process is writing.
//!
//! A file that is being written is not read until it is closed, and files that were
//! read while one was written are read again, so a half-written file is never applied.
//! This relies on inotify, so the watch begins before the first reading.
//!
//! The delay of a change is limited: waiting for one writer by [`WRITE_TIMEOUT`], and
//! waiting for a pause by [`AT_MOST`]. Files that are renamed into place do not
//! invalidate a reading.

mod emptied;
mod folders;
mod places;
mod writing;

use std::io::{self, Cursor};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use inotify::EventMask;

use crate::manifest::{Manifests, PathSpec, ReadCache, read_again, read_stdin};

use emptied::Emptied;
use folders::{Event, Folders};
use writing::Writing;

/// The time without changes before the manifests are read, because tools write several
/// files, or one in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// The longest delay of a reading by a steady stream of changes.
const AT_MOST: Duration = Duration::from_millis(500);

/// The time during which created and removed files and folders invalidate readings.
const MAX_REARRANGING: Duration = Duration::from_secs(2);

/// The time for which an open file delays all changes after the last write to it, and
/// the time for which a file that was emptied does.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Watches and reads manifests.
pub(crate) struct Watcher {
    manifests: Vec<PathSpec>,
    /// The content of standard input, which can be read only once.
    stdin: Vec<u8>,
    /// The content of the files at the last reading.
    cache: ReadCache,
    folders: Folders,
    writing: Writing,
    emptied: Emptied,
    write_timeout: Duration,
    /// The greatest effect of the events since the last reading began.
    happened: Effect,
}

/// The effect of an event on a reading during which it occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    None,
    /// A file was replaced: the old or the new one was read, but completely.
    Replaced,
    /// Files, folders or links were created or removed. The reading may mix several
    /// versions of a folder, or lack a file that is being replaced.
    Rearranged,
    /// A file was written, and may have been read half-written.
    Written,
}

/// A new folder, or a new link to a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Appeared {
    /// With its content, because it was moved here or is a link.
    Filled,
    /// Just created, so files in it may be about to be written.
    Empty,
}

impl Watcher {
    pub(crate) fn new(manifests: &[PathSpec]) -> io::Result<Self> {
        Self::with_stdin(manifests, read_stdin(manifests)?)
    }

    /// Same as [`Self::new`], with the content of standard input.
    pub(crate) fn with_stdin(manifests: &[PathSpec], stdin: Vec<u8>) -> io::Result<Self> {
        Self::with_timeout(manifests, stdin, WRITE_TIMEOUT)
    }

    fn with_timeout(
        manifests: &[PathSpec],
        stdin: Vec<u8>,
        write_timeout: Duration,
    ) -> io::Result<Self> {
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

    /// Waits for a change to begin and to be complete, then reads everything.
    pub(crate) fn changed(&mut self) -> io::Result<Manifests> {
        while self.happened == Effect::None {
            self.wait(None)?;
        }
        self.read()
    }

    /// Reads everything as soon as no process is writing.
    pub(crate) fn read(&mut self) -> io::Result<Manifests> {
        let start = Instant::now();
        self.arm();
        loop {
            self.settle(start)?;
            self.happened = Effect::None;
            let mut stdin = Cursor::new(&self.stdin);
            let manifests = read_again(&self.manifests, &mut stdin, &mut self.cache);
            let is_emptied = self.emptied.note(&manifests.files, self.write_timeout);
            // The events of changes during the reading have arrived by now.
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

    /// Watches the folders that exist now, and returns the files in new folders, if there
    /// are any.
    fn arm(&mut self) -> Option<Vec<PathBuf>> {
        let added = self.folders.arm(&self.manifests);
        self.writing.retain(|file| self.folders.contain(file));
        added
    }

    /// Waits until no process is writing and no event has arrived for a while, or until
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
            // Files in new folders may be about to be written.
            last_event = Instant::now();
        }
    }

    /// Waits for events and processes all pending ones. Returns whether any of them
    /// concerns the manifests.
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

    /// Updates the list of files being written after an event.
    fn take_in(&mut self, event: &Event, appeared: &mut Option<Appeared>) -> Effect {
        let mask = event.mask;
        if mask.contains(EventMask::Q_OVERFLOW) {
            // Events were lost, so anything may have changed.
            return Effect::Written;
        }
        let Some(folder) = self.folders.get(&event.folder) else { return Effect::None };
        let Some(name) = &event.name else {
            // The folder has been removed, so files written in it do not matter.
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

    /// Watches new folders immediately, because earlier changes in them have no events.
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
