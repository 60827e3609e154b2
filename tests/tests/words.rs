//! The phrases that CONTRIBUTING.md says to avoid in messages, comments and pages,
//! because they are vague or read as translated.

use std::fs;
use std::path::Path;

use ingress_tests::{files_below, workspace};
use regex::Regex;

/// A phrase to avoid, and what to write instead.
type Phrase = (&'static str, &'static str);

const AVOIDED: [Phrase; 8] = [
    (r"\bshall\b", "must, should, or the plain verb"),
    (r"\b[Ww]hoever\b", "a noun: the reader, the author, a client"),
    (r"\b[Ll]ikewise\b", "what is the same, and as what"),
    (r"\bfor ever\b", "forever, or until when"),
    (r", for (it|they|there) ", "because"),
    (r"\bbe it (that|the|a)\b", "even if, or which may be"),
    (r"\bin good time\b", "within which time"),
    (r"\b(can|could|may|need) but\b", "only"),
];

/// In pages, also these.
const AVOIDED_IN_PAGES: [Phrase; 9] = [
    (r"\b[Bb]eside\b", "next to, in addition to, or compared with"),
    (r"\b(is|are|was|were|be|been) told\b", "receives, is reported, or is sent"),
    (r"\btells\b", "reports, logs, returns or shows"),
    (r"\banew\b", "again"),
    (r"\b[Ss]omebody\b", "who: a client, a tenant, an operator"),
    (r"\bset aside\b", "left out"),
    (r"\bwhat follows\b", "what it is"),
    (r"\bwithout a (word|look)\b", "silently, or without checking"),
    (r", for (the|a|Envoy) \w+ (is|are|has|may|would)\b", "because"),
];

#[test]
fn no_text_has_a_phrase_to_avoid() {
    let sources = ["config", "filter", "host-test", "tests", "docs"];
    let texts = sources.iter().flat_map(|folder| files_below(&workspace().join(folder)));
    // CONTRIBUTING.md names the phrases.
    let at_the_top = ["README.md", "ARCHITECTURE.md"].map(|page| workspace().join(page));
    let checks = Checks {
        everywhere: patterns(&AVOIDED),
        in_pages: patterns(&AVOIDED_IN_PAGES),
        denial: pattern(r"(\w+)\W+is no (\w+)"),
    };
    let files = texts.filter(|file| is_text(file)).chain(at_the_top);
    let found: Vec<_> = files.flat_map(|file| checks.check(&file)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn is_text(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "rs" || end == "md")
        && !file.ends_with("tests/tests/words.rs")
        && !file.components().any(|part| part.as_os_str() == "target")
}

struct Checks {
    everywhere: Vec<(Regex, &'static str)>,
    in_pages: Vec<(Regex, &'static str)>,
    denial: Regex,
}

impl Checks {
    /// The lines with a phrase to avoid, and what to write instead.
    fn check(&self, file: &Path) -> Vec<String> {
        let in_pages = if is_page(file) { &self.in_pages[..] } else { &[] };
        let text = fs::read_to_string(file).expect("text");
        let mut found = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let phrases = self.everywhere.iter().chain(in_pages);
            let avoided = phrases.filter(|(phrase, _)| phrase.is_match(line));
            let mut better: Vec<_> = avoided.map(|(_, better)| *better).collect();
            if self.denial.captures_iter(line).any(|words| !is_plain(&words[1], &words[2])) {
                better.push("is not a …");
            }
            let position = format!("{}:{}: {}", file.display(), number + 1, line.trim());
            found.extend(better.iter().map(|better| format!("{position}: write {better}")));
        }
        found
    }
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "md")
}

/// Phrases such as "there is no X", "is no longer" and "is no more" are fine.
fn is_plain(before: &str, after: &str) -> bool {
    before.eq_ignore_ascii_case("there") || ["longer", "more", "such"].contains(&after)
}

fn patterns(phrases: &[Phrase]) -> Vec<(Regex, &'static str)> {
    phrases.iter().map(|(text, better)| (pattern(text), *better)).collect()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}
