//! The workload that the gateway is, for `match.source` of `RouteRules`.

use std::collections::BTreeMap;

use clap::Args;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::{parse_dns_label, read_dns_label};
use crate::finding::quote;
use crate::objects::{LabelError, check_label};

/// The workload that match.source of RouteRules is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Args)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gateway {
    /// Compare source.name of RouteRules with this name.
    #[arg(id = "gateway_name", long = "gateway-name", required = false, value_name = "NAME", value_parser = parse_dns_label)]
    #[serde(deserialize_with = "read_dns_label")]
    pub name: String,
    /// Compare source.namespace of RouteRules with this namespace.
    #[arg(
        id = "gateway_namespace",
        long = "gateway-namespace",
        required = false,
        value_name = "NAME",
        value_parser = parse_dns_label
    )]
    #[serde(deserialize_with = "read_dns_label")]
    pub namespace: String,
    /// Compare source.labels of RouteRules with these labels.
    #[arg(id = "gateway_labels", long = "gateway-labels", required = false, value_name = "K=V,…", value_parser = parse_labels)]
    #[serde(deserialize_with = "read_labels")]
    pub labels: BTreeMap<String, String>,
}

/// Labels in the syntax of `kubectl`: `istio=ingress,app=edge`.
fn parse_labels(text: &str) -> Result<BTreeMap<String, String>, InvalidLabel> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').ok_or_else(|| InvalidLabel::NoPair(pair.into()))?;
        check_label(key, value)?;
        Ok((key.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

/// Not a label of the form `key=value`.
#[derive(Debug, PartialEq, Eq, Error)]
enum InvalidLabel {
    #[error("{} is not a label; write key=value", quote(.0))]
    NoPair(String),
    #[error(transparent)]
    Invalid(#[from] LabelError),
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            name: "istio-ingress".into(),
            namespace: "istio-system".into(),
            labels: BTreeMap::from([("istio".into(), "ingress".into())]),
        }
    }
}

fn read_labels<'de, D: Deserializer<'de>>(value: D) -> Result<BTreeMap<String, String>, D::Error> {
    let labels = BTreeMap::<String, String>::deserialize(value)?;
    labels.iter().try_for_each(|(key, value)| check_label(key, value)).map_err(D::Error::custom)?;
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs() {
        let labels = parse_labels("istio=ingress,app=").unwrap();
        assert_eq!(
            labels,
            BTreeMap::from([("istio".into(), "ingress".into()), ("app".into(), String::new())])
        );
        assert_eq!(parse_labels(""), Ok(BTreeMap::new()));
        assert!(parse_labels("istio").unwrap_err().to_string().contains("key=value"));
        assert!(parse_labels("a|b=c").unwrap_err().to_string().contains("`a|b`"));
    }
}
