//! Regular expressions: compiled once, and admitted as far as budgets go.
//!
//! A pattern costs three times: work when it is compiled, bytes in the table that
//! every worker of Envoy holds, and a search of each request that comes to it.
//! One namespace must not spend what the others need, so each has a budget of
//! bytes, and the table as a whole has one that namespaces share: those that ask
//! for little get it, and what is left is shared evenly by those that ask for
//! more. What one request has searched is bounded for each service and host.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use ingress_filter::{Pattern, PatternError};
use thiserror::Error;

use crate::model::Patterns;

/// The most bytes of automata for a namespace: room for some hundred of those
/// that people write, at 1 to 12 KB, and compiled in less than half a second.
const MAX_OF_NAMESPACE: usize = 512 << 10;

/// The most bytes of automata in a table.
const MAX_OF_TABLE: usize = 16 << 20;

/// What one that is given up as too large counts: it took as much work as one of
/// the largest that are taken.
const SIZE_GIVEN_UP: usize = 64 << 10;

/// The most that one request has searched: those in the rules of a service, or
/// among the paths of a host. A search of the longest header takes some tenths of a
/// millisecond.
pub(super) const MAX_SEARCHED: usize = 64;

type Compiled = Result<Arc<Pattern<'static>>, PatternError>;

/// What was compiled before, so that a change compiles only what is new.
#[derive(Debug, Default)]
pub(crate) struct PatternCache {
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    compiled: Compiled,
    is_used: bool,
}

impl PatternCache {
    fn compile(&self, text: &str) -> Compiled {
        // Each change is one call, so a panic elsewhere leaves them whole.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(text) {
            entry.is_used = true;
            return entry.compiled.clone();
        }
        let compiled = Pattern::new(text).map(Arc::new);
        entries.insert(text.to_owned(), Entry { compiled: compiled.clone(), is_used: true });
        compiled
    }

    /// Forgets what was not asked for since this was last called.
    pub(super) fn sweep(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| std::mem::take(&mut entry.is_used));
    }
}

/// Why a pattern is not served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(
        "is a regular expression beyond what the namespace may have: {} KiB once compiled, of all its objects together; \
         write fewer or simpler ones",
        MAX_OF_NAMESPACE >> 10
    )]
    Namespace,
    #[error(
        "is a regular expression beyond the namespace's share of the {} MiB that all namespaces together may have once \
         compiled; write fewer or simpler ones",
        MAX_OF_TABLE >> 20
    )]
    Table,
}

/// The patterns of all objects, as far as they are admitted.
#[derive(Default)]
pub(super) struct Admission {
    patterns: Patterns,
    /// By namespace and text.
    refused: HashMap<String, HashMap<String, Refusal>>,
}

impl Admission {
    /// Of those that are `wanted`, by namespace and text, the first come first.
    pub(super) fn of<'a>(
        wanted: impl IntoIterator<Item = (&'a str, &'a str)>,
        cache: &PatternCache,
    ) -> Self {
        let mut admission = Self::default();
        let mut namespaces: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
        let (mut seen, mut spent) = (HashSet::new(), HashMap::<_, usize>::new());
        for (namespace, text) in wanted {
            if !seen.insert((namespace, text)) {
                continue;
            }
            let spent = spent.entry(namespace).or_default();
            if *spent >= MAX_OF_NAMESPACE {
                admission.refuse(namespace, text, Refusal::Namespace);
                continue;
            }
            let refusal = match cache.compile(text) {
                Ok(pattern) if *spent + pattern.size() <= MAX_OF_NAMESPACE => {
                    *spent += pattern.size();
                    namespaces.entry(namespace).or_default().push((text, pattern.size()));
                    admission.patterns.insert(text.to_owned(), pattern);
                    continue;
                }
                Ok(_) => Refusal::Namespace,
                Err(error) => {
                    if error == PatternError::TooLarge {
                        *spent += SIZE_GIVEN_UP;
                    }
                    error.into()
                }
            };
            admission.refuse(namespace, text, refusal);
        }
        admission.share_evenly(&namespaces, MAX_OF_TABLE);
        admission
    }

    /// Refuses what is beyond the share of its namespace.
    fn share_evenly(&mut self, namespaces: &BTreeMap<&str, Vec<(&str, usize)>>, most: usize) {
        let size = |patterns: &Vec<(&str, usize)>| patterns.iter().map(|(_, size)| size).sum();
        let share = share(namespaces.values().map(size).collect(), most);
        for (namespace, patterns) in namespaces {
            let mut spent = 0;
            for (text, size) in patterns {
                spent += size;
                if spent > share {
                    self.refuse(namespace, text, Refusal::Table);
                }
            }
        }
    }

    fn refuse(&mut self, namespace: &str, text: &str, refusal: Refusal) {
        self.refused.entry(namespace.to_owned()).or_default().insert(text.to_owned(), refusal);
    }

    /// Whether a pattern of a namespace is served.
    pub(super) fn check(&self, namespace: &str, text: &str) -> Result<(), Refusal> {
        let refused = self.refused.get(namespace).and_then(|refused| refused.get(text));
        refused.map_or(Ok(()), |refusal| Err(refusal.clone()))
    }

    /// All that are compiled.
    pub(super) fn into_patterns(self) -> Patterns {
        self.patterns
    }
}

