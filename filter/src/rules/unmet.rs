//! Finds the conditions of a rule that a request does not meet, with the code that
//! matches.

use super::{Backend, Match, Values};
use crate::error::Broken;
use crate::flat::Bytes;
use crate::request::Request;
use crate::table::HeaderMatch;
use crate::view::{Slot, View};

/// The conditions of a rule that a request does not meet; empty if the rule matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmet {
    /// Whether the client is outside all networks of the rule.
    pub client: bool,
    /// The conditions on headers, each with the value in the request, if any.
    pub headers: Vec<(HeaderMatch, Option<Vec<u8>>)>,
}

impl Backend {
    /// The unmet conditions of each rule.
    pub(crate) fn unmet<R: Request + ?Sized>(
        &self,
        bytes: Bytes<'_>,
        view: &View<'_, R>,
    ) -> Result<Vec<Unmet>, Broken> {
        let slots: Vec<Slot> = bytes.collect(self.slots)?;
        let mut values = Values { view, last: None };
        let rules = bytes.list(self.rules)?.iter();
        rules.map(|rule| rule?.matches.unmet(&slots, bytes, &mut values)).collect()
    }
}

impl Match {
    fn unmet<R: Request + ?Sized>(
        &self,
        slots: &[Slot],
        bytes: Bytes<'_>,
        values: &mut Values<'_, '_, R>,
    ) -> Result<Unmet, Broken> {
        let mut unmet = Unmet { client: !self.admits(bytes, values.view)?, headers: Vec::new() };
        for condition in bytes.list(self.conditions)?.iter() {
            let condition = condition?;
            if !condition.is_met(bytes, values)? {
                let value = values.get(condition.slot())?.map(<[u8]>::to_vec);
                unmet.headers.push((condition.decode(slots, bytes)?, value));
            }
        }
        Ok(unmet)
    }
}
