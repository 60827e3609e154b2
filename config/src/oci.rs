//! OCI images, written without a container engine
//! (<https://github.com/opencontainers/image-spec/blob/main/spec.md>).
//!
//! The same content gives the same bytes: they contain no timestamp or host name.

mod layout;

use std::collections::HashMap;
use std::io::{self, Write};

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use oci_spec::image::{
    ANNOTATION_REF_NAME, ANNOTATION_TITLE, Descriptor, ImageConfiguration, ImageIndex,
    ImageIndexBuilder, ImageManifestBuilder, MediaType, Os, Platform, PlatformBuilder,
    SCHEMA_VERSION, Sha256Digest,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

pub use self::layout::write_layout;
use crate::digest::hex;

/// A file or folder in a layer.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The path, relative to the root.
    pub path: &'a str,
    /// The permissions.
    pub mode: u32,
    /// What a file contains; a folder has nothing.
    pub content: Option<&'a [u8]>,
}

/// Files that an image adds to its root.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The compressed archive.
    blob: Blob,
    diff_id: String,
}

/// A manifest, its configuration and its layer.
#[derive(Clone, Debug)]
pub struct Image {
    blobs: [Blob; 3],
    platform: Option<Platform>,
}

/// Images under one name: one, or one per platform.
#[derive(Debug)]
pub struct Images {
    title: String,
    blobs: Vec<Blob>,
    /// What the name stands for.
    named: Descriptor,
    index: ImageIndex,
}

/// Content that is named by its digest.
#[derive(Clone, Debug)]
struct Blob {
    digest: Sha256Digest,
    bytes: Vec<u8>,
}

/// The digest of some bytes, `sha256:…`.
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

impl Layer {
    /// # Errors
    /// If a path is too long for the archive.
    pub fn of(entries: &[Entry<'_>]) -> anyhow::Result<Self> {
        let archive = archive(entries).context("the archive of a layer")?;
        let diff_id = digest_of(&archive);
        let blob = Blob::new(compress(&archive).context("a layer")?)?;
        Ok(Self { blob, diff_id })
    }

    /// The digest of the archive, by which the configuration names the layer.
    pub fn diff_id(&self) -> String {
        self.diff_id.clone()
    }
}

impl Image {
    /// An image of one layer, whose configuration names it.
    ///
    /// # Errors
    /// If a part cannot be encoded.
    pub fn new(
        configuration: &ImageConfiguration,
        layer: Layer,
        annotations: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let platform = platform(configuration)?;
        let configuration = Blob::of(configuration)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(configuration.descriptor(MediaType::ImageConfig)?)
            .layers([layer.blob.descriptor(MediaType::ImageLayerGzip)?])
            .annotations(owned(annotations))
            .build()?;
        let manifest = Blob::of(&manifest)?;
        Ok(Self { blobs: [layer.blob, configuration, manifest], platform })
    }

    fn descriptor(&self) -> anyhow::Result<Descriptor> {
        let [_, _, manifest] = &self.blobs;
        manifest.descriptor(MediaType::ImageManifest)
    }
}

/// The machines that run the image; any machine runs Wasm.
fn platform(configuration: &ImageConfiguration) -> anyhow::Result<Option<Platform>> {
    if *configuration.os() != Os::Linux {
        return Ok(None);
    }
    let platform = PlatformBuilder::default()
        .os(Os::Linux)
        .architecture(configuration.architecture().clone())
        .build()?;
    Ok(Some(platform))
}

impl Images {
    /// One image under this title and name.
    ///
    /// # Errors
    /// If a part cannot be encoded.
    pub fn one(image: Image, title: &str, name: &str) -> anyhow::Result<Self> {
        let named = image.descriptor()?;
        Self::named(named, image.blobs.into(), title, name)
    }

    /// The images of several platforms under one title and name.
    ///
    /// # Errors
    /// If a part cannot be encoded.
    pub fn of_platforms(images: Vec<Image>, title: &str, name: &str) -> anyhow::Result<Self> {
        let mut manifests = Vec::new();
        for image in &images {
            let mut manifest = image.descriptor()?;
            manifest.set_platform(image.platform.clone());
            manifests.push(manifest);
        }
        let index = Blob::of(&index(manifests)?)?;
        let named = index.descriptor(MediaType::ImageIndex)?;
        let mut blobs: Vec<_> = images.into_iter().flat_map(|image| image.blobs).collect();
        blobs.push(index);
        Self::named(named, blobs, title, name)
    }

    fn named(named: Descriptor, blobs: Vec<Blob>, title: &str, name: &str) -> anyhow::Result<Self> {
        let mut entry = named.clone();
        let annotations = [(ANNOTATION_TITLE, title), (ANNOTATION_REF_NAME, name)];
        entry.set_annotations(Some(owned(&annotations)));
        Ok(Self { title: title.to_owned(), blobs, named, index: index(vec![entry])? })
    }

    /// The digest by which registries and deployments name it, `sha256:…`.
    pub fn digest(&self) -> String {
        self.named.digest().to_string()
    }
}

impl Blob {
    fn new(bytes: Vec<u8>) -> anyhow::Result<Self> {
        let digest = hex(&Sha256::digest(&bytes)).parse().context("a digest")?;
        Ok(Self { digest, bytes })
    }

    fn of(value: &impl Serialize) -> anyhow::Result<Self> {
        Self::new(json(value)?)
    }

    fn descriptor(&self, media_type: MediaType) -> anyhow::Result<Descriptor> {
        let size = u64::try_from(self.bytes.len())?;
        Ok(Descriptor::new(media_type, size, self.digest.clone()))
    }
}

/// A tar archive that does not depend on the machine or the time. All is owned by root.
///
/// # Errors
/// If a path is too long.
pub fn archive(entries: &[Entry<'_>]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        let content = entry.content.unwrap_or_default();
        let mut header = Header::new_ustar();
        header.set_entry_type(match entry.content {
            Some(_) => EntryType::Regular,
            None => EntryType::Directory,
        });
        header.set_size(content.len() as u64);
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, entry.path, content)?;
    }
    archive.into_inner()
}

/// Compresses without a name or timestamp.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn compress(archive: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(archive)?;
    encoder.finish()
}

fn index(manifests: Vec<Descriptor>) -> anyhow::Result<ImageIndex> {
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .build()?;
    Ok(index)
}

fn owned(annotations: &[(&str, &str)]) -> HashMap<String, String> {
    annotations.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// JSON with sorted fields, because the order of hash maps varies.
fn json(value: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    let mut value = serde_json::to_value(value)?;
    value.sort_all_objects();
    Ok(serde_json::to_vec(&value)?)
}
