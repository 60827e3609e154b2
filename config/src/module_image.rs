//! The module as an OCI image, for your own Envoy: one layer with one file, in the
//! variant of the Wasm Image Specification that all registries accept and that
//! Istio and Envoy Gateway support
//! (<https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md>).
//!
//! The same module gives the same bytes: they contain no timestamp or host name.

mod layout;

use std::collections::HashMap;
use std::io::{self, Write};

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REF_NAME, ANNOTATION_TITLE,
    ANNOTATION_VERSION, Arch, Descriptor, ImageConfiguration, ImageConfigurationBuilder,
    ImageIndex, ImageIndexBuilder, ImageManifest, ImageManifestBuilder, MediaType, Os,
    RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// The title of the image, by which a folder with one is recognized.
const TITLE: &str = "ingress_filter.wasm";
const DESCRIPTION: &str = "A Kubernetes Ingress for Envoy, as a Proxy-Wasm module";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const LICENSES: &str = "Apache-2.0";

/// The name by which clients find the module in the image.
const FILE: &str = "plugin.wasm";
const VARIANT: (&str, &str) = ("module.wasm.image/variant", "compat");

/// An image and its parts.
#[derive(Debug)]
pub(crate) struct Image {
    /// The layer, the configuration and the manifest.
    blobs: [Blob; 3],
    index: Vec<u8>,
}

/// Content that is named by its digest.
#[derive(Debug)]
struct Blob {
    digest: Sha256Digest,
    bytes: Vec<u8>,
}

impl Image {
    /// An image of this module.
    pub(crate) fn of(module: &[u8]) -> anyhow::Result<Self> {
        let archive = archive(module).context("an archive of the module")?;
        let diff_id = sha256(&archive)?;
        let layer = Blob::new(compress(&archive).context("the layer")?)?;
        let configuration = Blob::of(&configuration(&diff_id)?)?;
        let manifest = Blob::of(&manifest(&configuration, &layer)?)?;
        let index = json(&index(&manifest)?)?;
        Ok(Self { blobs: [layer, configuration, manifest], index })
    }

    /// The digest of the image in registries and deployments, `sha256:…`.
    pub(crate) fn digest(&self) -> String {
        let [_, _, manifest] = &self.blobs;
        format!("sha256:{}", manifest.digest)
    }
}

impl Blob {
    fn new(bytes: Vec<u8>) -> anyhow::Result<Self> {
        Ok(Self { digest: sha256(&bytes)?, bytes })
    }

    fn of(value: &impl Serialize) -> anyhow::Result<Self> {
        Self::new(json(value)?)
    }

    fn descriptor(&self, media_type: MediaType) -> anyhow::Result<Descriptor> {
        let size = u64::try_from(self.bytes.len())?;
        Ok(Descriptor::new(media_type, size, self.digest.clone()))
    }
}

/// The digest of some bytes, `sha256:…`.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

fn sha256(bytes: &[u8]) -> anyhow::Result<Sha256Digest> {
    hex(&Sha256::digest(bytes)).parse().context("a digest")
}

/// A tar archive with only the module. Its bytes do not depend on the machine or
/// the time.
fn archive(module: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, FILE, module)?;
    archive.into_inner()
}

/// Compresses without a name or timestamp.
fn compress(archive: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(archive)?;
    encoder.finish()
}

fn configuration(diff_id: &Sha256Digest) -> anyhow::Result<ImageConfiguration> {
    let layers = RootFsBuilder::default().diff_ids([format!("sha256:{diff_id}")]).build()?;
    let configuration = ImageConfigurationBuilder::default()
        .architecture(Arch::Wasm)
        .os(Os::Other("wasip1".into()))
        .rootfs(layers)
        .build()?;
    Ok(configuration)
}

fn manifest(configuration: &Blob, layer: &Blob) -> anyhow::Result<ImageManifest> {
    let annotations = [
        VARIANT,
        (ANNOTATION_TITLE, TITLE),
        (ANNOTATION_DESCRIPTION, DESCRIPTION),
        (ANNOTATION_VERSION, VERSION),
        (ANNOTATION_LICENSES, LICENSES),
    ];
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(configuration.descriptor(MediaType::ImageConfig)?)
        .layers([layer.descriptor(MediaType::ImageLayerGzip)?])
        .annotations(owned(annotations))
        .build()?;
    Ok(manifest)
}

fn index(manifest: &Blob) -> anyhow::Result<ImageIndex> {
    let mut manifest = manifest.descriptor(MediaType::ImageManifest)?;
    let annotations = [(ANNOTATION_TITLE, TITLE), (ANNOTATION_REF_NAME, VERSION)];
    manifest.set_annotations(Some(owned(annotations)));
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests([manifest])
        .build()?;
    Ok(index)
}

fn owned<const N: usize>(annotations: [(&str, &str); N]) -> HashMap<String, String> {
    annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// JSON with sorted fields, because the order of hash maps varies.
fn json(value: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    let mut value = serde_json::to_value(value)?;
    value.sort_all_objects();
    Ok(serde_json::to_vec(&value)?)
}
