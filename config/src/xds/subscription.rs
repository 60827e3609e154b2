//! The subscription of a client to one resource type: its state, and the next
//! response.
//!
//! There is one response in flight at a time. A NACK does not name the rejected
//! resource, so each half of the response is sent again separately, down to single
//! resources.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};
use super::served_resources::ServedResources;
use crate::envoy::{Key, Kind, Version};

type Names = BTreeSet<Arc<str>>;

/// A subscription; see the module.
pub(super) struct Subscription {
    kind: Kind,
    /// `None` before the first request.
    interest: Option<Interest>,
    held: BTreeMap<Arc<str>, Version>,
    /// Resources that may differ from those of the client.
    due: Names,
    /// The parts of a rejected response, the next one last.
    parts: Vec<Names>,
    under_way: Option<Answer>,
    next_nonce: u64,
    is_answered: bool,
}

enum Interest {
    All,
    Named(Names),
}

/// A response that is not yet acknowledged.
struct Answer {
    nonce: String,
    set: BTreeMap<Arc<str>, Version>,
    removed: Names,
}

/// What a request says about the previous response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is neither an ACK nor a NACK.
    Silent,
    Accepted,
    /// The response had one resource, which is rejected.
    Refused {
        key: Key,
        version: Version,
    },
    /// One of several resources is rejected.
    RefusedAmongOthers,
}

impl Subscription {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            interest: None,
            held: BTreeMap::new(),
            due: Names::new(),
            parts: Vec::new(),
            under_way: None,
            next_nonce: 1,
            is_answered: false,
        }
    }

    /// Whether the client has subscribed to anything.
    pub(super) fn has_begun(&self) -> bool {
        self.interest.is_some()
    }

    /// Whether the client is subscribed to this resource.
    pub(super) fn asks_for(&self, name: &Arc<str>) -> bool {
        match &self.interest {
            Some(Interest::All) => true,
            Some(Interest::Named(names)) => names.contains(name),
            None => false,
        }
    }

    /// The resources that the client has acknowledged.
    pub(super) fn held(&self) -> &BTreeMap<Arc<str>, Version> {
        &self.held
    }

    /// This resource may differ from that of the client.
    pub(super) fn mark(&mut self, name: &Arc<str>) {
        self.due.insert(Arc::clone(name));
    }

    /// Processes a request.
    pub(super) fn take(&mut self, request: DeltaDiscoveryRequest) -> Verdict {
        let is_refused = request.error_detail.is_some();
        let verdict = self.judge(&request.response_nonce, is_refused);
        let DeltaDiscoveryRequest {
            resource_names_subscribe: subscribed,
            resource_names_unsubscribe: unsubscribed,
            initial_resource_versions: initial,
            ..
        } = request;
        let is_first = self.interest.is_none();
        let interest = self.interest.get_or_insert_with(|| Interest::Named(Names::new()));
        for (name, version) in initial {
            let name: Arc<str> = name.into();
            self.due.insert(Arc::clone(&name));
            self.held.insert(name, version.into());
        }
        // A wildcard subscription in its legacy form.
        if is_first && subscribed.is_empty() || subscribed.iter().any(|name| name == "*") {
            *interest = Interest::All;
        }
        if let Interest::Named(names) = interest {
            for name in unsubscribed {
                names.remove(&*name);
                self.held.remove(&*name);
            }
            for name in subscribed {
                let name: Arc<str> = name.into();
                // A resource that is subscribed to again is sent again, unless
                // the client reports its version.
                if !names.insert(Arc::clone(&name)) {
                    self.held.remove(&name);
                }
                self.due.insert(name);
            }
        }
        verdict
    }

    fn judge(&mut self, nonce: &str, is_refused: bool) -> Verdict {
        let Some(answer) = self.under_way.take_if(|answer| answer.nonce == nonce) else {
            return Verdict::Silent;
        };
        if is_refused {
            return self.divide(answer);
        }
        for name in &answer.removed {
            self.held.remove(name);
        }
        self.held.extend(answer.set);
        Verdict::Accepted
    }

    fn divide(&mut self, answer: Answer) -> Verdict {
        let mut names: Vec<_> =
            answer.removed.into_iter().chain(answer.set.keys().cloned()).collect();
        if names.len() > 1 {
            let rest = names.split_off(names.len() / 2);
            self.parts.extend([rest, names].map(Names::from_iter));
            return Verdict::RefusedAmongOthers;
        }
        match answer.set.into_iter().next() {
            Some((name, version)) => {
                Verdict::Refused { key: Key { kind: self.kind, name }, version }
            }
            None => Verdict::Silent,
        }
    }

    /// The next response, if there is one.
    pub(super) fn next(&mut self, told: &ServedResources) -> Option<DeltaDiscoveryResponse> {
        if self.under_way.is_some() {
            return None;
        }
        let interest = self.interest.as_ref()?;
        let is_first = !self.is_answered && matches!(interest, Interest::All);
        if is_first {
            self.due.extend(told.names(self.kind).cloned());
        }
        loop {
            let names = match self.parts.pop() {
                Some(part) => part,
                None if self.due.is_empty() && !is_first => return None,
                // Secrets are sent one by one: Envoy accepts a rejected one the
                // second time without checking it, because it is the same.
                None if self.kind == Kind::Secrets => self.due.pop_first().into_iter().collect(),
                None => std::mem::take(&mut self.due),
            };
            let (answer, response) = self.answer(names, told);
            // The first response to a wildcard subscription is sent even if it
            // is empty, because a starting Envoy waits for it.
            if is_first || !(response.resources.is_empty() && response.removed_resources.is_empty())
            {
                self.next_nonce += 1;
                self.is_answered = true;
                self.under_way = Some(answer);
                return Some(response);
            }
        }
    }

    fn answer(&self, names: Names, told: &ServedResources) -> (Answer, DeltaDiscoveryResponse) {
        let nonce = self.next_nonce.to_string();
        let mut answer =
            Answer { nonce: nonce.clone(), set: BTreeMap::new(), removed: Names::new() };
        let mut resources = Vec::new();
        for name in names {
            let held = self.held.get(&name);
            match told.for_client(self.kind, &name, held) {
                Some(resource) if self.asks_for(&name) => {
                    resources.push(Resource::new(&name, self.kind.type_url(), resource));
                    answer.set.insert(name, Arc::clone(&resource.version));
                }
                None if held.is_some() && told.is_withdrawn(self.kind, &name) => {
                    answer.removed.insert(name);
                }
                _ => {}
            }
        }
        let version = answer.set.values().next_back();
        let response = DeltaDiscoveryResponse {
            system_version_info: version.map(ToString::to_string).unwrap_or_default(),
            resources,
            type_url: self.kind.type_url().to_owned(),
            nonce,
            removed_resources: answer.removed.iter().map(ToString::to_string).collect(),
        };
        (answer, response)
    }
}
