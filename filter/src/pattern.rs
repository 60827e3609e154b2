//! Regular expressions: whole matches of bytes, in time linear in the input,
//! with a cap on the memory of each.
//!
//! The engine is a DFA built as far as requests need it: a few instructions a
//! byte, and the end of the search at the first byte that no match goes on
//! with. Of the engines that know Rust's syntax and compile in the module it is
//! the fastest by far for some 325 KiB of code; README.md of `filter` has the
//! figures.

use std::cell::RefCell;
use std::fmt;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// The longest pattern.
const MAX_CHARACTERS: usize = 1024;

/// The most memory that a compiled pattern takes, in bytes. The cache of its
/// states is as large again, and emptied when it is full.
const MAX_SIZE: usize = 64 << 10;

/// How deep groups may nest.
const MAX_NESTING: u32 = 50;

/// A compiled regular expression.
pub struct Pattern {
    dfa: DFA,
    /// The states that have been reached so far; none before the first match.
    cache: RefCell<Option<Cache>>,
}

impl Pattern {
    /// Compiles `text`, in the syntax of Rust's `regex` crate without its
    /// Unicode classes.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn new(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if length > MAX_CHARACTERS {
            return Err(format!(
                "is a regular expression of {length} characters, but {MAX_CHARACTERS} is the most"
            ));
        }
        let dfa = DFA::builder()
            .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(MAX_NESTING))
            .thompson(
                thompson::Config::new()
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(MAX_SIZE)),
            )
            .configure(
                DFA::config()
                    // The longest match, so that a whole one is not missed.
                    .match_kind(MatchKind::All)
                    .cache_capacity(MAX_SIZE)
                    .skip_cache_capacity_check(true),
            )
            .build(text)
            .map_err(|error| describe(text, &error))?;
        Ok(Self { dfa, cache: RefCell::new(None) })
    }

    /// Whether all of `value` matches.
    pub fn matches(&self, value: &[u8]) -> bool {
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

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").finish_non_exhaustive()
    }
}

fn describe(text: &str, error: &regex_automata::hybrid::BuildError) -> String {
    use std::error::Error;
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = cause.to_string();
    // The parser draws a picture over several lines, and says why in the last.
    let cause = cause.lines().last().unwrap_or_default();
    let cause = cause.strip_prefix("error: ").unwrap_or(cause);
    if text.contains("(?=")
        || text.contains("(?!")
        || text.contains("(?<=")
        || text.contains("(?<!")
    {
        return format!(
            "uses look-around, which cannot be matched in linear time; write it without ({cause})"
        );
    }
    if cause.contains("backreferences") {
        return "uses a back-reference, which cannot be matched in linear time; write it without"
            .into();
    }
    if cause.contains("exceed") && cause.contains("limit") {
        return format!(
            "is a regular expression that takes more than {} KiB once compiled; repeat less",
            MAX_SIZE >> 10
        );
    }
    format!("is no regular expression: {cause}")
}

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
            let message = Pattern::new(pattern).unwrap_err();
            assert!(message.contains(why) && !message.contains('\n'), "{pattern:.40}: {message}");
        }
        assert!(Pattern::new(&"a".repeat(1024)).is_ok());
        let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
        assert!(Pattern::new(&deep).unwrap_err().contains("nest"));
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
