//! `ingressctl module`: the module as a file, and as an image that others read.

mod sandbox;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Output;

use flate2::read::GzDecoder;
use ingressctl::MODULE;
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest, OciLayout};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn module(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = sandbox::ingressctl();
    command.current_dir(folder).arg("module").args(arguments).output().expect("ingressctl runs")
}

/// The output of a successful run.
#[track_caller]
fn written(folder: &Path, arguments: &[&str]) -> String {
    let output = module(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Asserts that it fails without writing anything, with this message.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str], why: &str) {
    let before = files(folder);
    let output = module(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains(why), "{said}");
    assert_eq!(files(folder), before);
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let below = self::files(&path);
            files.extend(
                below
                    .into_iter()
                    .map(|(name, bytes)| (Path::new(path.file_name().unwrap()).join(name), bytes)),
            );
        } else {
            files.insert(path.file_name().unwrap().into(), fs::read(&path).unwrap());
        }
    }
    files
}

/// The content of a descriptor, which must have its digest and size.
fn blob(image: &Path, descriptor: &Value) -> Vec<u8> {
    let name = descriptor["digest"].as_str().unwrap();
    let bytes = fs::read(image.join("blobs").join(name.replace(':', "/"))).unwrap();
    assert_eq!(digest(&bytes), name);
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn the_module_is_written_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filter.wasm");
    for earlier in [None, Some(&b"an earlier one"[..])] {
        if let Some(earlier) = earlier {
            fs::write(&path, earlier).unwrap();
        }
        assert_eq!(written(folder.path(), &["-o", "filter.wasm"]), digest(MODULE));
        assert!(fs::read(&path).unwrap() == MODULE, "the file must be the module");
    }
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn a_link_to_a_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("v1.wasm");
    fs::write(&file, "an earlier one").unwrap();
    let link = folder.path().join("filter.wasm");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    written(folder.path(), &["-o", "filter.wasm"]);
    assert!(link.is_symlink());
    assert!(fs::read(&file).unwrap() == MODULE, "the file must be the module");
}

#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path(), &["-o", "."], "./ingress_filter.wasm, or write an image with");
    refused(folder.path(), &["-o", "/dev/null"], "/dev/null is not a regular file");
    refused(folder.path(), &["-o", "missing/filter.wasm"], "file missing/filter.wasm: ");
}

#[test]
fn the_image_holds_the_module() {
    let folder = tempfile::tempdir().unwrap();
    let printed = written(folder.path(), &["--format", "oci", "-o", "image"]);
    let image = folder.path().join("image");
    assert_eq!(json(&fs::read(image.join("oci-layout")).unwrap())["imageLayoutVersion"], "1.0.0");

    let index = json(&fs::read(image.join("index.json")).unwrap());
    let [of_manifest] = &index["manifests"].as_array().unwrap()[..] else { panic!("{index}") };
    assert_eq!(of_manifest["digest"], printed);
    assert_eq!(of_manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(
        of_manifest["annotations"]["org.opencontainers.image.ref.name"],
        env!("CARGO_PKG_VERSION")
    );

    let manifest = json(&blob(&image, of_manifest));
    assert_eq!(manifest["schemaVersion"], 2);
    // Istio and Envoy Gateway find the module by this.
    assert_eq!(manifest["annotations"]["module.wasm.image/variant"], "compat");
    let [of_layer] = &manifest["layers"].as_array().unwrap()[..] else { panic!("{manifest}") };
    assert_eq!(of_layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let mut archive = Vec::new();
    GzDecoder::new(&blob(&image, of_layer)[..]).read_to_end(&mut archive).unwrap();

    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    let configuration = json(&blob(&image, &manifest["config"]));
    assert_eq!(configuration["rootfs"]["diff_ids"], serde_json::json!([digest(&archive)]));

    let mut archive = tar::Archive::new(&archive[..]);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut file = entries.next().unwrap();
    assert_eq!(file.path().unwrap(), Path::new("plugin.wasm"));
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert!(content == MODULE, "the file must be the module");
    assert!(entries.next().is_none());
    // There are no other files.
    assert_eq!(files(&image).len(), 5);
}

#[test]
fn the_image_is_what_the_specification_says() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &["--format", "oci", "-o", "."]);
    let file = |name: &str| folder.path().join(name);
    OciLayout::from_file(file("oci-layout")).unwrap();
    let index = ImageIndex::from_file(file("index.json")).unwrap();
    let blob = |digest: &str| file("blobs/sha256").join(digest);
    let manifest = blob(index.manifests()[0].digest().digest());
    let manifest = ImageManifest::from_file(manifest).unwrap();
    ImageConfiguration::from_file(blob(manifest.config().digest().digest())).unwrap();
}

#[test]
fn the_same_module_gives_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let images = ["first", "second"].map(|name| {
        written(folder.path(), &["--format", "oci", "-o", name]);
        files(&folder.path().join(name))
    });
    assert!(images[0] == images[1], "the images differ");
}

#[test]
fn an_earlier_image_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let write = || written(folder.path(), &["--format", "oci", "-o", "image"]);
    write();
    let new = files(&image);
    fs::write(image.join("blobs/sha256").join("0".repeat(64)), "of an earlier one").unwrap();
    let index = fs::read_to_string(image.join("index.json")).unwrap();
    fs::write(image.join("index.json"), index.replace("0.1.0", "0.0.9")).unwrap();
    write();
    assert!(files(&image) == new, "only the new image must be left");
}

#[test]
fn what_is_no_image_of_the_module_stays() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "text").unwrap();
    refused(folder.path(), &["--format", "oci", "-o", "file"], "file is a file");
    refused(folder.path(), &["--format", "oci", "-o", "."], ". contains files other than");

    // An image with an additional file, and an image of something else.
    written(folder.path(), &["--format", "oci", "-o", "image"]);
    let image = folder.path().join("image");
    fs::write(image.join("notes"), "text").unwrap();
    refused(folder.path(), &["--format", "oci", "-o", "image"], "image contains files other than");
    fs::remove_file(image.join("notes")).unwrap();
    let index = fs::read_to_string(image.join("index.json")).unwrap();
    for other in [index.replace("ingress_filter", "other"), "{}".into(), String::new()] {
        fs::write(image.join("index.json"), other).unwrap();
        refused(
            folder.path(),
            &["--format", "oci", "-o", "image"],
            "image contains files other than",
        );
    }
}
