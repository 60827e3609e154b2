//! What an operator decides: one file, each of whose keys is also a flag.

use serde::{Deserialize, Serialize};

use crate::finding::quote;
use crate::objects::is_dns_subdomain;

/// The settings, as `--settings FILE` holds them in YAML. Unknown keys are
/// refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The class whose Ingresses are served: the value of the annotation
    /// `kubernetes.io/ingress.class`.
    pub ingress_class: String,
    /// Which Ingresses are served beside those of our class.
    pub ingress_controller_mode: Mode,
    /// The `spec.controller` of the IngressClasses that are ours.
    pub controller_name: String,
    /// The DNS domain of the cluster.
    pub cluster_domain: String,
    /// Whether services of type `ExternalName` are followed. Whoever may create
    /// one could point it at the machine itself or at a cloud's metadata.
    pub external_name_services: bool,
    /// How many proxies in front of this one are believed when they say where a
    /// request comes from.
    pub trusted_hops: u32,
    /// Whether each request is logged, as a line of JSON on standard output.
    pub access_log: bool,
}

impl Settings {
    /// Whether everything can be as the settings say.
    ///
    /// # Errors
    /// Where not: the key, what is wrong with its value, and what to write.
    pub fn validate(&self) -> Result<(), String> {
        // It becomes a part of names of clusters and hosts.
        if !is_dns_subdomain(&self.cluster_domain) {
            return Err(format!(
                "setting clusterDomain: {} is no DNS name; write one in lower case, as in cluster.local",
                quote(&self.cluster_domain)
            ));
        }
        Ok(())
    }
}

/// Which Ingresses are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// None.
    Off,
    /// Those of our class, and those that name none.
    Default,
    /// Only those of our class.
    Strict,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ingress_class: "istio".into(),
            ingress_controller_mode: Mode::Strict,
            controller_name: "istio.io/ingress-controller".into(),
            cluster_domain: "cluster.local".into(),
            external_name_services: false,
            trusted_hops: 0,
            access_log: true,
        }
    }
}
