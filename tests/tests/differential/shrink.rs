//! Reduces manifests that reproduce a difference.

use serde_json::Value;

/// The maximum number of attempts, each of which replaces the served manifests.
const TRIALS: usize = 150;

/// Leaves out halves of the objects, then quarters, and so on, and then parts of
/// the objects, as long as the difference remains.
pub(crate) fn smallest(
    objects: &[Value],
    mut shows_it: impl FnMut(&[Value]) -> bool,
) -> Vec<Value> {
    let mut trials = 0;
    let mut try_it = |objects: &[Value]| {
        trials += 1;
        trials <= TRIALS && shows_it(objects)
    };
    let mut smallest = objects.to_vec();
    let mut size = smallest.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < smallest.len() {
            let mut fewer = smallest.clone();
            fewer.drain(at..(at + size).min(smallest.len()));
            if try_it(&fewer) {
                smallest = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    let mut at = 0;
    while let Some(smaller) = without(&smallest, at) {
        if try_it(&smaller) {
            smallest = smaller;
        } else {
            at += 1;
        }
    }
    smallest
}

/// The objects without one part of their specifications.
fn without(objects: &[Value], part: usize) -> Option<Vec<Value>> {
    let mut objects = objects.to_vec();
    let mut left = part;
    let mut specs = objects.iter_mut().filter_map(|object| object.get_mut("spec"));
    specs.any(|spec| remove(spec, &mut left)).then_some(objects)
}

/// Removes one part, after skipping `left` others.
fn remove(value: &mut Value, left: &mut usize) -> bool {
    match value {
        Value::Array(items) => {
            if *left < items.len() {
                items.remove(*left);
                return true;
            }
            *left -= items.len();
            items.iter_mut().any(|item| remove(item, left))
        }
        Value::Object(fields) => {
            if let Some(name) = fields.keys().nth(*left).cloned() {
                fields.remove(&name);
                return true;
            }
            *left -= fields.len();
            fields.values_mut().any(|field| remove(field, left))
        }
        _ => false,
    }
}
