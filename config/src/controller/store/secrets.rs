//! The Secrets that Ingresses name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Noted;
use crate::compile::{UnreadableSecret, UnreadableSecrets};
use crate::controller::known::Known;
use crate::settings::ObjectName;

/// The named Secrets, and their state.
#[derive(Default)]
pub(super) struct Secrets(BTreeMap<ObjectName, WatchedSecret>);

/// The state of a named Secret.
#[derive(Default)]
struct WatchedSecret {
    /// The last content, even if the Secret is no longer readable.
    object: Option<Arc<Known>>,
    answer: ReadState,
}

enum ReadState {
    /// There is no response yet, possibly because it failed for this reason.
    Awaited(Option<String>),
    Read,
    Refused(UnreadableSecret),
}

impl Default for ReadState {
    fn default() -> Self {
        Self::Awaited(None)
    }
}

impl Secrets {
    /// Sets the named Secrets. Returns the new ones.
    pub(super) fn want(&mut self, names: &BTreeSet<ObjectName>) -> BTreeSet<ObjectName> {
        self.0.retain(|name, _| names.contains(name));
        let new: BTreeSet<_> =
            names.iter().filter(|name| !self.0.contains_key(name)).cloned().collect();
        self.0.extend(new.iter().map(|name| (name.clone(), WatchedSecret::default())));
        new
    }

    /// A Secret was read, or does not exist.
    pub(super) fn set(&mut self, name: &ObjectName, object: Option<Known>, noted: &mut Noted) {
        let Some(asked) = self.0.get_mut(name) else { return };
        let object = object.map(Arc::new);
        match (&asked.object, &object) {
            (before, Some(now)) => noted.replaced(before.as_ref(), now),
            (Some(before), None) => noted.served(before),
            (None, None) => {}
        }
        asked.object = object;
        // That it does not exist is a response, too.
        if matches!(asked.answer, ReadState::Awaited(_)) {
            noted.begin();
            asked.answer = ReadState::Read;
        }
    }

    /// A Secret that could not be read now can.
    pub(super) fn trust(&mut self, name: &ObjectName, noted: &mut Noted) {
        let Some(asked) = self.0.get_mut(name) else { return };
        if !matches!(asked.answer, ReadState::Read) {
            noted.begin();
            asked.answer = ReadState::Read;
        }
    }

    /// A Secret could not be read. If the request only failed, the next try may succeed, so
    /// the first response is still awaited.
    pub(super) fn refuse(
        &mut self,
        name: &ObjectName,
        unreadable: UnreadableSecret,
        noted: &mut Noted,
    ) {
        let Some(asked) = self.0.get_mut(name) else { return };
        if let (ReadState::Awaited(why), UnreadableSecret::Failed(reason)) =
            (&mut asked.answer, &unreadable)
        {
            *why = Some(reason.clone());
        } else if !matches!(&asked.answer, ReadState::Refused(before) if *before == unreadable) {
            noted.named(format!("Secret {name}"));
            asked.answer = ReadState::Refused(unreadable);
        }
    }

    /// Continues without the awaited responses.
    pub(super) fn give_up(&mut self, noted: &mut Noted) {
        for (name, asked) in &mut self.0 {
            if let ReadState::Awaited(why) = &mut asked.answer {
                let reason = why.take();
                let reason = reason.unwrap_or_else(|| "the API server has not answered yet".into());
                asked.answer = ReadState::Refused(UnreadableSecret::Failed(reason));
                noted.named(format!("Secret {name}"));
            }
        }
    }

    /// The Secrets without a response.
    pub(super) fn awaited(&self) -> BTreeSet<ObjectName> {
        let awaited = self.0.iter().filter(|(_, it)| matches!(it.answer, ReadState::Awaited(_)));
        awaited.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = Arc<Known>> {
        self.0.values().filter_map(|asked| asked.object.clone())
    }

    /// The Secrets that cannot be read.
    pub(super) fn unreadable(&self) -> UnreadableSecrets {
        let unreadable = self.0.iter().filter_map(|(name, asked)| {
            let unreadable = match &asked.answer {
                ReadState::Awaited(_) | ReadState::Read => return None,
                ReadState::Refused(unreadable) => unreadable.clone(),
            };
            Some((name.clone(), unreadable))
        });
        unreadable.collect()
    }
}
