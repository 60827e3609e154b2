//! Regular expressions: compiled once, and admitted within budgets.
//!
//! A pattern has three costs: the work to compile it, its bytes in the table in each
//! worker of Envoy, and a search for each request that is compared with it. Each namespace
//! has a budget of bytes. The whole table has one, too, which namespaces share: those
//! that need little get all they need, and the rest is divided evenly among the others.
//! The patterns that one request is compared with are limited for each service and host.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use ingress_filter::{Pattern, PatternError};
use thiserror::Error;

use crate::budget::{Level, Limits, Resource, fair_share};
use crate::finding::Code;
use crate::model::Patterns;
use crate::settings::Settings;

/// The size that a pattern counts if it is too large: compiling it took as much work as
/// for the largest accepted one.
const SIZE_GIVEN_UP: usize = 64 << 10;

/// The maximum number of patterns that one request is compared with: in the rules of a
/// service, or in the paths of a host. A search of the longest header takes some tenths
/// of a millisecond.
pub(super) const MAX_SEARCHED: usize = 64;

/// The maximum number of bytes of automata.
#[derive(Clone, Copy)]
pub(super) struct PatternBudget {
    namespace: usize,
    /// In the table.
    total: usize,
}

impl PatternBudget {
    pub(super) fn new(settings: &Settings) -> Self {
        let at = |limits: &Limits, level| {
            let limit = limits.at(level).of(Resource::RegexBytes);
            usize::try_from(limit).unwrap_or(usize::MAX)
        };
        Self {
            namespace: at(&settings.namespace_budget, Level::Namespace),
            total: at(&settings.total_budget, Level::Total),
        }
    }
}

type Compiled = Result<Arc<Pattern<'static>>, PatternError>;

/// Compiled patterns, so that a change compiles only new ones.
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
        // Each change is one call, so the map is consistent after a panic elsewhere.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(text) {
            entry.is_used = true;
            return entry.compiled.clone();
        }
        let compiled = Pattern::new(text).map(Arc::new);
        entries.insert(text.to_owned(), Entry { compiled: compiled.clone(), is_used: true });
        compiled
    }

    /// Removes the patterns that were not used since the last call.
    pub(super) fn sweep(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| std::mem::take(&mut entry.is_used));
    }
}

/// The reason why a pattern is not served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(
        "exceeds the budget of its namespace for regular expressions, {} KiB once compiled; use fewer or simpler ones",
        .0 >> 10
    )]
    Namespace(usize),
    #[error(
        "exceeds its namespace's share of the budget for regular expressions, {} MiB once compiled for all namespaces; use fewer or simpler ones",
        .0 >> 20
    )]
    Table(usize),
}

impl Refusal {
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Pattern(error) => error.into(),
            Self::Namespace(_) | Self::Table(_) => Code::BudgetExceeded,
        }
    }
}

/// The admitted patterns of all objects.
#[derive(Default)]
pub(super) struct Admission {
    patterns: Patterns,
    /// The patterns by namespace and text.
    refused: HashMap<String, HashMap<String, Refusal>>,
}

impl Admission {
    /// Admits patterns, given by namespace and text, in their order.
    pub(super) fn of<'a>(
        wanted: impl IntoIterator<Item = (&'a str, &'a str)>,
        budget: PatternBudget,
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
            if *spent >= budget.namespace {
                admission.refuse(namespace, text, Refusal::Namespace(budget.namespace));
                continue;
            }
            let refusal = match cache.compile(text) {
                Ok(pattern) if *spent + pattern.size() <= budget.namespace => {
                    *spent += pattern.size();
                    namespaces.entry(namespace).or_default().push((text, pattern.size()));
                    admission.patterns.insert(text.to_owned(), pattern);
                    continue;
                }
                Ok(_) => Refusal::Namespace(budget.namespace),
                Err(error) => {
                    if error == PatternError::TooLarge {
                        *spent += SIZE_GIVEN_UP;
                    }
                    error.into()
                }
            };
            admission.refuse(namespace, text, refusal);
        }
        admission.share_evenly(&namespaces, budget.total);
        admission
    }

    /// Rejects patterns that exceed the share of their namespace.
    fn share_evenly(&mut self, namespaces: &BTreeMap<&str, Vec<(&str, usize)>>, most: usize) {
        let size =
            |patterns: &Vec<(&str, usize)>| patterns.iter().map(|(_, size)| size).sum::<usize>();
        let wanted = namespaces.values().map(|it| size(it) as u64).collect();
        let share = usize::try_from(fair_share(wanted, most as u64)).unwrap_or(usize::MAX);
        for (namespace, patterns) in namespaces {
            let mut spent = 0;
            for (text, size) in patterns {
                spent += size;
                if spent > share {
                    self.refuse(namespace, text, Refusal::Table(most));
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

    /// All compiled patterns.
    pub(super) fn into_patterns(self) -> Patterns {
        self.patterns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: PatternBudget = PatternBudget { namespace: 512 << 10, total: 16 << 20 };
    const OVER: Refusal = Refusal::Namespace(BUDGET.namespace);

    #[test]
    fn a_namespace_spends_its_own_budget_alone() {
        let cache = PatternCache::default();
        let many: Vec<_> = (0..2_000).map(|index| format!("(a|b)*-{index}-[0-9]{{4}}")).collect();
        let wanted = many.iter().map(|text| ("greedy", &**text)).chain([("modest", "a+")]);
        let admission = Admission::of(wanted, BUDGET, &cache);
        assert_eq!(admission.check("greedy", &many[0]), Ok(()));
        assert_eq!(admission.check("greedy", &many[1_999]), Err(OVER));
        assert_eq!(admission.check("modest", "a+"), Ok(()));
    }

    #[test]
    fn what_is_given_up_is_paid_for_and_not_tried_again() {
        let cache = PatternCache::default();
        let large: Vec<_> = (0..100).map(|index| format!("([ab]*a[ab]{{14}})c{index}")).collect();
        let wanted = || large.iter().map(|text| ("greedy", &**text)).chain([("modest", "a+")]);
        let admission = Admission::of(wanted(), BUDGET, &cache);
        let compiled = cache.entries.lock().unwrap().len();
        assert_eq!(compiled, BUDGET.namespace / SIZE_GIVEN_UP + 1, "and one of the other's");
        let too_large = Err(Refusal::from(PatternError::TooLarge));
        assert_eq!(admission.check("greedy", &large[0]), too_large);
        assert_eq!(admission.check("greedy", &large[99]), Err(OVER));
        assert_eq!(admission.check("modest", "a+"), Ok(()));

        cache.sweep();
        let _ = Admission::of(wanted(), BUDGET, &cache);
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
        assert_eq!(admission.check("a", "2"), Err(Refusal::Table(100)), "45 for each of a and c");
        for (namespace, text) in [("a", "1"), ("b", "1"), ("c", "3"), ("c", "4")] {
            assert_eq!(admission.check(namespace, text), Ok(()), "{namespace} {text}");
        }
    }
}
