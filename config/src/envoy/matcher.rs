//! `xds.type.matcher.v3.Matcher`: selects an action by one input.

use std::collections::BTreeMap;
use std::fmt::Debug;

use prost::{Message, Oneof};
use serde::Serialize;

use super::core::StringMatcher;
use super::message::{Extension, Typed};

/// Selects an action `A` by an input `I`, such as a header.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Matcher<I: Part, A: Part> {
    #[prost(oneof = "Step::<I, A>", tags = "1, 2")]
    #[serde(flatten)]
    step: Option<Step<I, A>>,
    #[prost(message, optional, boxed, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_no_match: Option<Box<OnMatch<I, A>>>,
}

/// An input or an action.
pub(super) trait Part: Typed + Clone + Debug + PartialEq {}

impl<T: Typed + Clone + Debug + PartialEq> Part for T {}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum Step<I: Part, A: Part> {
    #[prost(message, tag = "1")]
    MatcherList(MatcherList<I, A>),
    #[prost(message, tag = "2")]
    MatcherTree(MatcherTree<I, A>),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct MatcherTree<I: Part, A: Part> {
    #[prost(message, optional, tag = "1")]
    input: Option<Extension<I>>,
    #[prost(oneof = "TreeMap::<I, A>", tags = "2, 3")]
    #[serde(flatten)]
    tree_type: Option<TreeMap<I, A>>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum TreeMap<I: Part, A: Part> {
    #[prost(message, tag = "2")]
    ExactMatchMap(MatchMap<I, A>),
    #[prost(message, tag = "3")]
    PrefixMatchMap(MatchMap<I, A>),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct MatchMap<I: Part, A: Part> {
    #[prost(btree_map = "string, message", tag = "1")]
    map: BTreeMap<String, OnMatch<I, A>>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct MatcherList<I: Part, A: Part> {
    #[prost(message, repeated, tag = "1")]
    matchers: Vec<FieldMatcher<I, A>>,
}

/// An item of a list.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct FieldMatcher<I: Part, A: Part> {
    #[prost(message, optional, tag = "1")]
    predicate: Option<Predicate<I>>,
    #[prost(message, optional, tag = "2")]
    on_match: Option<OnMatch<I, A>>,
}

/// A condition.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Predicate<I: Part> {
    #[prost(oneof = "MatchType::<I>", tags = "1, 4")]
    #[serde(flatten)]
    kind: Option<MatchType<I>>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum MatchType<I: Part> {
    #[prost(message, tag = "1")]
    SinglePredicate(SinglePredicate<I>),
    #[prost(message, tag = "4")]
    NotMatcher(Box<Predicate<I>>),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct SinglePredicate<I: Part> {
    #[prost(message, optional, tag = "1")]
    input: Option<Extension<I>>,
    #[prost(message, optional, tag = "2")]
    value_match: Option<StringMatcher>,
}

/// The result of a match: an action, or another matcher.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct OnMatch<I: Part, A: Part> {
    #[prost(oneof = "Outcome::<I, A>", tags = "1, 2")]
    #[serde(flatten)]
    outcome: Option<Outcome<I, A>>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome<I: Part, A: Part> {
    #[prost(message, tag = "1")]
    Matcher(Box<Matcher<I, A>>),
    #[prost(message, tag = "2")]
    Action(Extension<A>),
}

impl<I: Part, A: Part> Matcher<I, A> {
    /// Always the same outcome.
    pub(super) fn any(outcome: Option<OnMatch<I, A>>) -> Self {
        Self { step: None, on_no_match: outcome.map(Box::new) }
    }

    /// The outcome of the longest key with which `input` begins.
    pub(super) fn by_prefix(
        input: Extension<I>,
        map: BTreeMap<String, OnMatch<I, A>>,
        otherwise: OnMatch<I, A>,
    ) -> Self {
        let (input, tree_type) = (Some(input), Some(TreeMap::PrefixMatchMap(MatchMap { map })));
        let tree = MatcherTree { input, tree_type };
        Self { step: Some(Step::MatcherTree(tree)), on_no_match: Some(Box::new(otherwise)) }
    }

    /// Tries `matchers` first. Envoy accepts no empty list.
    pub(super) fn preceded_by(self, matchers: Vec<FieldMatcher<I, A>>) -> Self {
        if matchers.is_empty() {
            return self;
        }
        Self { step: Some(Step::MatcherList(MatcherList { matchers })), ..self }
    }

    /// Looks `input` up in `map` first, which costs the same at any size. Envoy accepts no
    /// empty one.
    pub(super) fn preceded_by_exact(
        self,
        input: Extension<I>,
        map: BTreeMap<String, OnMatch<I, A>>,
    ) -> Self {
        if map.is_empty() {
            return self;
        }
        let (input, tree_type) = (Some(input), Some(TreeMap::ExactMatchMap(MatchMap { map })));
        let rest = match self.step {
            None => self.on_no_match,
            Some(_) => Some(Box::new(OnMatch { outcome: Some(Outcome::Matcher(Box::new(self))) })),
        };
        let tree = MatcherTree { input, tree_type };
        Self { step: Some(Step::MatcherTree(tree)), on_no_match: rest }
    }
}

impl<I: Part, A: Part> FieldMatcher<I, A> {
    pub(super) fn new(predicate: Predicate<I>, on_match: OnMatch<I, A>) -> Self {
        Self { predicate: Some(predicate), on_match: Some(on_match) }
    }
}

impl<I: Part> Predicate<I> {
    pub(super) fn new(input: Extension<I>, value_match: StringMatcher) -> Self {
        let (input, value_match) = (Some(input), Some(value_match));
        let predicate = SinglePredicate { input, value_match };
        Self { kind: Some(MatchType::SinglePredicate(predicate)) }
    }

    pub(super) fn negated(self) -> Self {
        Self { kind: Some(MatchType::NotMatcher(Box::new(self))) }
    }
}

impl<I: Part, A: Part> OnMatch<I, A> {
    pub(super) fn action(name: &str, action: A) -> Self {
        Self { outcome: Some(Outcome::Action(Extension::new(name, action))) }
    }
}
