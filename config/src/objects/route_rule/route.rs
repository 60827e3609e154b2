//! The weighted destinations of requests: services and versions (`route`).

use super::service_ref::{Scope, ServiceRef, read_labels};
use super::values::integer;
use crate::finding::Code;
use crate::objects::{Cursor, Labels, Place};

/// A weighted destination.
#[derive(Debug)]
pub(crate) struct Share {
    /// The service; `None` for the service of the rule.
    pub(crate) destination: Option<ServiceRef>,
    /// The labels of the version; if empty, all pods of the service.
    pub(crate) labels: Labels,
    /// In percent.
    pub(crate) weight: u32,
    /// The position of the labels, or else of the destination.
    pub(crate) place: Place,
}

/// The destinations in the field `route`. If all are valid, the sum of the weights is 100.
pub(super) fn read(spec: &Cursor<'_>, scope: &Scope) -> Vec<Share> {
    let items = spec.list("route");
    let mut shares: Vec<_> =
        items.iter().filter_map(|item| Share::read(&item.cursor(), scope)).collect();
    if shares.len() == items.len() {
        check_weights(spec, &mut shares);
    }
    shares
}

impl Share {
    fn read(cursor: &Cursor<'_>, scope: &Scope) -> Option<Self> {
        if !cursor.expect_mapping_as("{labels: {version: v1}, weight: 100}") {
            return None;
        }
        cursor.only(&["destination", "labels", "weight"]);
        let field = cursor.field("destination");
        let destination = field.as_ref().map(|field| ServiceRef::read(field, scope));
        let labels_field = cursor.mapping_as("labels", "{version: v1}");
        let labels = labels_field.as_ref().map(read_labels).unwrap_or_default();
        let weight = match cursor.field("weight") {
            None => Some(0),
            Some(field) => integer(&field, &(0..=100)),
        };
        let mut destination = match destination {
            None => None,
            Some(destination) => Some(destination?),
        };
        let within = destination.as_mut().map(|service| std::mem::take(&mut service.labels));
        let place = field.as_ref().or(labels_field.as_ref()).unwrap_or(cursor).place();
        let labels = one_of(cursor, labels, within.unwrap_or_default());
        Some(Self { destination, labels, weight: weight?, place })
    }
}

/// The labels, which may be next to the destination or in it.
fn one_of(cursor: &Cursor<'_>, beside: Labels, within: Labels) -> Labels {
    if !beside.is_empty() && !within.is_empty() && beside != within {
        let message = "differ from those in destination; remove one of the two";
        cursor.report_in("labels", Code::ConflictingFields, message);
    }
    if beside.is_empty() { within } else { beside }
}

fn check_weights(spec: &Cursor<'_>, shares: &mut [Share]) {
    if let [Share { weight: weight @ 0, .. }] = shares {
        *weight = 100;
    }
    let sum: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    if !shares.is_empty() && sum != 100 {
        let message = format!("has weights that sum to {sum}; they must sum to 100");
        spec.report_in("route", Code::WeightsNot100, message);
    }
}
