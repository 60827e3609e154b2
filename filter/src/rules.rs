//! Backends made ready: their rules in order, each header that any of them asks
//! for known by a number, strings and regular expressions compiled.

mod action;
mod checks;
mod condition;

use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) use action::{
    Action, Cors, Destination, Forward, Redirect, Replaced, Rewrite, envoy, retry_edits,
};
pub(crate) use condition::{Source, Test};

use crate::error::{LoadError, Place};
use crate::pattern::Pattern;
use crate::subnet::Subnet;
use crate::table;
use condition::Condition;

/// A backend, ready to decide.
#[derive(Debug)]
pub(crate) struct Backend {
    /// The headers that the conditions ask for, each once.
    slots: Vec<Slot>,
    rules: Vec<Rule>,
    default: Action,
}

/// A header that conditions ask for.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) source: Source,
    /// Whether a condition holds for an empty value, so that it has to be told
    /// from none.
    pub(crate) may_be_empty: bool,
}

#[derive(Debug)]
struct Rule {
    name: String,
    subnets: Vec<Subnet>,
    /// The cheapest first.
    conditions: Vec<Condition>,
    action: Action,
}

/// What a rule asks of a request.
pub(crate) trait Facts {
    /// The value of the slot with this number.
    fn value(&self, slot: u32) -> Option<&[u8]>;
    /// The address of the client.
    fn client(&self) -> Option<std::net::IpAddr>;
}

impl Backend {
    /// The headers that the conditions ask for.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The action of the first rule whose match holds, with that rule's name,
    /// or the default one.
    pub(crate) fn action(&self, facts: &impl Facts) -> (&Action, Option<&str>) {
        let mut values = Values { facts, last: None };
        match self.rules.iter().find(|rule| rule.holds(&mut values)) {
            Some(rule) => (&rule.action, Some(&rule.name)),
            None => (&self.default, None),
        }
    }
}

/// The values that conditions ask for. Rules of one backend tend to ask for the
/// same one over and over.
struct Values<'f, F> {
    facts: &'f F,
    last: Option<(u32, Option<&'f [u8]>)>,
}

impl<'f, F: Facts> Values<'f, F> {
    fn get(&mut self, slot: u32) -> Option<&'f [u8]> {
        match self.last {
            Some((last, value)) if last == slot => value,
            _ => {
                let value = self.facts.value(slot);
                self.last = Some((slot, value));
                value
            }
        }
    }
}

impl Rule {
    fn holds<F: Facts>(&self, values: &mut Values<'_, F>) -> bool {
        self.conditions.iter().all(|condition| {
            values.get(condition.slot()).is_some_and(|value| condition.holds(value))
        }) && self.admits(values.facts)
    }

    fn admits(&self, facts: &impl Facts) -> bool {
        self.subnets.is_empty()
            || facts
                .client()
                .is_some_and(|client| self.subnets.iter().any(|subnet| subnet.contains(client)))
    }
}

/// Compiles the backends of one table, of which many may use the same regular
/// expression.
#[derive(Default)]
pub(crate) struct Compiler {
    patterns: BTreeMap<String, Rc<Pattern>>,
}

impl Compiler {
    pub(crate) fn backend(
        &mut self,
        backend: &table::Backend,
        place: &Place<'_>,
    ) -> Result<Backend, LoadError> {
        if backend.name.is_empty() {
            return Err(place.field("name").error("is empty; routes name their backend by it"));
        }
        let mut slots = Slots::default();
        let mut rules = Vec::with_capacity(backend.rules.len());
        for (index, rule) in backend.rules.iter().enumerate() {
            rules.push(self.rule(rule, &mut slots, &place.item("rules", index))?);
        }
        let default = Action::new(&backend.default, Replaced::Route, &place.field("default"))?;
        Ok(Backend { slots: slots.all, rules, default })
    }

    fn rule(
        &mut self,
        rule: &table::Rule,
        slots: &mut Slots,
        place: &Place<'_>,
    ) -> Result<Rule, LoadError> {
        let match_place = place.field("match");
        let subnets = rule.matches.source_subnets.iter().enumerate().map(|(index, subnet)| {
            Subnet::parse(subnet).map_err(|reason| {
                match_place.item("source_subnets", index).error(format!("{subnet:?} {reason}"))
            })
        });
        let subnets = subnets.collect::<Result<_, _>>()?;
        let mut conditions = Vec::with_capacity(rule.matches.headers.len());
        let mut replaced = Replaced::Route;
        for (index, header) in rule.matches.headers.iter().enumerate() {
            let place = match_place.item("headers", index);
            let test = self.test(&header.value, &place.field("value"))?;
            let source = Source::new(&header.name, &place.field("name"))?;
            if source == Source::Path {
                replaced = match &header.value {
                    table::StringMatch::Prefix(prefix) => Replaced::Prefix(prefix.len()),
                    table::StringMatch::Exact(_) | table::StringMatch::Regex(_) => Replaced::Whole,
                };
            }
            conditions.push(slots.condition(&source, test));
        }
        conditions.sort_by_key(Condition::cost);
        let action = Action::new(&rule.action, replaced, &place.field("action"))?;
        Ok(Rule { name: rule.name.clone(), subnets, conditions, action })
    }

    fn test(&mut self, value: &table::StringMatch, place: &Place<'_>) -> Result<Test, LoadError> {
        Ok(match value {
            table::StringMatch::Exact(text) => Test::Exact(text.as_bytes().into()),
            table::StringMatch::Prefix(text) => Test::Prefix(text.as_bytes().into()),
            table::StringMatch::Regex(text) => {
                if let Some(known) = self.patterns.get(text) {
                    return Ok(Test::Regex(Rc::clone(known)));
                }
                let pattern = Pattern::new(text)
                    .map_err(|reason| place.field("regex").error(format!("{text:?} {reason}")))?;
                let pattern = Rc::new(pattern);
                self.patterns.insert(text.clone(), Rc::clone(&pattern));
                Test::Regex(pattern)
            }
        })
    }
}

/// The headers that the rules of one backend ask for, while they are gathered.
#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    numbers: BTreeMap<Source, u32>,
}

impl Slots {
    fn condition(&mut self, source: &Source, test: Test) -> Condition {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let slot = *self.numbers.entry(source.clone()).or_insert(next);
        if slot == next {
            self.all.push(Slot { source: source.clone(), may_be_empty: false });
        }
        if let Some(known) = self.all.get_mut(slot as usize) {
            known.may_be_empty |= test.holds(b"");
        }
        Condition::new(slot, source, test)
    }
}
