//! Files that others read while they are written.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Writes a file unless it is so already: an Envoy that runs on it reads again
/// what is written again.
///
/// # Errors
/// Where the folder cannot be written to.
pub(crate) fn write_if_changed(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    if fs::read(path).is_ok_and(|existing| existing == content.as_ref()) {
        return Ok(());
    }
    write_atomically(path, content)
}

/// What the names of files begin with that are not written yet.
const UNFINISHED: &str = ".ingressctl-";

/// Removes what a process that was killed has not finished writing.
///
/// # Errors
/// Where the folder cannot be read or written.
pub(crate) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in entries_of(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What is in a folder; nothing where there is none.
pub(crate) fn entries_of(
    folder: &Path,
) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    Ok(entries.into_iter().flatten())
}

/// Writes `content` to `path` such that whoever reads it sees the old content
/// or the new, never a part: Envoy takes a file in when it is renamed.
///
/// # Errors
/// Where the folder cannot be written to.
pub(crate) fn write_atomically(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    // Readable for whom the umask allows: Envoy may run as another user.
    write_with_mode(path, content.as_ref(), 0o666)
}

/// As [`write_atomically`], readable for the owner alone, in a folder that the
/// owner alone may look into; made if it is not there.
///
/// # Errors
/// Where the folder cannot be made or written to.
pub(crate) fn write_private(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    write_with_mode(path, content.as_ref(), 0o600)
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        }
        result => result,
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
