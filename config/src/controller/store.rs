//! The objects of the API, and whether they are complete.

mod changes;
mod secrets;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::known::Known;
use crate::cluster::Kind;
use crate::compile::{Resolved, UnreadableSecret, UnreadableSecrets};
use crate::settings::ObjectName;

pub(super) use changes::Changes;
use changes::Noted;
use secrets::Secrets;

/// The store: watches fill it, and the driver takes the changes.
pub(super) struct Store {
    state: Mutex<State>,
    changed: Notify,
}

/// By namespace and name.
type ByName = HashMap<(Arc<str>, Arc<str>), Arc<Known>>;

#[derive(Default)]
struct State {
    parts: Vec<Part>,
    secrets: Secrets,
    /// The addresses of DNS names.
    resolved: Resolved,
    changes: Option<Changes>,
    /// Whether something changed that does not affect the configuration.
    is_touched: bool,
}

/// The objects of one watch.
struct Part {
    kind: Kind,
    objects: ByName,
    /// The objects of an unfinished list, which is used only once it is complete.
    listing: Option<ByName>,
    is_complete: bool,
}

/// All objects at one moment.
pub(super) struct Snapshot {
    pub(super) objects: Vec<Arc<Known>>,
    /// The named Secrets that cannot be read.
    pub(super) unreadable: UnreadableSecrets,
    /// The named Secrets without an answer at that moment.
    pub(super) awaited: BTreeSet<ObjectName>,
    /// The addresses of DNS names.
    pub(super) resolved: Resolved,
    /// `None` if nothing changed that affects the configuration.
    pub(super) changes: Option<Changes>,
}

/// Identifies the watch that writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartId(usize);

