//! Regular expressions: whole matches of bytes.
//!
//! A pattern is compiled natively, before any request, into a deterministic automaton
//! of limited size. The module only searches it, with one look-up per byte, without a
//! cache or allocations, for any pattern and value.
//!
//! ```text
//! 0    start      2 bytes: the state before the first byte
//! 2    accepting  4 bytes: states from here on accept
//! 6    classes    256 bytes: the class of each byte
//! 262  next       2 bytes for each state and class
//! ```
//!
//! A state is the offset of its row in `next`. Row 0 is the dead state, which no byte
//! leaves.

#[cfg(not(target_family = "wasm"))]
mod compile;
mod error;

use std::borrow::Cow;
use std::sync::Arc;

pub use error::PatternError;

/// A compiled regular expression.
#[cfg_attr(
    not(target_family = "wasm"),
    doc = "
```
use ingress_filter::{Pattern, PatternError};

let pattern = Pattern::new(\"/v[0-9]+/users(/.*)?\")?;
assert!(pattern.matches(b\"/v12/users/jason\"));
assert!(!pattern.matches(b\"/v12/users2\"), \"the whole value has to match\");
assert_eq!(Pattern::new(r\"(a)\\1\").unwrap_err(), PatternError::BackReference);
# Ok::<_, PatternError>(())
```"
)]
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern<'t>(Cow<'t, [u8]>);

const ACCEPTING_AT: usize = 2;
const CLASSES_AT: usize = 6;
const NEXT_AT: usize = 262;

impl<'t> Pattern<'t> {
    /// A pattern whose automaton is in a table.
    pub(crate) const fn compiled(automaton: &'t [u8]) -> Self {
        Self(Cow::Borrowed(automaton))
    }

    /// Its automaton.
    pub(crate) fn automaton(&self) -> &[u8] {
        &self.0
    }

    /// Its size in a table, in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Whether the whole `value` matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        self.search(value).unwrap_or(false)
    }

    /// Whether the whole `value` matches; `None` if the automaton cannot be read.
    pub(crate) fn search(&self, value: &[u8]) -> Option<bool> {
        let bytes = &*self.0;
        let classes: &[u8; 256] = bytes.get(CLASSES_AT..)?.first_chunk()?;
        let (next, _) = bytes.get(NEXT_AT..)?.as_chunks::<2>();
        let accepting = u32::from_le_bytes(*bytes.get(ACCEPTING_AT..)?.first_chunk()?);
        let mut state = u16::from_le_bytes(*bytes.first_chunk()?);
        for byte in value {
            let class = classes.get(usize::from(*byte))?;
            state = u16::from_le_bytes(*next.get(usize::from(state) + usize::from(*class))?);
            if state == 0 {
                return Some(false);
            }
        }
        Some(u32::from(state) >= accepting)
    }
}

/// Compiles a pattern.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn compile(text: &str) -> Result<Arc<Pattern<'static>>, PatternError> {
    Pattern::new(text).map(Arc::new)
}

/// The module has no compiler, because it would block a worker of Envoy.
#[cfg(target_family = "wasm")]
pub(crate) fn compile(_: &str) -> Result<Arc<Pattern<'static>>, PatternError> {
    Err(PatternError::NotCompiled)
}

impl std::fmt::Debug for Pattern<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pattern({} bytes)", self.size())
    }
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
            (&"(".repeat(200), "is not a valid regular expression"),
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
    fn what_people_write_is_small_and_what_is_large_is_given_up_soon() {
        for (pattern, most) in [
            ("/api/v[0-9]+/.*", 600),
            ("^(.*?;)?(user=jason)(;.*)?$", 2_300),
            ("^(.*; *)?session=[a-z0-9]{32}(;.*)?$", 4_100),
            ("(?i).*(bot|crawl|spider|slurp).*", 3_100),
            ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", 1_000),
            ("([ab]*a[ab]{10})c", 21_000),
        ] {
            let size = Pattern::new(pattern).unwrap().size();
            assert!(size <= most, "{pattern}: {size} bytes");
        }
        for pattern in [
            "([ab]*a[ab]{300}|[ab]*b[ab]{300})c",
            "([ab]*a[ab]{14})c",
            ".*a.{12}b.*",
            "(?:a{0,1000}){1000}",
            r"(\w{1,100}){10}x",
        ] {
            let start = std::time::Instant::now();
            assert_eq!(Pattern::new(pattern), Err(PatternError::TooLarge), "{pattern}");
            let took = start.elapsed();
            assert!(took < std::time::Duration::from_secs(1), "{pattern}: {took:?}");
        }
    }

    #[test]
    fn no_automaton_however_made_is_a_trap() {
        let made = Pattern::new("/v[0-9]+/(a|b)*").unwrap().automaton().to_vec();
        let mut random = 1_u64;
        for _ in 0..20_000 {
            let mut bytes = made.clone();
            for _ in 0..4 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(random >> 33).unwrap() % bytes.len();
                bytes[at] = u8::try_from(random >> 25 & 0xff).unwrap();
                bytes.truncate(bytes.len() - usize::from(random.is_multiple_of(8)));
            }
            Pattern::compiled(&bytes).matches(b"/v1/abab");
        }
    }
}