/// The most for each, so that all together get no more than `most`, and no one is
/// cut who asks for less than the others.
fn share(mut wanted: Vec<usize>, most: usize) -> usize {
    wanted.sort_unstable();
    let (mut left, count) = (most, wanted.len());
    for (index, wanted) in wanted.into_iter().enumerate() {
        let share = left / (count - index);
        if wanted > share {
            return share;
        }
        left -= wanted;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_little_gets_it() {
        for (wanted, most, expected) in [
            (vec![], 10, usize::MAX),
            (vec![3, 3, 4], 10, usize::MAX),
            (vec![1, 9, 9], 11, 5),
            (vec![1, 2, 100, 100], 103, 50),
            (vec![5, 5, 5], 9, 3),
        ] {
            assert_eq!(share(wanted.clone(), most), expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_namespace_spends_its_own_budget_alone() {
        let cache = PatternCache::default();
        let many: Vec<_> = (0..2_000).map(|index| format!("(a|b)*-{index}-[0-9]{{4}}")).collect();
        let wanted = many.iter().map(|text| ("greedy", &**text)).chain([("modest", "a+")]);
        let admission = Admission::of(wanted, &cache);
        assert_eq!(admission.check("greedy", &many[0]), Ok(()));
        assert_eq!(admission.check("greedy", &many[1_999]), Err(Refusal::Namespace));
        assert_eq!(admission.check("modest", "a+"), Ok(()));
    }

    #[test]
    fn what_is_given_up_is_paid_for_and_not_tried_again() {
        let cache = PatternCache::default();
        let large: Vec<_> = (0..100).map(|index| format!("([ab]*a[ab]{{14}})c{index}")).collect();
        let wanted = || large.iter().map(|text| ("greedy", &**text)).chain([("modest", "a+")]);
        let admission = Admission::of(wanted(), &cache);
        let compiled = cache.entries.lock().unwrap().len();
        assert_eq!(compiled, MAX_OF_NAMESPACE / SIZE_GIVEN_UP + 1, "and one of the other's");
        let too_large = Err(Refusal::from(PatternError::TooLarge));
        assert_eq!(admission.check("greedy", &large[0]), too_large);
        assert_eq!(admission.check("greedy", &large[99]), Err(Refusal::Namespace));
        assert_eq!(admission.check("modest", "a+"), Ok(()));

        cache.sweep();
        let _ = Admission::of(wanted(), &cache);
        cache.sweep();
        assert_eq!(cache.entries.lock().unwrap().len(), compiled);
        cache.sweep();
        assert_eq!(cache.entries.lock().unwrap().len(), 0, "nobody asks any more");
    }

    #[test]
    fn a_table_is_shared_evenly() {
        let namespaces = BTreeMap::from([
            ("a", vec![("1", 40), ("2", 40)]),
            ("b", vec![("1", 10)]),
            ("c", vec![("3", 40), ("4", 5)]),
        ]);
        let mut admission = Admission::default();
        admission.share_evenly(&namespaces, 100);
        assert_eq!(admission.check("a", "2"), Err(Refusal::Table), "45 for each of a and c");
        for (namespace, text) in [("a", "1"), ("b", "1"), ("c", "3"), ("c", "4")] {
            assert_eq!(admission.check(namespace, text), Ok(()), "{namespace} {text}");
        }
    }
}
