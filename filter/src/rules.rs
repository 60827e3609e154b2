//! The rules of a backend, and which of them matches a request.

mod condition;
mod encode;
#[cfg(not(target_family = "wasm"))]
mod unmet;

use crate::action::Action;
use crate::error::Broken;
use crate::flat::{Bytes, List, Text, record};
use crate::ports::{Port, PortClusters};
use crate::request::Request;
use crate::subnet::Subnet;
use crate::view::{Slot, View};
use condition::Condition;
#[cfg(not(target_family = "wasm"))]
pub use unmet::Unmet;

record! {
    /// The record of a backend in the flat form.
    pub(crate) struct Backend {
        name: Text,
        pub(crate) ports: List<Port>,
        /// The headers that the conditions read, each once.
        pub(crate) slots: List<Slot>,
        pub(crate) rules: List<Rule>,
        pub(crate) default: Action,
    }

    pub(crate) struct Rule {
        /// The first field, because for most rules only the match is read.
        matches: Match,
        pub(crate) name: Text,
        pub(crate) action: Action,
    }

    struct Match {
        /// In the order of their cost, cheapest first.
        conditions: List<Condition>,
        subnets: List<Subnet>,
    }
}

/// The action selected for a request, and its rule.
#[derive(Clone, Copy)]
pub(crate) struct Chosen<'t> {
    pub(crate) action: Action,
    /// The name of the rule; `None` for the default action.
    pub(crate) rule: Option<&'t str>,
    /// Its index.
    pub(crate) index: Option<u32>,
}

impl Backend {
    /// Selects the first rule that matches, or the default action.
    pub(crate) fn choose<'t, R: Request + ?Sized>(
        &self,
        bytes: Bytes<'t>,
        view: &View<'_, R>,
    ) -> Result<Chosen<'t>, Broken> {
        let mut values = Values { view, last: None };
        let rules = bytes.list(self.rules)?;
        for index in 0..self.rules.len() {
            if rules.head::<Match>(index)?.holds(bytes, &mut values)? {
                let Rule { name, action, .. } = rules.get(index)?;
                let rule = Some(bytes.str(name)?);
                return Ok(Chosen { action, rule, index: Some(index) });
            }
        }
        Ok(Chosen { action: self.default, rule: None, index: None })
    }

    /// The clusters of a port.
    pub(crate) fn port<'t>(
        &self,
        bytes: Bytes<'t>,
        port: Option<u32>,
    ) -> Result<Option<PortClusters<'t>>, Broken> {
        let Some(port) = port else { return Ok(None) };
        bytes.list(self.ports)?.get(port)?.clusters(bytes).map(Some)
    }

    /// The name of a port.
    pub(crate) fn port_name(&self, bytes: Bytes<'_>, port: u32) -> Result<String, Broken> {
        bytes.list(self.ports)?.get(port)?.name(bytes)
    }

    pub(crate) fn name<'t>(&self, bytes: Bytes<'t>) -> Result<&'t str, Broken> {
        bytes.str(self.name)
    }
}

/// The values that conditions read. The last one is cached, because consecutive
/// rules of a backend often read the same header.
struct Values<'v, 'r, R: ?Sized> {
    view: &'v View<'r, R>,
    last: Option<(u32, Option<&'v [u8]>)>,
}

impl<'v, R: Request + ?Sized> Values<'v, '_, R> {
    fn get(&mut self, slot: u32) -> Result<Option<&'v [u8]>, Broken> {
        if let Some((_, value)) = self.last.filter(|(last, _)| *last == slot) {
            return Ok(value);
        }
        let value = self.view.value(slot)?;
        self.last = Some((slot, value));
        Ok(value)
    }
}

impl Match {
    fn holds<R: Request + ?Sized>(
        &self,
        bytes: Bytes<'_>,
        values: &mut Values<'_, '_, R>,
    ) -> Result<bool, Broken> {
        for condition in bytes.list(self.conditions)?.iter() {
            if !condition?.is_met(bytes, values)? {
                return Ok(false);
            }
        }
        self.admits(bytes, values.view)
    }

    /// Whether the client is in one of the networks, or the rule has no networks.
    fn admits<R: Request + ?Sized>(
        &self,
        bytes: Bytes<'_>,
        view: &View<'_, R>,
    ) -> Result<bool, Broken> {
        if self.subnets.is_empty() {
            return Ok(true);
        }
        let Some(client) = view.client() else { return Ok(false) };
        for subnet in bytes.list(self.subnets)?.iter() {
            if subnet?.contains(client) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
