//! The parts of the Dockerfile that must agree with other files.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(format!("../{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text between `before` and `after` in a file, at each occurrence.
fn values<'a>(text: &'a str, before: &str, after: char) -> Vec<&'a str> {
    let places = text.split(before).skip(1);
    places.map(|rest| rest.split(after).next().unwrap_or_default()).collect()
}

#[test]
fn the_image_is_built_by_the_toolchain_of_development() {
    let toolchain = read("rust-toolchain.toml");
    let [channel] = values(&toolchain, "channel = \"", '"')[..] else { panic!("{toolchain}") };
    let dockerfile = read("Dockerfile");
    assert_eq!(values(&dockerfile, "FROM rust:", '-'), [channel]);
    assert_eq!(values(&dockerfile, "RUSTUP_TOOLCHAIN=", '\n'), [channel]);
}

#[test]
fn the_image_is_of_this_version() {
    let dockerfile = read("Dockerfile");
    assert_eq!(values(&dockerfile, "image.version=\"", '"'), [env!("CARGO_PKG_VERSION")]);
    assert_eq!(values(&dockerfile, "--tag ingressctl:", ' '), [env!("CARGO_PKG_VERSION")]);
    assert_eq!(values(&dockerfile, "image.licenses=\"", '"'), ["Apache-2.0"]);
}

#[test]
fn the_image_runs_as_whom_the_deployment_says() {
    let (dockerfile, deployment) = (read("Dockerfile"), read("config/deploy/deployment.yaml"));
    let [user, group] = ["runAsUser: ", "runAsGroup: "].map(|field| {
        let [value] = values(&deployment, field, '\n')[..] else { panic!("one {field}") };
        value
    });
    assert_eq!(values(&dockerfile, "USER ", '\n'), [format!("{user}:{group}")]);
}

/// Cargo reads all packages of the workspace before it builds one.
#[test]
fn the_image_is_built_from_all_that_cargo_reads() {
    let ignored = read(".dockerignore");
    let included: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut needed = vec!["Cargo.toml".to_owned(), "Cargo.lock".to_owned()];
    let workspace = read("Cargo.toml");
    let [members] = values(&workspace, "\nmembers = [", ']')[..] else { panic!("{workspace}") };
    for member in members.split('"').skip(1).step_by(2) {
        needed.extend(["Cargo.toml", "src"].map(|path| format!("{member}/{path}")));
        let manifest = read(&format!("{member}/Cargo.toml"));
        for (kind, folder) in [("test", "tests"), ("bench", "benches")] {
            let names = values(&manifest, &format!("[[{kind}]]\nname = \""), '"');
            needed.extend(names.iter().map(|name| format!("{member}/{folder}/{name}.rs")));
        }
    }
    let build = read("config/build.rs");
    let scripts = values(&build, "\"config/", '"').into_iter();
    needed.extend(scripts.filter_map(|text| Some(format!("config/{}", text.split(' ').next()?))));
    assert!(needed.contains(&"config/module-linker.sh".to_owned()), "{needed:?}");
    let is_included = |path: &str| included.iter().any(|it| Path::new(path).starts_with(it));
    needed.retain(|path| !is_included(path));
    assert_eq!(needed, [""; 0], "not in .dockerignore");
}