impl Store {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: Notify::new() }
    }

    /// Adds all parts, one per kind, which are incomplete until their first list
    /// is. All at once, because some of them alone would look complete.
    pub(super) fn add_parts(&self, kinds: &[Kind]) -> Vec<PartId> {
        let mut state = self.lock();
        for kind in kinds {
            let (kind, objects, listing) = (*kind, ByName::new(), None);
            state.parts.push(Part { kind, objects, listing, is_complete: false });
        }
        (0..kinds.len()).map(PartId).collect()
    }

    /// A list begins.
    pub(super) fn begin_list(&self, part: PartId) {
        self.update(part, |part, _| part.listing = Some(ByName::new()));
    }

    /// Adds an object of the current list.
    pub(super) fn list(&self, part: PartId, known: Known) {
        self.update(part, |part, _| {
            part.listing.get_or_insert_default().insert(name_of(&known), Arc::new(known));
        });
    }

    /// The list is complete.
    pub(super) fn end_list(&self, part: PartId) {
        self.update(part, |part, noted| {
            let listed = part.listing.take().unwrap_or_default();
            for (name, known) in &part.objects {
                if !listed.contains_key(name) {
                    noted.served(known);
                }
            }
            for (name, known) in &listed {
                noted.replaced(part.objects.get(name), known);
            }
            if !part.is_complete {
                noted.completed();
            }
            part.objects = listed;
            part.is_complete = true;
        });
    }

    /// An object is new or has changed.
    pub(super) fn apply(&self, part: PartId, known: Known) {
        self.update(part, |part, noted| {
            let known = Arc::new(known);
            let before = part.objects.insert(name_of(&known), Arc::clone(&known));
            noted.replaced(before.as_ref(), &known);
        });
    }

    /// An object is gone.
    pub(super) fn delete(&self, part: PartId, namespace: &str, name: &str) {
        self.update(part, |part, noted| {
            if let Some(known) = part.objects.remove(&(namespace.into(), name.into())) {
                noted.served(&known);
            }
        });
    }

    /// Sets the Secrets to watch.
    pub(super) fn want_secrets(&self, names: &BTreeSet<ObjectName>) -> BTreeSet<ObjectName> {
        self.lock().secrets.want(names)
    }

    /// A Secret was read, or does not exist. Unless its watch is known to work,
    /// it still counts as unreadable if it did before.
    pub(super) fn set_secret(&self, name: &ObjectName, known: Option<Known>, is_trusted: bool) {
        self.change(|state, noted| {
            state.secrets.set(name, known, noted);
            if is_trusted {
                state.secrets.trust(name, noted);
            }
        });
    }

    /// The watch of a Secret works.
    pub(super) fn trust_secret(&self, name: &ObjectName) {
        self.change(|state, noted| state.secrets.trust(name, noted));
    }

    /// Continues without the Secrets that were not read yet.
    pub(super) fn give_up_on_secrets(&self) {
        self.change(|state, noted| state.secrets.give_up(noted));
    }

    /// A Secret could not be read.
    pub(super) fn refuse_secret(&self, name: &ObjectName, unreadable: UnreadableSecret) {
        self.change(|state, noted| state.secrets.refuse(name, unreadable, noted));
    }

    /// Sets the DNS names to resolve.
    pub(super) fn want_resolved(&self, names: &BTreeSet<String>) {
        self.lock().resolved.retain(|name, _| names.contains(name));
    }

    /// A DNS name was resolved. If that fails, it keeps its addresses.
    pub(super) fn set_resolved(&self, name: &str, answer: Result<BTreeSet<IpAddr>, String>) {
        self.change(|state, noted| {
            let before = state.resolved.get(name);
            let is_known = matches!(before, Some(Ok(_)));
            if before == Some(&answer) || (is_known && answer.is_err()) {
                return;
            }
            noted.looked_up(name);
            state.resolved.insert(name.to_owned(), answer);
        });
    }

    /// Waits until these DNS names are resolved, and returns their addresses.
    pub(super) async fn resolved(&self, names: &BTreeSet<String>) -> Resolved {
        loop {
            let notified = self.changed.notified();
            let resolved = self.lock().resolved.clone();
            if names.iter().all(|name| resolved.contains_key(name)) {
                return resolved;
            }
            notified.await;
        }
    }

    /// Waits until there are changes.
    pub(super) async fn changed(&self) {
        loop {
            let notified = self.changed.notified();
            if self.is_changed() {
                return;
            }
            notified.await;
        }
    }

    fn is_changed(&self) -> bool {
        let state = self.lock();
        state.is_complete() && (state.changes.is_some() || state.is_touched)
    }

    /// The times of the first and last pending change.
    pub(super) fn waiting(&self) -> Option<(Instant, Instant)> {
        self.lock().changes.as_ref().map(|changes| (changes.since, changes.until))
    }

    /// All objects, and the changes since the last call.
    pub(super) fn take(&self) -> Snapshot {
        let mut state = self.lock();
        state.is_touched = false;
        let objects = state.parts.iter().flat_map(|part| part.objects.values()).cloned();
        let objects = objects.chain(state.secrets.objects()).collect();
        let (unreadable, awaited) = (state.secrets.unreadable(), state.secrets.awaited());
        let (resolved, changes) = (state.resolved.clone(), state.changes.take());
        Snapshot { objects, unreadable, awaited, resolved, changes }
    }

    /// The kinds whose first list is not complete.
    pub(super) fn missing(&self) -> Vec<Kind> {
        let state = self.lock();
        let missing = state.parts.iter().filter(|part| !part.is_complete).map(|part| part.kind);
        missing.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The number of objects of each kind.
    pub(super) fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for part in &self.lock().parts {
            *counts.entry(part.kind).or_default() += part.objects.len();
        }
        counts
    }

    fn update(&self, PartId(index): PartId, change: impl FnOnce(&mut Part, &mut Noted)) {
        self.change(|state, noted| {
            if let Some(part) = state.parts.get_mut(index) {
                change(part, noted);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State, &mut Noted)) {
        let mut noted = Noted::default();
        let is_noted = {
            let mut state = self.lock();
            change(&mut state, &mut noted);
            let is_noted = noted.changes.is_some() || noted.is_touched;
            state.note(noted);
            is_noted
        };
        if is_noted {
            self.changed.notify_waiters();
            // For one who is about to wait.
            self.changed.notify_one();
        }
    }

    /// Each change is made under one lock, so a panic elsewhere leaves the state
    /// consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_complete(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(|part| part.is_complete)
    }

    fn note(&mut self, noted: Noted) {
        self.is_touched |= noted.is_touched;
        let Some(new) = noted.changes else { return };
        match &mut self.changes {
            Some(changes) => changes.merge(new),
            None => self.changes = Some(new),
        }
    }
}

