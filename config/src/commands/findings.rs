//! The forms in which findings are printed.

mod json;
mod sarif;
mod terminal;

use std::collections::HashMap;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};

use crate::finding::Finding;
use crate::manifest::Object;
use crate::object_ref::ObjectRef;

/// The text format: on a terminal with the lines of the manifests and in colour (unless
/// `NO_COLOR` is set), otherwise one line per finding.
pub(super) fn text(findings: &[Finding], to: &impl RawStream) -> String {
    if to.is_terminal() {
        return terminal::render(findings, AutoStream::choice(to) != ColorChoice::Never);
    }
    findings.iter().map(|finding| finding.to_string() + "\n").collect()
}

/// One JSON object per line.
pub(super) fn json<'a>(
    findings: &[Finding],
    objects: impl Iterator<Item = &'a Object>,
) -> serde_json::Result<String> {
    let versions = ApiVersions::of(objects);
    let lines = findings.iter().map(|finding| json::line(finding, &versions));
    lines.collect()
}

/// One SARIF log.
pub(super) fn sarif(findings: &[Finding]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&sarif::log(findings))
}

/// The version in which objects are written, which a finding does not know.
struct ApiVersions<'a>(HashMap<(Option<&'a str>, ObjectRef), &'a str>);

impl<'a> ApiVersions<'a> {
    fn of(objects: impl Iterator<Item = &'a Object>) -> Self {
        let versions = objects
            .map(|object| ((object.file.as_deref(), object.reference()), &*object.api_version));
        Self(versions.collect())
    }

    fn of_object(&self, finding: &Finding, object: &ObjectRef) -> Option<&'a str> {
        let file = finding.source.as_ref().map(|source| &*source.file);
        self.0.get(&(file, object.clone())).copied()
    }
}
