//! Atomic updates of files that other processes read.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

/// Writes a file unless its content is the same, because a running Envoy reloads
/// files that are written.
///
/// # Errors
/// If the folder is not writable.
pub(crate) fn write_if_changed(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    if fs::read(path).is_ok_and(|existing| existing == content.as_ref()) {
        return Ok(());
    }
    write_atomically(path, content)
}

/// The prefix of temporary files.
const UNFINISHED: &str = ".ingressctl-";

/// Removes temporary files of a killed process.
///
/// # Errors
/// If the folder cannot be read or written.
pub(crate) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in entries_of(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The entries of a folder; none if it does not exist.
pub(crate) fn entries_of(
    folder: &Path,
) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    Ok(entries.into_iter().flatten())
}

/// Replaces `path` by renaming, so that a reader sees either the old or the new
/// content. Envoy watches for the renaming.
///
/// # Errors
/// If the folder is not writable.
pub(crate) fn write_atomically(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    // Readable by users that the umask allows, because Envoy may run as another
    // user.
    write_with_mode(path, content.as_ref(), 0o644)
}

/// Like [`write_atomically`], readable only for the owner, in a folder that only
/// the owner may access; created if it does not exist.
///
/// # Errors
/// If the folder cannot be created or written.
pub(crate) fn write_private(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    write_with_mode(path, content.as_ref(), 0o600)
}

/// Creates a folder that only the owner may access, or makes an existing one
/// private.
///
/// # Errors
/// If it cannot be created, belongs to another user, or is a symbolic link.
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => keep_private(folder),
        result => result,
    }
}

/// Makes an existing folder private. A path of another user, or a link, is
/// rejected.
fn keep_private(folder: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(folder, flags, Mode::empty()) {
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(UnsafePath::NotAFolder.at(folder)),
        opened => opened?,
    };
    let owner = rustix::fs::fstat(&opened)?.st_uid;
    if owner != own_user() {
        return Err(UnsafePath::Foreign(owner).at(folder));
    }
    Ok(rustix::fs::fchmod(&opened, Mode::RWXU)?)
}

/// Whether a folder is safe for private keys and for files that control Envoy.
///
/// # Errors
/// If other users own it or may write to it, or it cannot be read.
pub(crate) fn check_folder(folder: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Err(UnsafePath::NotAFolder.at(folder));
    }
    let (owner, mode) = (metadata.uid(), metadata.mode());
    judge_folder(owner, mode, own_user()).map_err(|problem| problem.at(folder))
}

/// Like [`check_folder`], for a file in such a folder.
///
/// # Errors
/// Like [`check_folder`].
pub(crate) fn check_file(file: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(file)?;
    let owner = metadata.uid();
    let problem = match () {
        () if !metadata.is_file() => UnsafePath::NotAFile,
        () if ![own_user(), ROOT].contains(&owner) => UnsafePath::Foreign(owner),
        () if metadata.mode() & WRITABLE_BY_OTHERS != 0 => UnsafePath::Writable,
        () => return Ok(()),
    };
    Err(problem.at(file))
}

/// A folder of another user is not safe, and neither is one that all users may
/// write to. A Kubernetes volume is an exception: it belongs to root and is
/// writable for all users of the pod. `/tmp` differs from it by the sticky bit.
fn judge_folder(owner: u32, mode: u32, user: u32) -> Result<(), UnsafePath> {
    if ![user, ROOT].contains(&owner) {
        return Err(UnsafePath::Foreign(owner));
    }
    let is_volume = owner == ROOT && mode & STICKY == 0;
    if mode & WRITABLE_BY_OTHERS != 0 && !is_volume {
        return Err(UnsafePath::Writable);
    }
    Ok(())
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

const ROOT: u32 = 0;
const WRITABLE_BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Why a path is not used: another user may control it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum UnsafePath {
    #[error("is not a folder, or is a symbolic link; remove it, or name another folder")]
    NotAFolder,
    #[error("is not a regular file; remove it")]
    NotAFile,
    #[error(
        "belongs to the user with ID {0}; remove it, name another folder, or run this command as that \
         user"
    )]
    Foreign(u32),
    #[error("is writable by every user; run chmod o-w on it, or name another folder")]
    Writable,
}

impl UnsafePath {
    fn at(self, path: &Path) -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {self}", path.display()))
    }
}

fn write_with_mode(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const USER: u32 = 1000;

    #[test]
    fn a_folder_is_used_where_nobody_else_decides_what_is_in_it() {
        for (owner, mode, expected) in [
            (USER, 0o755, Ok(())),
            (USER, 0o775, Ok(())),
            (USER, 0o777, Err(UnsafePath::Writable)),
            (ROOT, 0o755, Ok(())),
            (ROOT, 0o2777, Ok(())),
            (ROOT, 0o1777, Err(UnsafePath::Writable)),
            (1001, 0o700, Err(UnsafePath::Foreign(1001))),
        ] {
            assert_eq!(judge_folder(owner, mode, USER), expected, "{owner} {mode:o}");
        }
    }

    #[test]
    fn keys_are_written_through_no_symbolic_link() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
        let folder = root.path().join("state");
        symlink(&target, &folder).unwrap();
        let error = write_private(&folder.join("key"), "key").unwrap_err();
        assert!(error.to_string().contains("state is not a folder"), "{error}");
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);

        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        write_private(&folder.join("key"), "key").unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn links_and_what_others_may_write_are_not_used() {
        let root = tempfile::tempdir().unwrap();
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        check_folder(&real).unwrap();
        assert!(check_folder(&link).is_err());
        let file = real.join("bootstrap.json");
        fs::write(&file, "").unwrap();
        check_file(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(check_file(&file).is_err());
        fs::remove_file(&file).unwrap();
        symlink("/etc/hostname", &file).unwrap();
        assert!(check_file(&file).is_err());
    }
}
