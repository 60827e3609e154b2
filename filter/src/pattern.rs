//! Regular expressions: whole matches of bytes, in time linear in the input,
//! with a cap on the memory of each.
//!
//! The engine is a DFA built as far as requests need it: a few instructions a
//! byte, and the search ends at the first byte that no match goes on with. The
//! engine of `regex-lite` is a third of its size, but walks through all states of
//! a pattern for each byte, and knows only text; headers are bytes.

use std::cell::RefCell;
use std::fmt;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind, Look};

/// The longest pattern.
const MAX_CHARACTERS: usize = 1024;

/// The most memory that a compiled pattern takes, in bytes. The cache of its
/// states is as large again, and emptied when it is full.
const MAX_SIZE: usize = 64 << 10;

/// How deep groups may nest.
const MAX_NESTING: u32 = 50;

/// A compiled regular expression.
///
/// ```
/// use ingress_filter::{Pattern, PatternError};
///
/// let pattern = Pattern::new("/v[0-9]+/users(/.*)?")?;
/// assert!(pattern.matches(b"/v12/users/jason"));
/// assert!(!pattern.matches(b"/v12/users2"), "all of it has to match");
/// assert_eq!(Pattern::new(r"(a)\1").unwrap_err(), PatternError::BackReference);
/// # Ok::<_, PatternError>(())
/// ```
pub struct Pattern {
    /// What every match begins with: most patterns are done with here.
    prefix: Vec<u8>,
    dfa: DFA,
    /// The states that have been reached so far; none before the first search.
    cache: RefCell<Option<Cache>>,
}

impl Pattern {
    /// Compiles `text`, in the syntax of Rust's `regex` crate without its
    /// Unicode classes.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let characters = text.chars().count();
        if characters > MAX_CHARACTERS {
            return Err(PatternError::TooLong { characters });
        }
        let syntax = syntax::Config::new().unicode(false).utf8(false).nest_limit(MAX_NESTING);
        let hir = syntax::parse_with(text, &syntax).map_err(PatternError::of)?;
        let dfa = build(&hir).ok_or(PatternError::TooLarge)?;
        let mut prefix = Vec::new();
        add_prefix(&hir, &mut prefix);
        Ok(Self { prefix, dfa, cache: RefCell::new(None) })
    }

    /// Whether all of `value` matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        value.starts_with(&self.prefix) && self.search(value)
    }

    fn search(&self, value: &[u8]) -> bool {
        // Nobody else borrows it: this calls nothing of ours.
        let Ok(mut cache) = self.cache.try_borrow_mut() else { return false };
        let cache = cache.get_or_insert_with(|| self.dfa.create_cache());
        let input = Input::new(value).anchored(Anchored::Yes);
        // An error would be a byte at which the DFA gives up, of which it was
        // told none.
        let longest = self.dfa.try_search_fwd(cache, &input).ok().flatten();
        longest.is_some_and(|end| end.offset() == value.len())
    }
}

/// `None` where it would be too large.
fn build(hir: &Hir) -> Option<DFA> {
    let nfa = NFA::compiler()
        .configure(
            thompson::Config::new()
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(MAX_SIZE)),
        )
        .build_from_hir(hir);
    let config = DFA::config()
        // The longest match, so that a whole one is not missed.
        .match_kind(MatchKind::All)
        .cache_capacity(MAX_SIZE)
        .skip_cache_capacity_check(true);
    DFA::builder().configure(config).build_from_nfa(nfa.ok()?).ok()
}

/// Adds what every match begins with, and says whether that is all of it.
fn add_prefix(hir: &Hir, prefix: &mut Vec<u8>) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(Look::Start) => true,
        HirKind::Literal(literal) => {
            prefix.extend_from_slice(&literal.0);
            true
        }
        HirKind::Capture(group) => add_prefix(&group.sub, prefix),
        HirKind::Concat(parts) => parts.iter().all(|part| add_prefix(part, prefix)),
        _ => false,
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").finish_non_exhaustive()
    }
}

/// Why a text is not a regular expression that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// It is longer than patterns may be.
    TooLong {
        /// What it has.
        characters: usize,
    },
    /// It takes more memory than patterns may.
    TooLarge,
    /// It uses look-around.
    LookAround,
    /// It uses a back-reference.
    BackReference,
    /// It is malformed, or uses what this syntax does not have.
    Syntax(Box<regex_syntax::Error>),
}

