//! Rights as `kubectl apply` takes them.

use anyhow::Context;
use serde_json::json;

use super::Grant;

/// YAML, with a comment on each object that says why it is there.
pub(crate) fn to_yaml(grants: &[Grant]) -> anyhow::Result<String> {
    let documents = grants.iter().map(|Grant { why, object }| {
        let object = serde_saphyr::to_string(object).context("YAML")?;
        Ok(format!("# {why}\n{object}"))
    });
    let documents: anyhow::Result<Vec<_>> = documents.collect();
    Ok(documents?.join("---\n"))
}

/// JSON, in a List.
pub(crate) fn to_json(grants: &[Grant]) -> anyhow::Result<String> {
    let items: Vec<_> = grants.iter().map(|grant| &grant.object).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}
