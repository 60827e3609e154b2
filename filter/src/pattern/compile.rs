//! Compiles a regular expression to its automaton.

use std::collections::{BTreeMap, VecDeque};

use regex_automata::dfa::Automaton;
use regex_automata::dfa::dense::{self, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::error::{MAX_CHARACTERS, MAX_SIZE};
use super::{Pattern, PatternError};

/// The memory limit of each step of a compilation, in bytes. It ends the compilation
/// of a pattern that becomes too large within milliseconds.
const MAX_WORK: usize = 512 << 10;

/// The deepest nesting of groups.
const MAX_NESTING: u32 = 50;

impl Pattern<'static> {
    /// Compiles `text`, in the syntax of Rust's `regex` crate without its
    /// Unicode classes.
    ///
    /// # Errors
    /// If the pattern is not valid or too large. The message has the remedy.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let dfa = build(text)?;
        let automaton = States::of(&dfa).and_then(|states| states.encode());
        let automaton = automaton.filter(|automaton| automaton.len() <= MAX_SIZE);
        Ok(Self(automaton.ok_or(PatternError::TooLarge)?.into()))
    }

    /// Checks whether `text` is a valid pattern, without compiling it. The compiled
    /// pattern may still be too large.
    ///
    /// # Errors
    /// Same as [`Pattern::new`].
    pub fn check(text: &str) -> Result<(), PatternError> {
        parse(text).map(drop)
    }
}

fn parse(text: &str) -> Result<regex_syntax::hir::Hir, PatternError> {
    let characters = text.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(PatternError::TooLong { characters });
    }
    let syntax = syntax::Config::new().unicode(false).utf8(false).nest_limit(MAX_NESTING);
    syntax::parse_with(text, &syntax).map_err(|error| refusal(&error))
}

fn refusal(error: &regex_syntax::Error) -> PatternError {
    use regex_syntax::ast::ErrorKind;
    let kind = match error {
        regex_syntax::Error::Parse(error) => Some(error.kind()),
        _ => None,
    };
    match kind {
        Some(ErrorKind::UnsupportedLookAround) => PatternError::LookAround,
        Some(ErrorKind::UnsupportedBackreference) => PatternError::BackReference,
        _ => {
            // The parser's message has several lines with the pattern marked up. The cause
            // is in the last one.
            let text = error.to_string();
            let cause = text.lines().last().unwrap_or_default();
            PatternError::Syntax(cause.strip_prefix("error: ").unwrap_or(cause).to_owned())
        }
    }
}

fn build(text: &str) -> Result<DFA<Vec<u32>>, PatternError> {
    let nfa_config =
        thompson::Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(MAX_WORK));
    let nfa = thompson::NFA::compiler().configure(nfa_config).build_from_hir(&parse(text)?);
    let nfa = nfa.map_err(|_| PatternError::TooLarge)?;
    let dfa_config = dense::Config::new()
        // All matches, so that the longest one is found, too.
        .match_kind(MatchKind::All)
        .start_kind(regex_automata::dfa::StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(MAX_WORK))
        .determinize_size_limit(Some(MAX_WORK));
    let builder = dense::Builder::new().configure(dfa_config).build_from_nfa(&nfa);
    builder.map_err(|_| PatternError::TooLarge)
}

/// An automaton as a table with one row per state. Row 0 is the dead state.
struct States {
    /// The class of each byte.
    classes: [u8; 256],
    /// The number of classes.
    width: usize,
    /// For each state, the next state for each class.
    next: Vec<Vec<u32>>,
    /// For each state, whether a value that ends there matches.
    accepts: Vec<bool>,
    start: u32,
}

impl States {
    /// Collects the reachable states. `None` if there are too many.
    fn of(dfa: &DFA<Vec<u32>>) -> Option<Self> {
        let (classes, members) = classes(dfa);
        let start = dfa.start_state_forward(&Input::new("").anchored(Anchored::Yes)).ok()?;
        let mut found = Found { dfa, numbers: BTreeMap::new(), pending: VecDeque::new() };
        let mut this = Self {
            classes,
            width: members.len(),
            next: vec![vec![0; members.len()]],
            accepts: vec![false],
            start: found.number(start),
        };
        while let Some(state) = found.pending.pop_front() {
            let row = members.iter().map(|byte| found.number(dfa.next_state(state, *byte)));
            this.next.push(row.collect());
            this.accepts.push(dfa.is_match_state(dfa.next_eoi_state(state)));
            if this.next.len() * this.width > MAX_SIZE {
                return None;
            }
        }
        Some(this)
    }

    /// Encodes the automaton for the module. `None` if the number of a state does not
    /// fit into two bytes.
    fn encode(&self) -> Option<Vec<u8>> {
        // Accepting states are last, so that one comparison identifies them.
        let mut order: Vec<usize> = (0..self.next.len()).collect();
        order.sort_by_key(|state| self.accepts[*state]);
        let mut rows = vec![0; order.len()];
        for (position, state) in order.iter().enumerate() {
            rows[*state] = u16::try_from(position * self.width).ok()?;
        }
        let refusing = self.accepts.iter().filter(|accepts| !**accepts).count();
        let mut bytes = Vec::with_capacity(super::NEXT_AT + rows.len() * self.width * 2);
        bytes.extend(rows[self.start as usize].to_le_bytes());
        bytes.extend(u32::try_from(refusing * self.width).ok()?.to_le_bytes());
        bytes.extend(self.classes);
        for state in order {
            for next in &self.next[state] {
                bytes.extend(rows[*next as usize].to_le_bytes());
            }
        }
        Some(bytes)
    }
}

/// The states found so far, with their numbers.
struct Found<'d> {
    dfa: &'d DFA<Vec<u32>>,
    numbers: BTreeMap<StateID, u32>,
    pending: VecDeque<StateID>,
}

impl Found<'_> {
    fn number(&mut self, state: StateID) -> u32 {
        if self.dfa.is_dead_state(state) {
            return 0;
        }
        // 0 is the dead state.
        let next = u32::try_from(self.numbers.len() + 1).unwrap_or(u32::MAX);
        *self.numbers.entry(state).or_insert_with(|| {
            self.pending.push_back(state);
            next
        })
    }
}

/// The class of each byte, and a byte of each class.
fn classes(dfa: &DFA<Vec<u32>>) -> ([u8; 256], Vec<u8>) {
    let mut members = Vec::new();
    let classes = std::array::from_fn(|index| {
        let byte = u8::try_from(index).unwrap_or_default();
        let class = dfa.byte_classes().get(byte);
        if usize::from(class) == members.len() {
            members.push(byte);
        }
        class
    });
    (classes, members)
}
