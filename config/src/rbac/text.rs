//! RBAC objects as text for `kubectl apply`.

use anyhow::Context;
use serde_json::json;

use super::Grant;

/// YAML, with a comment on each object that gives the reason for it.
pub(crate) fn to_yaml(grants: &[Grant]) -> anyhow::Result<String> {
    let documents = grants.iter().map(|Grant { why, object }| {
        let object = serde_saphyr::to_string(object).context("YAML")?;
        Ok(format!("# {why}\n{object}"))
    });
    let documents: anyhow::Result<Vec<_>> = documents.collect();
    Ok(documents?.join("---\n"))
}

/// A `List` in JSON.
pub(crate) fn to_json(grants: &[Grant]) -> anyhow::Result<String> {
    let items: Vec<_> = grants.iter().map(|grant| &grant.object).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}
