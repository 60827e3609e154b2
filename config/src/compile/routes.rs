//! The routes of one virtual host, and which one wins if several have the same path.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ingress_filter::table::{PathMatch, Plaintext, Route};

use super::patterns::MAX_SEARCHED;
use crate::finding::{Code, Finding, Findings};
use crate::manifest::Object;
use crate::objects::ingress::IngressPath;

/// A path of an Ingress as a candidate for a route.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) path: &'a IngressPath,
    /// The paths that it matches.
    pub(super) pattern: Cow<'a, PathMatch>,
    pub(super) backend: String,
    pub(super) plaintext: Option<Plaintext>,
    pub(super) ingress: &'a Object,
}

/// The candidates of one host, the oldest first.
#[derive(Debug, Default)]
pub(super) struct HostRoutes<'a>(Vec<Candidate<'a>>);

/// The paths that a route matches. Of two routes with the same key, one is unreachable.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Matches<'p> {
    Exactly(&'p str),
    /// The text, and all paths below it after a slash.
    Elements(&'p str),
    StartsWith(&'p str),
    Pattern(&'p str),
}

impl<'a> HostRoutes<'a> {
    pub(super) fn push(&mut self, candidate: Candidate<'a>) {
        self.0.push(candidate);
    }

    /// The reachable routes, in the order of precedence among equal ones in the table. The
    /// others become findings.
    pub(super) fn finish(self, host: &str, findings: &mut Findings) -> Vec<Candidate<'a>> {
        let mut candidates = self.0;
        // Stable, so the oldest remains first among equals.
        candidates.sort_by_key(|Candidate { path, pattern, .. }| {
            (path.path_type, !ends_in_slash(pattern))
        });
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
        leave_out_patterns(&mut candidates, host, findings);
        candidates
    }
}

/// Leaves out patterns beyond the number that one request may be compared with.
fn leave_out_patterns(candidates: &mut Vec<Candidate<'_>>, host: &str, findings: &mut Findings) {
    let mut searched = 0;
    candidates.retain(|candidate| {
        searched += usize::from(matches!(*candidate.pattern, PathMatch::Regex(_)));
        let is_kept = searched <= MAX_SEARCHED || !matches!(*candidate.pattern, PathMatch::Regex(_));
        if !is_kept {
            let message = format!(
                "exceeds the limit of {MAX_SEARCHED} regular expressions for all paths of host {host}; use Exact or Prefix. The path is not served"
            );
            let place = candidate.path.place();
            findings.push(place.finding(candidate.ingress, Code::TooManyRegexes, message));
        }
        is_kept
    });
}

/// The reachable candidate for each key, with its index.
type Winners<'p> = BTreeMap<Matches<'p>, (usize, &'p Candidate<'p>)>;

fn winners<'p>(candidates: &'p [Candidate<'p>]) -> Winners<'p> {
    let mut winners = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        winners.entry(Matches::of(&candidate.pattern)).or_insert((index, candidate));
    }
    winners
}

/// The candidate that takes all requests of `candidate`, if any.
fn winner<'p>(
    winners: &Winners<'p>,
    candidate: &Candidate<'_>,
) -> Option<(usize, &'p Candidate<'p>)> {
    // `Prefix /foo/` matches all that `/foo/.*` matches, and has precedence;
    // `Prefix /foo` does not have precedence.
    let by_elements = match &*candidate.pattern {
        PathMatch::StringPrefix(text) => {
            text.strip_suffix('/').and_then(|stem| winners.get(&Matches::Elements(stem)))
        }
        _ => None,
    };
    // Regular expressions come last, so a prefix that matches all paths makes them
    // unreachable.
    if let PathMatch::Regex(_) = &*candidate.pattern
        && let Some(all) =
            winners.get(&Matches::Elements("")).or_else(|| winners.get(&Matches::StartsWith("/")))
    {
        return Some(*all);
    }
    by_elements
        .filter(|(_, winner)| ends_in_slash(&winner.pattern))
        .or_else(|| winners.get(&Matches::of(&candidate.pattern)))
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
    /// The route in the table.
    pub(super) fn route(&self) -> Route {
        let Object { namespace, name, .. } = self.ingress;
        Route {
            path: self.pattern.clone().into_owned(),
            backend: self.backend.clone(),
            port: None,
            source: format!("{namespace}/{name}#{}.{}", self.path.rule, self.path.index),
            count_as: String::new(),
            plaintext: self.plaintext,
        }
    }

    /// Names both Ingresses, because they may have different authors.
    fn lost_to(&self, winner: &Self, host: &str) -> Finding {
        let on = if host == "*" { "every host".into() } else { format!("host {host}") };
        let message = format!(
            "can never be reached: {} on {on} is served by {} ({}{}); remove one of the two",
            self.pattern,
            winner.ingress.reference(),
            winner.path.place(),
            winner.ingress.at(winner.path.at),
        );
        self.path.place().finding(self.ingress, Code::PathUnreachable, message)
    }
}
