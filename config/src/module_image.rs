//! The module as an OCI image, for your own Envoy: one layer with one file, in the
//! variant of the Wasm Image Specification that all registries accept and that
//! Istio and Envoy Gateway support
//! (<https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md>).

use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_TITLE, ANNOTATION_VERSION, Arch,
    ImageConfigurationBuilder, Os, RootFsBuilder,
};

use crate::oci::{Entry, Image, Images, Layer};

/// The title of the image, by which a folder with one is recognized.
const TITLE: &str = "ingress_filter.wasm";
const DESCRIPTION: &str = "A Kubernetes Ingress for Envoy, as a Proxy-Wasm module";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const LICENSES: &str = "Apache-2.0";

/// The name by which clients find the module in the image.
const FILE: &str = "plugin.wasm";
const VARIANT: (&str, &str) = ("module.wasm.image/variant", "compat");

/// An image of this module.
///
/// # Errors
/// If a part cannot be encoded.
pub fn module_image(module: &[u8]) -> anyhow::Result<Images> {
    let layer = Layer::of(&[Entry { path: FILE, mode: 0o644, content: Some(module) }])?;
    let layers = RootFsBuilder::default().diff_ids([layer.diff_id()]).build()?;
    let configuration = ImageConfigurationBuilder::default()
        .architecture(Arch::Wasm)
        .os(Os::Other("wasip1".into()))
        .rootfs(layers)
        .build()?;
    let annotations = [
        VARIANT,
        (ANNOTATION_TITLE, TITLE),
        (ANNOTATION_DESCRIPTION, DESCRIPTION),
        (ANNOTATION_VERSION, VERSION),
        (ANNOTATION_LICENSES, LICENSES),
    ];
    Images::one(Image::new(&configuration, layer, &annotations)?, TITLE, VERSION)
}
