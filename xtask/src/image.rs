//! The image of the controller, without a container engine: what the last stage of the
//! Dockerfile describes, on an empty root.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use ingressctl::oci::{Entry, Image, Images, Layer, write_layout};
use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REVISION, ANNOTATION_TITLE,
    ANNOTATION_VERSION, ConfigBuilder, ImageConfiguration, ImageConfigurationBuilder, Os,
    RootFsBuilder,
};

use crate::binary::Machine;
use crate::step::{run, workspace};

const TITLE: &str = "ingressctl";
const DESCRIPTION: &str = "A Kubernetes Ingress for Envoy, as a Proxy-Wasm module: the \
                           controller, with the module in it";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const LICENSES: &str = "Apache-2.0";

/// The user of the Dockerfile has a name, which some programs look up.
const PASSWD: &[u8] = b"root:x:0:0:root:/root:/sbin/nologin\n\
                        nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &[u8] = b"root:x:0:\nnonroot:x:65532:\n";

/// Where the program is in the image.
pub(crate) const PROGRAM: &str = "usr/local/bin/ingressctl";

/// The images of all machines under one name.
pub(crate) fn of(binaries: &[(Machine, Vec<u8>)], commit: &str) -> anyhow::Result<Images> {
    let license = fs::read(workspace().join("LICENSE"))?;
    let stage = Stage::read()?;
    let mut images = Vec::new();
    for (machine, binary) in binaries {
        let layer = Layer::of(&root(binary, &license))?;
        let configuration = stage.configuration(*machine, &layer, commit)?;
        images.push(Image::new(&configuration, layer, &labels(commit))?);
    }
    Images::of_platforms(images, TITLE, VERSION)
}

/// Writes images as an archive of an OCI layout, which does not depend on the time.
pub(crate) fn write(images: &Images, path: &Path) -> anyhow::Result<()> {
    let layout = tempfile::tempdir()?;
    write_layout(images, layout.path())?;
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=go=rX,u+rw", "--create", "--file"]).arg(path);
    run(tar.arg("--directory").arg(layout.path()).args(["blobs", "index.json", "oci-layout"]))
}

/// All files of the image.
fn root<'a>(binary: &'a [u8], license: &'a [u8]) -> Vec<Entry<'a>> {
    let folder = |path| Entry { path, mode: 0o755, content: None };
    let file = |path, content| Entry { path, mode: 0o644, content: Some(content) };
    vec![
        folder("etc/"),
        file("etc/passwd", PASSWD),
        file("etc/group", GROUP),
        Entry { path: "tmp/", mode: 0o1777, content: None },
        folder("usr/"),
        folder("usr/local/"),
        folder("usr/local/bin/"),
        Entry { path: PROGRAM, mode: 0o755, content: Some(binary) },
        folder("usr/share/"),
        folder("usr/share/doc/"),
        folder("usr/share/doc/ingressctl/"),
        file("usr/share/doc/ingressctl/LICENSE", license),
    ]
}

fn labels(commit: &str) -> [(&'static str, &str); 5] {
    [
        (ANNOTATION_TITLE, TITLE),
        (ANNOTATION_DESCRIPTION, DESCRIPTION),
        (ANNOTATION_VERSION, VERSION),
        (ANNOTATION_REVISION, commit),
        (ANNOTATION_LICENSES, LICENSES),
    ]
}

/// The last stage of the Dockerfile.
struct Stage(String);

impl Stage {
    fn read() -> anyhow::Result<Self> {
        let path = workspace().join("Dockerfile");
        let text = fs::read_to_string(path).context("Dockerfile")?;
        let (_, stage) = text.rsplit_once("\nFROM ").context("Dockerfile has no stage")?;
        Ok(Self(stage.to_owned()))
    }

    /// The rest of each line with this instruction.
    fn all<'a>(&'a self, instruction: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.0.lines();
        lines.filter_map(move |line| line.strip_prefix(instruction)?.strip_prefix(' '))
    }

    fn one(&self, instruction: &str) -> anyhow::Result<String> {
        let first = self.all(instruction).next();
        Ok(first.with_context(|| format!("Dockerfile has no {instruction}"))?.to_owned())
    }

    fn words(&self, instruction: &str) -> anyhow::Result<Vec<String>> {
        serde_json::from_str(&self.one(instruction)?).context(instruction.to_owned())
    }

    fn configuration(
        &self,
        machine: Machine,
        layer: &Layer,
        commit: &str,
    ) -> anyhow::Result<ImageConfiguration> {
        let path = "PATH=/usr/local/bin:/usr/bin:/bin".to_owned();
        let environment: Vec<_> =
            [path].into_iter().chain(self.all("ENV").map(str::to_owned)).collect();
        let labels: HashMap<_, _> =
            labels(commit).map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let config = ConfigBuilder::default()
            .user(self.one("USER")?)
            .env(environment)
            .entrypoint(self.words("ENTRYPOINT")?)
            .cmd(self.words("CMD")?)
            .working_dir("/")
            .labels(labels)
            .build()?;
        let layers = RootFsBuilder::default().diff_ids([layer.diff_id()]).build()?;
        let configuration = ImageConfigurationBuilder::default()
            .architecture(machine.arch())
            .os(Os::Linux)
            .config(config)
            .rootfs(layers)
            .build()?;
        Ok(configuration)
    }
}
