//! Encodes a table into the flat form, with compiled patterns.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::error::{LoadError, Place};
use crate::flat::{Text, Writer};
use crate::pattern::{Pattern, PatternError};

/// Returns the automaton of a pattern, compiled now or earlier.
pub type Compile<'c> = dyn Fn(&str) -> Result<Arc<Pattern<'static>>, PatternError> + 'c;

pub(crate) struct Encoder<'c> {
    writer: Writer,
    compile: &'c Compile<'c>,
    /// Patterns written so far. Rules often have the same ones.
    automata: BTreeMap<String, Automaton>,
}

/// A written pattern.
#[derive(Clone, Copy)]
pub(crate) struct Automaton {
    pub(crate) text: Text,
    /// Whether it matches the empty value.
    pub(crate) matches_empty: bool,
}

impl<'c> Encoder<'c> {
    pub(crate) fn new(compile: &'c Compile<'c>) -> Self {
        Self { writer: Writer::new(), compile, automata: BTreeMap::new() }
    }

    /// The automaton of a pattern at `place`.
    pub(crate) fn automaton(
        &mut self,
        text: &str,
        place: &Place<'_>,
    ) -> Result<Automaton, LoadError> {
        if let Some(known) = self.automata.get(text) {
            return Ok(*known);
        }
        let pattern =
            (self.compile)(text).map_err(|reason| place.error(format!("{text:?} {reason}")))?;
        let automaton = Automaton {
            text: self.writer.text(pattern.automaton()),
            matches_empty: pattern.matches(b""),
        };
        self.automata.insert(text.to_owned(), automaton);
        Ok(automaton)
    }

    pub(crate) fn into_writer(self) -> Writer {
        self.writer
    }
}

impl Deref for Encoder<'_> {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.writer
    }
}

impl DerefMut for Encoder<'_> {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }
}
