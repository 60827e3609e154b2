//! Compares actual with desired status.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Value, json};

use crate::controller::reports::IngressState;
use crate::object_ref::ObjectRef;

use super::addresses::Addresses;

/// A status to write.
#[derive(Debug)]
pub(super) struct StatusChange<'a> {
    pub(super) state: &'a IngressState,
    /// `None` removes the addresses.
    addresses: Option<&'a Addresses>,
}

impl<'a> StatusChange<'a> {
    /// The Ingress of the status.
    pub(super) fn ingress(&self) -> impl fmt::Display + use<'a> {
        let object = &self.state.known.object;
        fmt::from_fn(move |f| write!(f, "{}/{}", object.namespace, object.name))
    }

    pub(super) fn namespace(&self) -> &'a str {
        &self.state.known.object.namespace
    }

    fn resource_version(&self) -> &'a str {
        &self.state.known.resource_version
    }

    /// The merge patch.
    pub(super) fn patch(&self) -> Value {
        match self.addresses {
            Some(addresses) => json!({ "status": { "loadBalancer": { "ingress": addresses } } }),
            // Only the observed value may be removed, because another client may
            // have changed it.
            None => json!({
                "metadata": { "resourceVersion": self.resource_version() },
                "status": { "loadBalancer": { "ingress": null } },
            }),
        }
    }
}

/// The completed writes, with the version of their Ingress: until the API has
/// reported the result, outcomes have the version before.
#[derive(Debug, Default)]
pub(super) struct Done(HashMap<ObjectRef, (String, Option<Addresses>)>);

impl Done {
    /// `change` is complete.
    pub(super) fn note(&mut self, change: &StatusChange<'_>) {
        let written = (change.resource_version().to_owned(), change.addresses.cloned());
        self.0.insert(change.state.known.object.reference(), written);
    }

    fn has(&self, change: &StatusChange<'_>) -> bool {
        let written = self.0.get(&change.state.known.object.reference());
        written.is_some_and(|(version, addresses)| {
            version == change.resource_version() && addresses.as_ref() == change.addresses
        })
    }
}

/// The writes after which all served Ingresses have `addresses`, and no others
/// have addresses of this controller. While the addresses are unknown, the status
/// of served Ingresses is not changed.
pub(super) fn plan<'a>(
    ingresses: &'a [IngressState],
    addresses: Option<&'a Addresses>,
    done: &mut Done,
) -> Vec<StatusChange<'a>> {
    let changes = ingresses.iter().filter_map(|state| needed(state, addresses));
    let changes = changes.filter(|change| !done.has(change)).collect();
    // Writes that the API has reported are removed.
    if !done.0.is_empty() {
        let versions = ingresses
            .iter()
            .map(|IngressState { known, .. }| (known.object.reference(), &*known.resource_version));
        let versions: HashMap<_, _> = versions.collect();
        done.0.retain(|ingress, (version, _)| versions.get(ingress) == Some(&&**version));
    }
    changes
}

fn needed<'a>(
    state: &'a IngressState,
    addresses: Option<&'a Addresses>,
) -> Option<StatusChange<'a>> {
    let removal = || {
        let is_ours = state.known.is_published_by_us && !state.known.published.is_empty();
        is_ours.then_some(StatusChange { state, addresses: None })
    };
    if !state.is_served {
        return removal();
    }
    let addresses = addresses?;
    if addresses.is_empty() {
        return removal();
    }
    (state.known.published != *addresses)
        .then_some(StatusChange { state, addresses: Some(addresses) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::controller::known::Known;
    use crate::manifest::read_text;

    fn state(name: &str, published: &[&str], is_ours: bool, is_served: bool) -> IngressState {
        let known = known(name, "7", ips(published), is_ours);
        IngressState { known: Arc::new(known), is_served }
    }

    fn known(
        name: &str,
        resource_version: &str,
        published: Vec<Value>,
        is_published_by_us: bool,
    ) -> Known {
        let text = format!(
            "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}}}}}"
        );
        let object = (*read_text("ingress.yaml", &text).objects[0]).clone();
        let resource_version = resource_version.to_owned();
        Known { object, uid: String::new(), resource_version, published, is_published_by_us }
    }

    fn ips(addresses: &[&str]) -> Vec<Value> {
        addresses.iter().map(|ip| json!({ "ip": ip })).collect()
    }

    fn patches(state: &IngressState, addresses: Option<&Addresses>) -> Vec<Value> {
        let states = std::slice::from_ref(state);
        plan(states, addresses, &mut Done::default()).iter().map(StatusChange::patch).collect()
    }

    fn set(addresses: &[&str]) -> Value {
        json!({ "status": { "loadBalancer": { "ingress": ips(addresses) } } })
    }

    fn removed() -> Value {
        json!({
            "metadata": { "resourceVersion": "7" },
            "status": { "loadBalancer": { "ingress": null } },
        })
    }

    #[test]
    fn what_is_served_has_the_addresses() {
        let want = ips(&["1.1.1.1", "2.2.2.2"]);
        for published in [&[][..], &["1.1.1.1"], &["2.2.2.2", "1.1.1.1"]] {
            for is_ours in [false, true] {
                let state = state("a", published, is_ours, true);
                assert_eq!(patches(&state, Some(&want)), [set(&["1.1.1.1", "2.2.2.2"])]);
            }
        }
        let state = state("a", &["1.1.1.1", "2.2.2.2"], false, true);
        assert!(patches(&state, Some(&want)).is_empty());
    }

    #[test]
    fn of_what_is_not_served_only_ours_is_removed() {
        let addresses = ips(&["1.1.1.1"]);
        for addresses in [None, Some(&addresses), Some(&Vec::new())] {
            assert_eq!(patches(&state("a", &["1.1.1.1"], true, false), addresses), [removed()]);
            assert!(patches(&state("a", &["1.1.1.1"], false, false), addresses).is_empty());
            assert!(patches(&state("a", &[], true, false), addresses).is_empty());
        }
    }

    #[test]
    fn without_an_address_ours_is_removed_and_anothers_left() {
        let none = Vec::new();
        assert_eq!(patches(&state("a", &["1.1.1.1"], true, true), Some(&none)), [removed()]);
        assert!(patches(&state("a", &["1.1.1.1"], false, true), Some(&none)).is_empty());
        assert!(patches(&state("a", &[], false, true), Some(&none)).is_empty());
    }

    #[test]
    fn while_addresses_are_not_known_what_is_served_stays() {
        for is_ours in [false, true] {
            assert!(patches(&state("a", &["1.1.1.1"], is_ours, true), None).is_empty());
            assert!(patches(&state("a", &[], is_ours, true), None).is_empty());
        }
    }

    #[test]
    fn what_was_written_is_not_written_again_until_it_has_changed() {
        let addresses = ips(&["1.1.1.1"]);
        let other = ips(&["2.2.2.2"]);
        let mut states = [state("a", &[], false, true), state("b", &[], false, true)];
        let mut done = Done::default();
        let changes = plan(&states, Some(&addresses), &mut done);
        assert_eq!(changes.len(), 2);
        for change in &changes {
            done.note(change);
        }
        assert!(plan(&states, Some(&addresses), &mut done).is_empty());
        assert_eq!(plan(&states, Some(&other), &mut done).len(), 2);
        // Another manager has changed it since.
        states[0].known = Arc::new(known("a", "8", Vec::new(), false));
        assert_eq!(plan(&states, Some(&addresses), &mut done).len(), 1);
        assert_eq!(done.0.len(), 1);
        assert!(plan(&[], Some(&addresses), &mut done).is_empty());
        assert!(done.0.is_empty());
    }
}
