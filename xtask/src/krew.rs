//! The manifest with which krew installs `kubectl ingress`
//! (<https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/>).

use std::fmt::Write;

use crate::binary::Machine;
use crate::package;

/// The manifest, for archives with these digests at a URL.
pub(crate) fn manifest(archives: &[(Machine, String)], url: &str) -> String {
    let mut text = format!(
        r"apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: ingress
spec:
  version: v{version}
  homepage: {url}
  shortDescription: Check, explain and test Ingresses
  description: |
    Shows what an Ingress gateway based on Envoy does with the Ingresses and RouteRules of a
    cluster or of files: `kubectl ingress check --live` reports mistakes with their remedy,
    `kubectl ingress explain --live URL` shows which path serves a request and why,
    `kubectl ingress test` runs tests of routes.
  platforms:
",
        version = env!("CARGO_PKG_VERSION"),
    );
    for (machine, digest) in archives {
        let (name, arch) = (package::name(*machine), machine.name());
        // Writing to a string does not fail.
        let _ = write!(
            text,
            r"  - selector:
      matchLabels:
        os: linux
        arch: {arch}
    uri: {url}/{name}.tar.gz
    sha256: {digest}
    files:
    - from: {name}/ingressctl
      to: kubectl-ingress
    - from: {name}/LICENSE
      to: LICENSE
    bin: kubectl-ingress
"
        );
    }
    text
}
