//! Whether this controller wrote a status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

/// Whether only `manager` wrote `status.loadBalancer.ingress` of an Ingress, so that it may
/// remove it.
///
/// The list is atomic: its owner is the last manager that changed it. A patch without a
/// change does not change the owner. Only server-side apply can give it several owners,
/// which agree on the value.
pub(in crate::controller) fn is_published_by(
    managed_fields: &[ManagedFieldsEntry],
    manager: &str,
) -> bool {
    let mut owners = managed_fields.iter().filter(|entry| owns_addresses(entry)).peekable();
    owners.peek().is_some() && owners.all(|owner| owner.manager.as_deref() == Some(manager))
}

fn owns_addresses(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    let balancer = fields.and_then(|fields| fields.get("f:status")?.get("f:loadBalancer"));
    match balancer {
        // The whole list, if the fields are not listed separately.
        Some(Value::Object(fields)) => fields.is_empty() || fields.contains_key("f:ingress"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const US: &str = "ingressctl/istio-system/istio-ingress";

    fn managed_fields(entries: Value) -> Vec<ManagedFieldsEntry> {
        serde_json::from_value(entries).unwrap()
    }

    /// The response of kube-apiserver v1.20.2 for an object that kubectl applied.
    fn applied(api_version: &str) -> Value {
        json!({
            "apiVersion": api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": { "f:annotations": {
                    ".": {},
                    "f:kubectl.kubernetes.io/last-applied-configuration": {},
                } },
                "f:spec": { "f:backend": { ".": {}, "f:serviceName": {}, "f:servicePort": {} } },
            },
            "manager": "kubectl-client-side-apply",
            "operation": "Update",
            "time": "2026-11-24T18:30:00Z",
        })
    }

    /// Its entry for a manager that patched the status.
    fn patched(api_version: &str, manager: &str, operation: &str) -> Value {
        json!({
            "apiVersion": api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": { "f:status": { "f:loadBalancer": { "f:ingress": {} } } },
            "manager": manager,
            "operation": operation,
            "time": "2026-11-24T18:30:01Z",
        })
    }

    #[test]
    fn a_merge_patch_makes_us_the_owner_in_each_version() {
        for version in ["networking.k8s.io/v1", "networking.k8s.io/v1beta1", "extensions/v1beta1"] {
            let fields = managed_fields(json!([patched(version, US, "Update"), applied(version)]));
            assert!(is_published_by(&fields, US), "{version}");
            assert!(!is_published_by(&fields, "ingressctl/istio-system/other"), "{version}");
        }
    }

    #[test]
    fn later_servers_name_the_subresource() {
        let mut entry = patched("networking.k8s.io/v1", US, "Update");
        entry["subresource"] = json!("status");
        assert!(is_published_by(&managed_fields(json!([entry])), US));
    }

    #[test]
    fn another_who_changed_it_is_its_owner() {
        let version = "networking.k8s.io/v1";
        let fields = managed_fields(json!([applied(version), patched(version, "other", "Update")]));
        assert!(!is_published_by(&fields, US));
        assert!(is_published_by(&fields, "other"));
    }

    #[test]
    fn what_another_has_applied_too_is_not_ours_alone() {
        let version = "networking.k8s.io/v1";
        let fields = managed_fields(json!([
            patched(version, "ssa", "Apply"),
            applied(version),
            patched(version, US, "Update"),
        ]));
        assert!(!is_published_by(&fields, US));
    }

    #[test]
    fn an_entry_of_ours_for_something_else_is_not_it() {
        let labels = json!({
            "apiVersion": "networking.k8s.io/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": { "f:metadata": { "f:labels": { ".": {}, "f:x": {} } } },
            "manager": US,
            "operation": "Update",
        });
        let applied = applied("networking.k8s.io/v1");
        for entries in [json!([]), json!([applied]), json!([applied, labels])] {
            assert!(!is_published_by(&managed_fields(entries), US));
        }
    }
}
