//! The routes of one virtual host: who wins where several claim a path.

use std::collections::BTreeMap;

use ingress_filter::table::{PathMatch, Plaintext, Route};

use super::paths::PathType;
use crate::finding::{Finding, Findings};
use crate::manifest::{Object, Position};

/// A path of an Ingress that wants to be a route.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) path: PathMatch,
    pub(super) path_type: PathType,
    pub(super) backend: String,
    pub(super) plaintext: Option<Plaintext>,
    pub(super) ingress: &'a Object,
    pub(super) rule_index: usize,
    pub(super) path_index: usize,
    pub(super) at: Position,
}

/// All that want to be a route of one host, the oldest first.
#[derive(Debug, Default)]
pub(super) struct HostRoutes<'a>(Vec<Candidate<'a>>);

/// What a route matches; of two with the same key one can never be reached.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Matches<'p> {
    Exactly(&'p str),
    /// The text, and everything below it after a slash.
    Elements(&'p str),
    StartsWith(&'p str),
    Pattern(&'p str),
}

impl<'a> HostRoutes<'a> {
    pub(super) fn extend(&mut self, candidate: Option<Candidate<'a>>) {
        self.0.extend(candidate);
    }

    /// The routes that can be reached, in the order in which the table's ties
    /// are decided; the others become findings.
    pub(super) fn finish(self, host: &str, findings: &mut Findings) -> Vec<Candidate<'a>> {
        let mut candidates = self.0;
        // Stable, so the oldest stays first among equals.
        candidates.sort_by_key(|candidate| (candidate.path_type, !ends_in_slash(&candidate.path)));
        let winners = winners(&candidates);
        let is_reached = candidates.iter().enumerate().map(|(index, candidate)| {
            let Some((winner, by)) = winner(&winners, candidate) else { return true };
            if winner != index {
                findings.push(candidate.lost_to(by, host));
            }
            winner == index
        });
        let mut is_reached = is_reached.collect::<Vec<_>>().into_iter();
        candidates.retain(|_| is_reached.next().unwrap_or(true));
        candidates
    }
}

/// By what it matches, the candidate that is reached, with its index.
type Winners<'p> = BTreeMap<Matches<'p>, (usize, &'p Candidate<'p>)>;

fn winners<'p>(candidates: &'p [Candidate<'p>]) -> Winners<'p> {
    let mut winners = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        winners.entry(Matches::of(&candidate.path)).or_insert((index, candidate));
    }
    winners
}

/// Which candidate serves what `candidate` wants to.
fn winner<'p>(
    winners: &Winners<'p>,
    candidate: &Candidate<'_>,
) -> Option<(usize, &'p Candidate<'p>)> {
    // `Prefix /foo/` takes all that `/foo/.*` matches, and comes before it;
    // `Prefix /foo` comes after it.
    let by_elements = match &candidate.path {
        PathMatch::StringPrefix(text) => {
            text.strip_suffix('/').and_then(|stem| winners.get(&Matches::Elements(stem)))
        }
        _ => None,
    };
    // Regular expressions come last, so a prefix that takes all leaves them
    // nothing.
    if let PathMatch::Regex(_) = &candidate.path
        && let Some(all) =
            winners.get(&Matches::Elements("")).or_else(|| winners.get(&Matches::StartsWith("/")))
    {
        return Some(*all);
    }
    by_elements
        .filter(|(_, winner)| ends_in_slash(&winner.path))
        .or_else(|| winners.get(&Matches::of(&candidate.path)))
        .copied()
}

impl<'p> Matches<'p> {
    fn of(path: &'p PathMatch) -> Self {
        match path {
            PathMatch::Exact(text) => Self::Exactly(text),
            PathMatch::Prefix(text) => Self::Elements(text.strip_suffix('/').unwrap_or(text)),
            PathMatch::StringPrefix(text) => Self::StartsWith(text),
            PathMatch::Regex(text) => Self::Pattern(text),
        }
    }
}

fn ends_in_slash(path: &PathMatch) -> bool {
    path.text().ends_with('/')
}

impl Candidate<'_> {
    /// The route it is.
    pub(super) fn route(&self) -> Route {
        let Object { namespace, name, .. } = self.ingress;
        Route {
            path: self.path.clone(),
            backend: self.backend.clone(),
            source: format!("{namespace}/{name}#{}.{}", self.rule_index, self.path_index),
            plaintext: self.plaintext,
        }
    }

    fn field(&self) -> String {
        format!("spec.rules[{}].http.paths[{}].path", self.rule_index, self.path_index)
    }

    /// Names both sides: whoever reads one manifest may not know the other.
    fn lost_to(&self, winner: &Self, host: &str) -> Finding {
        let on = if host == "*" { "every host".into() } else { format!("host {host}") };
        let message = format!(
            "can never be reached: {} on {on} is served by {} ({}{}); remove one of the two",
            self.path,
            winner.ingress.reference(),
            winner.field(),
            winner.ingress.at(winner.at),
        );
        self.ingress.warning(self.at, self.field(), message)
    }
}