fn name_of(known: &Known) -> (Arc<str>, Arc<str>) {
    (Arc::clone(&known.object.namespace), Arc::clone(&known.object.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Kept, Names, Node, Object};

    /// A Service in namespace `d` with this content.
    fn known(name: &str, version: &str, content: &str) -> Known {
        Known {
            object: Object {
                file: None,
                api_version: "v1".into(),
                kind: "Service".into(),
                name: name.into(),
                namespace: "d".into(),
                creation_timestamp: None,
                labels: Box::default(),
                node: Node::from_json(content.into(), &mut Names::default()),
                kept: Kept::default(),
            },
            uid: name.into(),
            resource_version: version.into(),
            published: Vec::new(),
            is_published_by_us: false,
        }
    }

    fn names(snapshot: &Snapshot) -> Vec<&str> {
        let mut names: Vec<_> = snapshot.objects.iter().map(|known| &*known.object.name).collect();
        names.sort_unstable();
        names
    }

    /// A store whose only list has a and b.
    fn filled() -> (Store, PartId) {
        let store = Store::new();
        let part = store.add_parts(&[Kind::Service])[0];
        store.begin_list(part);
        store.list(part, known("a", "1", "x"));
        store.list(part, known("b", "1", "x"));
        store.end_list(part);
        (store, part)
    }

    #[test]
    fn nothing_is_told_before_each_list_is_whole() {
        let store = Store::new();
        assert!(!store.is_changed());
        let parts = store.add_parts(&[Kind::Service, Kind::Pod]);
        let (services, pods) = (parts[0], parts[1]);
        store.begin_list(services);
        store.list(services, known("a", "1", "x"));
        assert_eq!(names(&store.take()), [""; 0], "half a list");
        store.end_list(services);
        assert!(!store.is_changed());
        assert_eq!(store.missing(), [Kind::Pod]);
        store.begin_list(pods);
        store.end_list(pods);
        assert!(store.is_changed(), "though there are no pods");
        let snapshot = store.take();
        assert_eq!(names(&snapshot), ["a"]);
        assert_eq!(snapshot.changes.map(|changes| changes.describe()), Some("Service d/a".into()));
        assert!(!store.is_changed());
    }

    #[test]
    fn a_list_that_breaks_off_changes_nothing() {
        let (store, part) = filled();
        store.take();
        store.begin_list(part);
        store.list(part, known("a", "2", "y"));
        assert!(!store.is_changed());
        store.begin_list(part);
        store.list(part, known("b", "1", "x"));
        assert_eq!(names(&store.take()), ["a", "b"]);
        store.end_list(part);
        let snapshot = store.take();
        assert_eq!(names(&snapshot), ["b"]);
        assert_eq!(snapshot.changes.map(|changes| changes.count), Some(1), "a is gone");
    }

    #[test]
    fn what_is_served_alike_is_no_change_but_is_told() {
        let (store, part) = filled();
        store.take();
        store.apply(part, known("a", "1", "x"));
        assert!(!store.is_changed(), "the same once more");
        store.apply(part, known("a", "2", "x"));
        assert!(store.is_changed(), "another status, say");
        assert!(store.take().changes.is_none());
        store.apply(part, known("a", "3", "y"));
        assert_eq!(store.take().changes.map(|changes| changes.count), Some(1));
        store.delete(part, "d", "missing");
        assert!(!store.is_changed());
        store.delete(part, "d", "a");
        assert_eq!(names(&store.take()), ["b"]);
    }

    /// Otherwise objects without a Secret would be served as if there were none.
    #[test]
    fn a_snapshot_says_which_secrets_it_lacks() {
        let (store, _) = filled();
        let name: ObjectName = "d/certs".parse().unwrap();
        let names = BTreeSet::from([name.clone()]);
        assert_eq!(store.want_secrets(&names), names);
        assert!(store.want_secrets(&names).is_empty(), "they are asked for already");
        let before = store.take();
        store.set_secret(&name, Some(known("certs", "1", "x")), true);
        assert_eq!(before.awaited, names, "whatever is known by now");
        let after = store.take();
        assert!(after.awaited.is_empty() && after.changes.is_some());
    }

    #[test]
    fn the_log_names_some_of_many_changes() {
        let (store, part) = filled();
        for index in 0..10 {
            store.apply(part, known(&format!("s{index}"), "1", "x"));
        }
        assert_eq!(store.counts().into_iter().collect::<Vec<_>>(), [(Kind::Service, 12)]);
        let described = store.take().changes.map(|changes| changes.describe()).unwrap_or_default();
        assert!(described.ends_with(" and 7 more changes"), "{described}");
    }
}
