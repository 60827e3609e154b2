//! A condition on one header.

use super::Values;
use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::escapes::canonical;
use crate::flat::{Bytes, Flat, Text, record, tags};
use crate::pattern::Pattern;
use crate::request::Request;
use crate::table::{HeaderMatch, StringMatch};
use crate::view::Slot;

tags! {
    /// The type of comparison.
    pub(super) enum Test {
        Exact = 0,
        Prefix = 1,
        Regex = 2,
    }
}

record! {
    pub(crate) struct Condition {
        slot: u32,
        test: Test,
        /// The text to compare with, as written in the table; for a regular expression,
        /// the position of its `Regex` record.
        operand: Text,
    }

    struct Regex {
        automaton: Text,
        /// The expression, as written in the table.
        text: Text,
    }
}

impl Condition {
    /// Encodes a condition, and returns whether an empty value meets it.
    pub(super) fn encode(
        slot: u32,
        value: &StringMatch,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<(Self, bool), LoadError> {
        let (kind, written) = match value {
            StringMatch::Exact(text) => (Test::Exact, text),
            StringMatch::Prefix(text) => (Test::Prefix, text),
            StringMatch::Regex(text) => (Test::Regex, text),
        };
        let text = encoder.shared(written);
        let (operand, holds_empty) = match kind {
            Test::Exact | Test::Prefix => (text, written.is_empty()),
            Test::Regex => {
                let automaton = encoder.automaton(written, &place.field("regex"))?;
                let regex = encoder.record(Regex { automaton: automaton.text, text });
                (regex.into(), automaton.matches_empty)
            }
        };
        Ok((Self { slot, test: kind, operand }, holds_empty))
    }

    /// The condition as written in the table. Its header is one of `slots`.
    pub(super) fn decode(&self, slots: &[Slot], bytes: Bytes<'_>) -> Result<HeaderMatch, Broken> {
        let slot = slots.get(self.slot as usize).ok_or(Broken)?;
        let value = match self.test {
            Test::Exact => StringMatch::Exact(bytes.string(self.operand)?),
            Test::Prefix => StringMatch::Prefix(bytes.string(self.operand)?),
            Test::Regex => StringMatch::Regex(bytes.string(self.regex(bytes)?.text)?),
        };
        Ok(HeaderMatch { name: bytes.string(slot.name)?, value })
    }

    /// The index of the slot that has the value.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// Whether the condition is met. An absent header never meets it.
    pub(super) fn is_met<R: Request + ?Sized>(
        &self,
        bytes: Bytes<'_>,
        values: &mut Values<'_, '_, R>,
    ) -> Result<bool, Broken> {
        let Some(value) = values.get(self.slot)? else { return Ok(false) };
        match self.test {
            Test::Exact | Test::Prefix => {
                let operand = bytes.text(self.operand)?;
                if self.compares(value, operand) {
                    return Ok(true);
                }
                // Only paths have escapes.
                let is_path = value.contains(&b'%') && values.view.is_path(self.slot)?;
                Ok(is_path && self.compares(&canonical(value), &canonical(operand)))
            }
            Test::Regex => {
                let automaton = bytes.text(self.regex(bytes)?.automaton)?;
                Pattern::compiled(automaton).search(value).ok_or(Broken)
            }
        }
    }

    /// Compares a value with the text of the table.
    fn compares(&self, value: &[u8], operand: &[u8]) -> bool {
        match self.test {
            Test::Exact => value == operand,
            Test::Prefix => value.starts_with(operand),
            Test::Regex => false,
        }
    }

    fn regex(&self, bytes: Bytes<'_>) -> Result<Regex, Broken> {
        Regex::take(&mut bytes.text(self.operand)?).ok_or(Broken)
    }
}
