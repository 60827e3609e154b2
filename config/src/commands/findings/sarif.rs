//! Findings as SARIF 2.1.0, the format in which code hosts and editors read findings of
//! all tools. Only properties that findings have are written.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;

use crate::finding::{Code, Finding, Location, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

#[derive(Serialize)]
pub(super) struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    results: Vec<RunResult>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

/// A kind of findings, which SARIF calls a rule.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: Code,
    short_description: Message,
    help: Message,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: Severity,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunResult {
    rule_id: Code,
    level: Severity,
    message: Message,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Place>,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    fully_qualified_name: String,
    kind: &'static str,
}

pub(super) fn log(findings: &[Finding]) -> Log {
    let codes: BTreeSet<_> = findings.iter().map(|finding| finding.code).collect();
    let rules = codes.into_iter().map(rule).collect();
    let driver = Driver { name: "ingressctl", version: env!("CARGO_PKG_VERSION"), rules };
    let results = findings.iter().map(result).collect();
    // The columns of findings count characters.
    let run = Run { tool: Tool { driver }, column_kind: "unicodeCodePoints", results };
    Log { schema: SCHEMA, version: "2.1.0", runs: [run] }
}

fn rule(code: Code) -> Rule {
    let text = |text: &str| Message { text: text.to_owned() };
    Rule {
        id: code,
        short_description: text(code.summary()),
        help: text(code.explanation()),
        default_configuration: Configuration { level: code.severity() },
    }
}

fn result(finding: &Finding) -> RunResult {
    let text = finding.described();
    let object = finding
        .object
        .as_ref()
        .map(|object| LogicalLocation { fully_qualified_name: object.to_string(), kind: "object" });
    let place = finding.source.as_ref().map(|source| Place {
        physical_location: physical(source),
        logical_locations: object.into_iter().collect(),
    });
    let locations = place.into_iter().collect();
    let (rule_id, level) = (finding.code, finding.severity);
    RunResult { rule_id, level, message: Message { text }, locations }
}

fn physical(Location { file, line, column }: &Location) -> PhysicalLocation {
    PhysicalLocation {
        artifact_location: ArtifactLocation { uri: uri(file) },
        region: Region { start_line: *line, start_column: *column },
    }
}

/// The path as a URI; a relative path stays relative.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        // Characters that RFC 3986 does not encode in a path without a scheme.
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            uri.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        for (path, expected) in [
            ("manifests/web.yaml", "manifests/web.yaml"),
            ("../a b%.yaml", "../a%20b%25.yaml"),
            ("/srv/\u{e9}.yaml", "file:///srv/%C3%A9.yaml"),
            ("a:b#c?d", "a%3Ab%23c%3Fd"),
            ("<stdin>", "%3Cstdin%3E"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
