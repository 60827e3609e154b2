//! A finding as a JSON object.

use serde::Serialize;

use super::ApiVersions;
use crate::finding::{Code, Finding, Severity};
use crate::object_ref::ObjectRef;

/// Unknown fields are omitted.
#[derive(Serialize)]
struct Record<'a> {
    severity: Severity,
    code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'a str>,
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

pub(super) fn line(finding: &Finding, versions: &ApiVersions<'_>) -> serde_json::Result<String> {
    let source = finding.source.as_ref();
    let object = finding.object.as_ref().map(|object| {
        let ObjectRef { kind, namespace, name } = object;
        Object { api_version: versions.of_object(finding, object), kind, namespace, name }
    });
    let record = Record {
        severity: finding.severity,
        code: finding.code,
        file: source.map(|source| &*source.file),
        line: source.map(|source| source.line),
        column: source.map(|source| source.column),
        object,
        field: finding.field.as_deref(),
        message: &finding.message,
    };
    Ok(serde_json::to_string(&record)? + "\n")
}
