//! Converts backends between the two forms of the table.

use std::collections::BTreeMap;

use super::condition::Condition;
use super::{Backend, Match, Rule};
use crate::action::{Action, Replaced};
use crate::encoder::Encoder;
use crate::error::{Broken, LoadError, Place};
use crate::flat::Bytes;
use crate::headers;
use crate::ports::Port;
use crate::subnet::Subnet;
use crate::table::{self, StringMatch};
use crate::view::{Slot, Source};

impl Backend {
    pub(crate) fn encode(
        backend: &table::Backend,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        if backend.name.is_empty() {
            return Err(place.field("name").error("is empty; set a name, which routes refer to"));
        }
        let mut slots = Slots::default();
        let mut rules = Vec::with_capacity(backend.rules.len());
        for (index, rule) in backend.rules.iter().enumerate() {
            rules.push(Rule::encode(rule, &mut slots, encoder, &place.item("rules", index))?);
        }
        let default = &place.field("default");
        let default = Action::encode(&backend.default, Replaced::Route, encoder, default)?;
        let mut ports = Vec::with_capacity(backend.ports.len());
        for (index, port) in backend.ports.iter().enumerate() {
            ports.push(Port::encode(port, encoder, &place.item("ports", index))?);
        }
        Ok(Self {
            name: encoder.text(&backend.name),
            ports: encoder.list(&ports),
            slots: encoder.list(&slots.all),
            rules: encoder.list(&rules),
            default,
        })
    }

    pub(crate) fn decode(&self, bytes: Bytes<'_>) -> Result<table::Backend, Broken> {
        let slots: Vec<Slot> = bytes.collect(self.slots)?;
        let rules = bytes.list(self.rules)?.iter();
        let ports = bytes.list(self.ports)?.iter();
        Ok(table::Backend {
            name: bytes.string(self.name)?,
            ports: ports.map(|port| port?.decode(bytes)).collect::<Result<_, _>>()?,
            rules: rules.map(|rule| rule?.decode(&slots, bytes)).collect::<Result<_, _>>()?,
            default: self.default.decode(bytes)?,
        })
    }
}

impl Rule {
    fn encode(
        rule: &table::Rule,
        slots: &mut Slots,
        encoder: &mut Encoder<'_>,
        place: &Place<'_>,
    ) -> Result<Self, LoadError> {
        let match_place = place.field("match");
        let subnets = rule.matches.source_subnets.iter().enumerate().map(|(index, subnet)| {
            Subnet::parse(subnet).map_err(|reason| {
                match_place.item("source_subnets", index).error(format!("{subnet:?} {reason}"))
            })
        });
        let subnets = subnets.collect::<Result<Vec<_>, _>>()?;
        let mut headers = Vec::with_capacity(rule.matches.headers.len());
        for (index, header) in rule.matches.headers.iter().enumerate() {
            let source = source(&header.name, &match_place.item("headers", index).field("name"))?;
            headers.push((index, source, header));
        }
        headers.sort_by_key(|(_, source, header)| cost(*source, &header.value));
        let mut conditions = Vec::with_capacity(headers.len());
        let mut replaced = Replaced::Route;
        for (index, source, header) in headers {
            if source == Source::Path {
                replaced = match &header.value {
                    StringMatch::Prefix(prefix) => Replaced::prefix(prefix),
                    StringMatch::Exact(_) | StringMatch::Regex(_) => Replaced::Whole,
                };
            }
            let slot = slots.number(source, &header.name, encoder);
            let place = match_place.item("headers", index);
            let (condition, holds_empty) =
                Condition::encode(slot, &header.value, encoder, &place.field("value"))?;
            slots.note_empty(slot, holds_empty);
            conditions.push(condition);
        }
        let action = Action::encode(&rule.action, replaced, encoder, &place.field("action"))?;
        Ok(Self {
            name: encoder.shared(&rule.name),
            matches: Match {
                conditions: encoder.list(&conditions),
                subnets: encoder.list(&subnets),
            },
            action,
        })
    }

    fn decode(&self, slots: &[Slot], bytes: Bytes<'_>) -> Result<table::Rule, Broken> {
        let Match { conditions, subnets } = self.matches;
        let conditions = bytes.list(conditions)?.iter();
        let subnets = bytes.list(subnets)?.iter();
        Ok(table::Rule {
            name: bytes.string(self.name)?,
            matches: table::RuleMatch {
                source_subnets: subnets
                    .map(|subnet| Ok(subnet?.to_string()))
                    .collect::<Result<_, _>>()?,
                headers: conditions
                    .map(|condition| condition?.decode(slots, bytes))
                    .collect::<Result<_, _>>()?,
            },
            action: self.action.decode(bytes)?,
        })
    }
}

/// The cost of a condition. Known values are checked before those that need a host
/// call, and texts before regular expressions.
fn cost(source: Source, value: &StringMatch) -> u8 {
    u8::from(!source.is_known()) * 2 + u8::from(matches!(value, StringMatch::Regex(_)))
}

/// The source of a header's value, by its name at `place` in the table.
fn source(name: &str, place: &Place<'_>) -> Result<Source, LoadError> {
    Ok(match name {
        ":path" => Source::Path,
        ":authority" => Source::Host,
        ":method" => Source::Method,
        ":scheme" => Source::Scheme,
        name if headers::is_name(name) => Source::Header,
        name => {
            let reason = format!("{name:?} is not a valid header name; write it in lower case");
            return Err(place.error(reason));
        }
    })
}

/// Collects the headers that the rules of one backend read.
#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    numbers: BTreeMap<String, u32>,
}

impl Slots {
    fn number(&mut self, source: Source, name: &str, encoder: &mut Encoder<'_>) -> u32 {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.to_owned(), number);
        self.all.push(Slot { source, name: encoder.shared(name), may_be_empty: false });
        number
    }

    fn note_empty(&mut self, slot: u32, may_be_empty: bool) {
        if let Some(known) = self.all.get_mut(slot as usize) {
            known.may_be_empty |= may_be_empty;
        }
    }
}