impl PatternError {
    fn of(error: regex_syntax::Error) -> Self {
        use regex_syntax::ast::ErrorKind;
        let kind = match &error {
            regex_syntax::Error::Parse(error) => Some(error.kind()),
            _ => None,
        };
        match kind {
            Some(ErrorKind::UnsupportedLookAround) => Self::LookAround,
            Some(ErrorKind::UnsupportedBackreference) => Self::BackReference,
            _ => Self::Syntax(error.into()),
        }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { characters } => write!(
                f,
                "is a regular expression of {characters} characters, but {MAX_CHARACTERS} is the most"
            ),
            Self::TooLarge => write!(
                f,
                "is a regular expression that takes more than {} KiB once compiled; repeat less",
                MAX_SIZE >> 10
            ),
            Self::LookAround => f.write_str(
                "uses look-around, which cannot be matched in linear time; write it without",
            ),
            Self::BackReference => f.write_str(
                "uses a back-reference, which cannot be matched in linear time; write it without",
            ),
            Self::Syntax(error) => {
                // The parser draws a picture over several lines, and says why in
                // the last.
                let text = error.to_string();
                let cause = text.lines().last().unwrap_or_default();
                let cause = cause.strip_prefix("error: ").unwrap_or(cause);
                write!(f, "is no regular expression: {cause}")
            }
        }
    }
}

// The message of a syntax error has said what its source would say.
impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &[u8]) -> bool {
        Pattern::new(pattern).unwrap().matches(value)
    }

    #[test]
    fn only_a_whole_match_counts() {
        for (pattern, value, expected) in [
            ("/api/v[0-9]+/.*", "/api/v12/x", true),
            ("/api/v[0-9]+/.*", "/api/vx/x", false),
            ("b", "abc", false),
            ("a|ab", "ab", true),
            ("ab|a", "a", true),
            ("(a+)+$", "aaaa", true),
            ("^a$", "a", true),
            ("a??", "a", true),
            ("", "", true),
            ("", "a", false),
            ("(?i)session=BETA", "SESSION=beta", true),
            ("^(.*?;)?(user=jason)(;.*)?$", "a=b;user=jason;c=d", true),
            ("^(.*?;)?(user=jason)(;.*)?$", "a=b;user=jason2", false),
            ("(?x) a # comment", "a", true),
            (r"\bfoo\b.*", "foo bar", true),
            ("^(/a(b))c*", "/abcc", true),
            ("^(/a(b))c*", "/ab", true),
            ("^(/a(b))c*", "/a", false),
            ("(?i)/A.*", "/a/b", true),
            ("(/a|/b)c", "/bc", true),
            ("/ab?", "/a", true),
        ] {
            assert_eq!(matches(pattern, value.as_bytes()), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn values_are_bytes() {
        assert!(matches(".*", b"\xff\x80"));
        assert!(matches(r"a\xffb", b"a\xffb"));
        assert!(matches(".", b"\x80"));
        assert!(!matches(".", "\u{e9}".as_bytes()), "two bytes");
        assert!(!matches(r"\w", b"\xe9"), "classes are ASCII's");
    }

    #[test]
    fn what_cannot_be_says_why() {
        for (pattern, why) in [
            ("(?=a)b", "look-around"),
            ("(?<!a)b", "look-around"),
            (r"(a)\1", "back-reference"),
            ("(a", "unclosed group"),
            ("*", "repetition operator missing expression"),
            ("(?:a{0,1000}){1000}", "more than 64 KiB"),
            (r"\w{5000}", "more than 64 KiB"),
            (&"a".repeat(1025), "1025 characters"),
            (&"(".repeat(200), "is no regular expression"),
            (r"\p{Greek}", "Unicode"),
            ("a{2,1}", "invalid repetition"),
        ] {
            let message = Pattern::new(pattern).unwrap_err().to_string();
            assert!(message.contains(why) && !message.contains('\n'), "{pattern:.40}: {message}");
        }
        assert!(Pattern::new(&"a".repeat(1024)).is_ok());
        let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
        assert!(Pattern::new(&deep).unwrap_err().to_string().contains("nest"));
    }

    #[test]
    fn a_hostile_pattern_takes_linear_time_and_little_memory() {
        for pattern in ["(a+)+$", "(a|aa)*b", "(?:a?){60}a{60}", "(.*.*.*)*x", "[ab]*a[ab]{14}"] {
            let pattern = Pattern::new(pattern).unwrap();
            let value: Vec<u8> = (0_u32..60_000)
                .map(|i| if i.wrapping_mul(2_654_435_761) >> 31 == 0 { b'a' } else { b'b' })
                .collect();
            let start = std::time::Instant::now();
            pattern.matches(&value);
            pattern.matches(&vec![b'a'; 60_000]);
            assert!(start.elapsed() < std::time::Duration::from_secs(5), "{pattern:?}");
            let cache = pattern.cache.borrow();
            let memory = cache.as_ref().unwrap().memory_usage();
            assert!(memory < 4 * MAX_SIZE, "{memory} bytes");
        }
    }
}
