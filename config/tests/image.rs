//! The parts of the Dockerfile that must agree with other files.

use std::fs;

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
