//! An image as a folder
//! (<https://github.com/opencontainers/image-spec/blob/main/image-layout.md>).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use oci_spec::image::{ANNOTATION_TITLE, ImageIndex, OciLayoutBuilder};

use super::{Images, json};
use crate::files::write_atomically;

/// The names in the specification.
const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";
const LAYOUT_VERSION: &str = "1.0.0";

/// Writes the images to `folder`, which may be new, empty, or contain an earlier image of
/// the same title. A concurrent reader sees one of the two.
///
/// # Errors
/// If the folder contains anything else, or cannot be written.
pub fn write_layout(images: &Images, folder: &Path) -> anyhow::Result<()> {
    refuse_foreign(folder, &images.title)?;
    let blobs = folder.join(BLOBS).join("sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("folder {}", blobs.display()))?;
    let write = |path: PathBuf, content: &[u8]| {
        write_atomically(&path, content).with_context(|| format!("file {}", path.display()))
    };
    let mut names = BTreeSet::new();
    for blob in &images.blobs {
        write(blobs.join(blob.digest.digest()), &blob.bytes)?;
        names.insert(blob.digest.digest());
    }
    let marker = OciLayoutBuilder::default().image_layout_version(LAYOUT_VERSION).build()?;
    write(folder.join(MARKER), &json(&marker)?)?;
    write(folder.join(INDEX), &json(&images.index)?)?;
    remove_others(&blobs, &names).with_context(|| format!("folder {}", blobs.display()))
}

/// Fails if the folder contains anything except an earlier image.
fn refuse_foreign(folder: &Path, title: &str) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("folder {}", folder.display()))?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        names.insert(entry?.file_name());
    }
    let is_layout = [MARKER, INDEX, BLOBS].iter().all(|name| names.remove(OsStr::new(name)));
    if names.is_empty() && (!is_layout || is_ours(folder, title)) {
        return Ok(());
    }
    bail!(
        "nothing was written: {} contains files other than an image of {title}; \
         name a folder that is new or empty",
        folder.display()
    )
}

fn is_ours(folder: &Path, title: &str) -> bool {
    let index = ImageIndex::from_file(folder.join(INDEX));
    index.is_ok_and(|index| {
        let titles = index.manifests().iter().map(|manifest| {
            let annotations = manifest.annotations().as_ref();
            annotations.and_then(|annotations| annotations.get(ANNOTATION_TITLE))
        });
        titles.map(|title| title.map(String::as_str)).eq([Some(title)])
    })
}

/// Removes the blobs of an earlier image, which is no longer referenced.
fn remove_others(blobs: &Path, names: &BTreeSet<&str>) -> io::Result<()> {
    for entry in fs::read_dir(blobs)? {
        let entry = entry?;
        let is_named = entry.file_name().to_str().is_some_and(|name| names.contains(name));
        if !is_named {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
