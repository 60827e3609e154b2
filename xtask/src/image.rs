//! The image of the controller, without a container engine: what the last stage of the
//! Dockerfile describes, on an empty root.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use ingressctl::oci::{Entry, Image, Images, Layer, write_layout};
use oci_spec::image::{
    ANNOTATION_TITLE, ANNOTATION_VERSION, ConfigBuilder, ImageConfiguration,
    ImageConfigurationBuilder, Os, RootFsBuilder,
};

use crate::binary::Machine;
use crate::step::{run, workspace};

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
    let labels = stage.labels(commit)?;
    let annotations: Vec<_> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    let mut images = Vec::new();
    for (machine, binary) in binaries {
        let layer = Layer::of(&root(binary, &license))?;
        let configuration = stage.configuration(*machine, &layer, &labels)?;
        images.push(Image::new(&configuration, layer, &annotations)?);
    }
    let label = |name| labels.get(name).with_context(|| format!("Dockerfile: no LABEL {name}"));
    Images::of_platforms(images, label(ANNOTATION_TITLE)?, label(ANNOTATION_VERSION)?)
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

type Labels = BTreeMap<String, String>;

/// The last stage of the Dockerfile, with each instruction in one line.
struct Stage(String);

impl Stage {
    fn read() -> anyhow::Result<Self> {
        let path = workspace().join("Dockerfile");
        let text = fs::read_to_string(path).context("Dockerfile")?;
        let (_, stage) = text.rsplit_once("\nFROM ").context("Dockerfile has no stage")?;
        Ok(Self(stage.replace("\\\n", " ")))
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

    /// The labels, in which only the commit is a variable.
    fn labels(&self, commit: &str) -> anyhow::Result<Labels> {
        let mut labels = Labels::new();
        for line in self.all("LABEL") {
            let value = line.replace("${REVISION}", commit);
            let mut rest = value.trim();
            while !rest.is_empty() {
                let label = rest.split_once("=\"").and_then(|(name, rest)| {
                    let (value, rest) = rest.split_once('"')?;
                    Some((name, value, rest))
                });
                let (name, value, after) =
                    label.with_context(|| format!("Dockerfile: {rest} is not NAME=\"VALUE\""))?;
                ensure!(!value.contains(['$', '\\']), "Dockerfile: LABEL {name} has {value}");
                labels.insert(name.to_owned(), value.to_owned());
                rest = after.trim_start();
            }
        }
        Ok(labels)
    }

    fn configuration(
        &self,
        machine: Machine,
        layer: &Layer,
        labels: &Labels,
    ) -> anyhow::Result<ImageConfiguration> {
        let path = "PATH=/usr/local/bin:/usr/bin:/bin".to_owned();
        let environment: Vec<_> =
            [path].into_iter().chain(self.all("ENV").map(str::to_owned)).collect();
        let config = ConfigBuilder::default()
            .user(self.one("USER")?)
            .env(environment)
            .entrypoint(self.words("ENTRYPOINT")?)
            .cmd(self.words("CMD")?)
            .working_dir("/")
            .labels(labels.clone().into_iter().collect::<HashMap<_, _>>())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_are_those_of_the_dockerfile() {
        let labels = Stage::read().unwrap().labels("abc").unwrap();
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| {
                (name.strip_prefix("org.opencontainers.image.").unwrap(), &**value)
            })
            .collect();
        let [description, rest @ ..] = &labels[..] else { panic!("{labels:?}") };
        assert_eq!(description.0, "description");
        assert!(description.1.ends_with("with the module in it"), "{labels:?}");
        assert_eq!(
            rest,
            [
                ("licenses", "Apache-2.0"),
                ("revision", "abc"),
                ("title", "ingressctl"),
                ("version", env!("CARGO_PKG_VERSION")),
            ]
        );
    }

    #[test]
    fn a_label_that_is_not_understood_is_an_error() {
        for label in ["LABEL a=b", "LABEL a=\"${OTHER}\"", "LABEL a=\"b"] {
            assert!(Stage(label.to_owned()).labels("abc").is_err(), "{label}");
        }
    }
}
