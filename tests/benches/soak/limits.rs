//! The memory limits of the deployment.

use std::fs;

use ingress_tests::workspace;
use serde_json::Value;

/// In MiB.
pub(crate) struct Limits {
    pub(crate) envoy: u32,
    pub(crate) controller: u32,
}

impl Limits {
    /// The limits in `config/deploy/deployment.yaml`.
    pub(crate) fn of_deployment() -> Self {
        let file = workspace().join("config/deploy/deployment.yaml");
        let text = fs::read_to_string(file).expect("a deployment");
        let deployment: Value = serde_saphyr::from_str(&text).expect("YAML");
        let limit = |name: &str| {
            let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
            let container = containers.into_iter().flatten().find(|it| it["name"] == name);
            let limit = container.and_then(|it| it["resources"]["limits"]["memory"].as_str());
            limit.and_then(mib).unwrap_or_else(|| panic!("{name} has no memory limit in Mi or Gi"))
        };
        Self { envoy: limit("envoy"), controller: limit("controller") }
    }
}

/// Parses values such as `640Mi` and `1Gi`.
fn mib(quantity: &str) -> Option<u32> {
    let gib = quantity.strip_suffix("Gi").and_then(|number| number.parse::<u32>().ok());
    gib.map(|gib| gib * 1024).or_else(|| quantity.strip_suffix("Mi")?.parse().ok())
}
