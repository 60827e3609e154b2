//! Finds the folders to watch, and the relevant names in them.
//!
//! A path is resolved like the kernel does: step by step, and through symbolic
//! links. Each step may be created, removed or replaced, so each is watched, in
//! its folder. This also detects the creation of a path of which only the first
//! part exists.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use inotify::WatchMask;

use crate::manifest::{self, PathSpec};

/// The number of links that the kernel follows for one path.
const MAX_LINKS: usize = 40;

/// The relevant names in a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Interest {
    names: BTreeSet<OsString>,
    /// All manifests, including future ones.
    all_manifests: bool,
    /// Writes are relevant too, not only creation and removal. This is not set for a
    /// folder on the way to a manifest, which may be as busy as `/tmp`.
    content: bool,
}

impl Interest {
    pub(super) fn includes(&self, name: &OsStr) -> bool {
        self.names.contains(name) || (self.all_manifests && manifest::is_manifest(name))
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.names.extend(other.names);
        self.all_manifests |= other.all_manifests;
        self.content |= other.content;
    }

    pub(super) fn mask(&self) -> WatchMask {
        // One folder may be watched by several paths, hence `MASK_ADD`. Events of open
        // files after their removal are irrelevant.
        let steps = WatchMask::CREATE
            | WatchMask::MOVE
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR
            | WatchMask::EXCL_UNLINK
            | WatchMask::MASK_ADD;
        if self.content { steps | WatchMask::MODIFY | WatchMask::CLOSE_WRITE } else { steps }
    }
}

/// The folders that have to be watched for `specs` now. The current folder is the
/// empty path.
pub(super) fn places(specs: &[PathSpec]) -> BTreeMap<PathBuf, Interest> {
    let mut places = BTreeMap::new();
    for spec in specs {
        let PathSpec::Path(path) = spec else { continue };
        let end = follow(path, &mut places);
        if path.is_dir() {
            follow_manifests(&end, &mut places);
        }
    }
    places
}

/// Adds a folder of manifests and the targets of its links.
fn follow_manifests(folder: &Path, places: &mut BTreeMap<PathBuf, Interest>) {
    let interest = places.entry(folder.to_owned()).or_default();
    interest.all_manifests = true;
    interest.content = true;
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // A folder that cannot be listed is a finding of the reading.
    for entry in fs::read_dir(here).into_iter().flatten().flatten() {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if is_link && manifest::is_manifest(&entry.file_name()) {
            follow(&folder.join(entry.file_name()), places);
        }
    }
}

/// Adds every step of a path, through links, and returns the resolved path.
fn follow(path: &Path, places: &mut BTreeMap<PathBuf, Interest>) -> PathBuf {
    let mut at = PathBuf::new();
    // The remaining steps, in reverse order.
    let mut steps = Vec::new();
    push_steps(path, &mut steps);
    let mut links = 0;
    while let Some(step) = steps.pop() {
        let next = at.join(&step);
        if step == "/" || step == ".." {
            at = next;
            continue;
        }
        let target = fs::read_link(&next).ok();
        let interest = places.entry(at.clone()).or_default();
        interest.names.insert(step);
        interest.content |= target.is_none() && steps.is_empty() && !next.is_dir();
        match target {
            Some(_) if links == MAX_LINKS => break,
            Some(target) => {
                links += 1;
                push_steps(&target, &mut steps);
            }
            None => at = next,
        }
    }
    at
}

fn push_steps(path: &Path, steps: &mut Vec<OsString>) {
    let here = |component: &Component<'_>| *component == Component::CurDir;
    let components = path.components().filter(|component| !here(component));
    steps.extend(components.rev().map(|component| component.as_os_str().to_owned()));
}
