//! What has changed since the last snapshot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::compile::{Moved, service_of_endpoints};
use crate::controller::known::Known;
use crate::manifest::Object;

/// The maximum number of changed objects that are named in the log.
const NAMED_CHANGES: usize = 5;

/// The changes since the last snapshot.
#[derive(Clone, Debug)]
pub(in crate::controller) struct Changes {
    /// The time of the first change.
    pub(in crate::controller) since: Instant,
    /// The time of the last change.
    pub(in crate::controller) until: Instant,
    /// The names of some of the objects.
    named: BTreeSet<String>,
    /// The number of changes.
    pub(super) count: usize,
    /// The services whose endpoints changed.
    moved: Moved,
    /// Whether anything else changed.
    is_more: bool,
    /// Whether the set of named Secrets may have changed.
    may_name_secrets: bool,
    /// The same, if there are Services that name Secrets.
    may_use_services: bool,
}

/// The changes of one call.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) changes: Option<Changes>,
    pub(super) is_touched: bool,
}

impl Noted {
    pub(super) fn replaced(&mut self, before: Option<&Arc<Known>>, now: &Known) {
        match before {
            Some(before) if before.is_served_like(now) => {
                self.is_touched |= before.resource_version != now.resource_version;
            }
            Some(before) => {
                // It may have belonged to another service before.
                if let Some(service) = service_of_endpoints(&before.object) {
                    self.gather().moved.services.insert(service);
                }
                let is_alike = names_secrets_alike(&before.object, &now.object);
                self.noted(now, !is_alike);
            }
            None => self.served(now),
        }
    }

    pub(super) fn served(&mut self, known: &Known) {
        let Known { object, .. } = known;
        self.noted(known, &*object.kind != "Service" || object.annotations().is_some());
    }

    fn noted(&mut self, known: &Known, may_name_secrets: bool) {
        let changes = self.gather();
        match service_of_endpoints(&known.object) {
            Some(service) => drop(changes.moved.services.insert(service)),
            None => changes.is_more = true,
        }
        match &*known.object.kind {
            "Ingress" | "IngressClass" | "Service" => {
                changes.may_name_secrets |= may_name_secrets;
                changes.may_use_services = true;
            }
            "RouteRule" => changes.may_use_services = true,
            _ => {}
        }
        changes.name(known.object.reference().to_string());
    }

    pub(super) fn named(&mut self, object: String) {
        self.begin().name(object);
    }

    pub(super) fn looked_up(&mut self, name: &str) {
        let changes = self.gather();
        changes.moved.dns_names.insert(name.to_owned());
        changes.name(format!("DNS name {name}"));
    }

    /// The first complete list counts as a change even if it is empty.
    pub(super) fn completed(&mut self) {
        self.begin();
    }

    pub(super) fn begin(&mut self) -> &mut Changes {
        let changes = self.gather();
        changes.is_more = true;
        changes.may_name_secrets = true;
        changes
    }

    fn gather(&mut self) -> &mut Changes {
        self.changes.get_or_insert_with(Changes::none)
    }
}

impl Changes {
    fn none() -> Self {
        let now = Instant::now();
        Self {
            since: now,
            until: now,
            named: BTreeSet::new(),
            count: 0,
            moved: Moved::default(),
            is_more: false,
            may_name_secrets: false,
            may_use_services: false,
        }
    }

    /// A change that is not of an object.
    pub(in crate::controller) fn of(what: &str) -> Self {
        let mut changes = Self { is_more: true, may_name_secrets: true, ..Self::none() };
        changes.name(what.to_owned());
        changes
    }

    /// A change of the endpoints of a service.
    #[cfg(test)]
    pub(in crate::controller) fn of_endpoints(namespace: &str, name: &str) -> Self {
        let services = BTreeSet::from([(namespace.into(), name.into())]);
        Self { moved: Moved { services, ..Moved::default() }, ..Self::none() }
    }

    /// The services whose endpoints changed, if nothing else has.
    pub(in crate::controller) fn moved(&self) -> Option<&Moved> {
        (!self.is_more).then_some(&self.moved)
    }

    /// Whether the set of named Secrets may have changed.
    pub(in crate::controller) fn may_name_secrets(&self) -> bool {
        self.may_name_secrets
    }

