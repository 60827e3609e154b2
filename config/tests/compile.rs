//! The command `compile` as scripts see it: the files that it writes, and when.

mod sandbox;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use sandbox::{INGRESS, NO_SERVICE, SERVICE, Sandbox};

const COMPILE: [&str; 7] =
    ["compile", "-f", "ingress.yaml", "-f", "service.yaml", "-o", "out/deep"];

/// Every file in `folder`, by its relative path.
fn files(folder: &Path) -> Vec<(String, fs::Metadata)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below it").display().to_string();
                all.push((name, fs::metadata(&path).expect("a file")));
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_iter().map(|(name, _)| name).collect()
}

const WRITTEN: [&str; 7] = [
    "bootstrap.json",
    "cds.json",
    "ecds.json",
    "ingress_filter.wasm",
    "lds.json",
    "rds.json",
    "route-table.json",
];

#[test]
fn compile_writes_all_that_envoy_needs() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)]);
    let mut arguments = COMPILE.to_vec();
    arguments.extend(["--http", "127.0.0.1:7001", "--admin", "127.0.0.1:7002"]);
    sandbox.run(&arguments).expect(0, "", "");
    let out = sandbox.path("out/deep");
    assert_eq!(names(&out), WRITTEN);
    let read = |name: &str| fs::read(out.join(name)).expect("a written file");
    assert_eq!(read("ingress_filter.wasm"), ingressctl::MODULE);
    ingress_filter::Router::load(&read("route-table.json")).expect("a table the filter accepts");
    for (name, port) in [("lds.json", "7001"), ("bootstrap.json", "7002")] {
        assert!(String::from_utf8(read(name)).expect("UTF-8").contains(port), "{name}");
    }
    // Envoy may run in another folder, and as another user.
    let bootstrap = String::from_utf8(read("bootstrap.json")).expect("UTF-8");
    let absolute = out.canonicalize().expect("a folder").join("cds.json");
    assert!(bootstrap.contains(absolute.to_str().expect("UTF-8")), "{bootstrap}");
    for (name, metadata) in files(&out) {
        let ours = fs::metadata(sandbox.path("ingress.yaml")).expect("a file").permissions();
        assert_eq!(metadata.permissions().mode(), ours.mode(), "{name}");
    }
}

#[test]
fn compile_writes_only_what_changed() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)]);
    let out = sandbox.path("out/deep");
    let inodes = || -> Vec<_> {
        files(&out).into_iter().map(|(name, data)| (name, data.ino(), data.mtime_nsec())).collect()
    };
    sandbox.run(&COMPILE).expect(0, "", "");
    let before = inodes();
    sandbox.run(&COMPILE).expect(0, "", "");
    assert_eq!(inodes(), before);
    sandbox.write("service.yaml", &SERVICE.replace("10.0.0.1", "10.0.0.2"));
    sandbox.run(&COMPILE).expect(0, "", "");
    let changed: Vec<_> =
        inodes().into_iter().filter(|now| !before.contains(now)).map(|(name, ..)| name).collect();
    assert_eq!(changed, ["cds.json"]);
}

#[test]
fn compile_writes_the_rest_where_something_is_wrong() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS)]);
    sandbox.run(&["compile", "-f", "ingress.yaml", "-o", "out"]).expect(
        1,
        "",
        &format!("ingress.yaml:12:35: {NO_SERVICE}\n1 error; the rest was written to out\n"),
    );
    let table = fs::read_to_string(sandbox.path("out/route-table.json")).expect("a table");
    assert!(table.contains("/cart") && table.contains("503"), "{table}");
}

#[test]
fn compile_writes_nothing_where_anything_cannot_be_read() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", "a: b: c\n")]);
    let output = sandbox.run(&COMPILE);
    assert_eq!((output.code, &*output.stdout), (Some(3), ""));
    assert!(output.stderr.contains("service.yaml:1:5: error: is not valid YAML"), "{output:?}");
    assert!(output.stderr.contains("nothing was written"), "{output:?}");
    assert!(!sandbox.path("out").exists());

    sandbox.write("service.yaml", SERVICE);
    sandbox.run(&COMPILE).expect(0, "", "");
    let before = fs::read(sandbox.path("out/deep/cds.json")).expect("a file");
    fs::remove_file(sandbox.path("service.yaml")).expect("remove it");
    assert_eq!(sandbox.run(&COMPILE).code, Some(3));
    assert_eq!(fs::read(sandbox.path("out/deep/cds.json")).expect("a file"), before);
}

#[test]
fn compile_names_a_folder_it_cannot_write_to() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)]);
    let file = ["compile", "-f", "ingress.yaml", "-f", "service.yaml", "-o", "service.yaml"];
    let output = sandbox.run(&file);
    assert_eq!(output.code, Some(3));
    assert!(output.stderr.starts_with("ingressctl: folder service.yaml: "), "{output:?}");
}
