//! The positions of objects and of their parts.

use std::collections::HashMap;

use crate::explain::IngressPlace;
use crate::finding::Location;
use crate::kinds::{INGRESS, ROUTE_RULE};
use crate::manifest::{Node, Object};

/// The Ingresses and RouteRules, by `namespace/name`.
pub(super) struct Places<'a> {
    ingresses: HashMap<String, &'a Object>,
    rules: HashMap<String, &'a Object>,
}

impl<'a> Places<'a> {
    pub(super) fn of(objects: impl Iterator<Item = &'a Object>) -> Self {
        let mut places = Self { ingresses: HashMap::new(), rules: HashMap::new() };
        for object in objects {
            let by_name = match &*object.kind {
                kind if kind == INGRESS.name => &mut places.ingresses,
                kind if kind == ROUTE_RULE.name => &mut places.rules,
                _ => continue,
            };
            by_name.entry(format!("{}/{}", object.namespace, object.name)).or_insert(object);
        }
        places
    }

    /// Where an Ingress has a path, as `file:line`; `None` if it is not in a file.
    pub(super) fn path(&self, place: &IngressPlace) -> Option<String> {
        let object = self.ingresses.get(&place.name)?;
        let node = part(&object.node, place).unwrap_or(&object.node);
        object.location(node.at).map(|at| shown(&at))
    }

    /// Where a RouteRule is.
    pub(super) fn rule(&self, name: &str) -> Option<String> {
        let object = self.rules.get(name)?;
        object.location(object.node.at).map(|at| shown(&at))
    }
}

/// The part of an Ingress that has the path.
fn part<'n>(ingress: &'n Node, place: &IngressPlace) -> Option<&'n Node> {
    let spec = ingress.get("spec")?;
    let (Some(rule), Some(path)) = (place.rule, place.path) else { return Some(spec) };
    spec.get("rules")?.items().get(rule)?.get("http")?.get("paths")?.items().get(path)
}

fn shown(Location { file, line, .. }: &Location) -> String {
    format!("{}:{line}", crate::finding::one_line(file))
}