    /// The same, if there are Services that name Secrets.
    pub(in crate::controller) fn may_use_services(&self) -> bool {
        self.may_use_services
    }

    fn name(&mut self, object: String) {
        self.count += 1;
        if self.named.len() < NAMED_CHANGES {
            self.named.insert(object);
        }
    }

    /// The combination of both, if there are both.
    pub(in crate::controller) fn joined(now: Option<Self>, earlier: Option<Self>) -> Option<Self> {
        match (now, earlier) {
            (Some(mut now), Some(earlier)) => {
                now.merge(earlier);
                Some(now)
            }
            (now, earlier) => now.or(earlier),
        }
    }

    /// Adds later changes, or those of a failed update.
    pub(super) fn merge(&mut self, other: Self) {
        self.since = self.since.min(other.since);
        self.until = self.until.max(other.until);
        self.count += other.count;
        self.is_more |= other.is_more;
        self.may_name_secrets |= other.may_name_secrets;
        self.may_use_services |= other.may_use_services;
        self.moved.extend(other.moved);
        for name in other.named {
            if self.named.len() < NAMED_CHANGES {
                self.named.insert(name);
            }
        }
    }

    /// What changed, for the log: some names, and how many more.
    pub(in crate::controller) fn describe(&self) -> String {
        let names: Vec<_> = self.named.iter().map(String::as_str).collect();
        match self.count.saturating_sub(names.len()) {
            0 => names.join(", "),
            more => format!("{} and {more} more changes", names.join(", ")),
        }
    }
}

/// Whether an Ingress or a Service itself names the same Secrets as before.
fn names_secrets_alike(before: &Object, now: &Object) -> bool {
    let fields: &[&str] = match &*now.kind {
        "Ingress" => &["tls", "ingressClassName"],
        // Without annotations, it names none, whatever its ports are.
        "Service" if now.annotations().is_none() => &[],
        "Service" => &["ports"],
        _ => return false,
    };
    let (before_spec, now_spec) = (before.node.get("spec"), now.node.get("spec"));
    let is_same = |name: &&str| {
        before_spec.and_then(|spec| spec.get(name)) == now_spec.and_then(|spec| spec.get(name))
    };
    before.annotations() == now.annotations() && fields.iter().all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read_text;

    /// Whether the change from one object to another may change the Secrets that are named,
    /// and whether it may if there are Services that name any.
    fn changed(before: &str, now: &str) -> (bool, bool) {
        let known = |text: &str| {
            let object = read_text("f", text).objects.remove(0);
            Known::of_object(Arc::unwrap_or_clone(object))
        };
        let mut noted = Noted::default();
        noted.replaced(Some(&known(before)), &known(now));
        let changes = noted.changes.expect("a change");
        (changes.may_name_secrets(), changes.may_use_services())
    }

    #[test]
    fn some_changes_do_not_concern_secrets() {
        let ingress = |spec: &str| {
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: a}}\nspec: {{{spec}}}"
            )
        };
        let service = |annotations: &str, spec: &str| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: a{annotations}}}\nspec: {{{spec}}}"
            )
        };
        let of = ", annotations: {ingressctl/upstream-ca-secret: ca}";
        for (before, now, expected) in [
            (ingress("rules: []"), ingress("rules: [{host: a}]"), (false, true)),
            (ingress("tls: []"), ingress("tls: [{secretName: a}]"), (true, true)),
            (service("", "ports: []"), service("", "ports: [{port: 1}]"), (false, true)),
            (service("", ""), service(of, ""), (true, true)),
            (service(of, ""), service("", ""), (true, true)),
            (service(of, "ports: []"), service(of, "ports: [{port: 1}]"), (true, true)),
            (service(of, "clusterIP: a"), service(of, "clusterIP: b"), (false, true)),
        ] {
            assert_eq!(changed(&before, &now), expected, "{before}\n{now}");
        }
        let rule = |spec: &str| {
            format!(
                "apiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {{name: a}}\nspec: {{{spec}}}"
            )
        };
        assert_eq!(changed(&rule(""), &rule("precedence: 1")), (false, true));
        let pod = |label: &str| {
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a, labels: {{a: {label}}}}}")
        };
        assert_eq!(changed(&pod("a"), &pod("b")), (false, false));
    }
}
