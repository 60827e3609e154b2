//! The words of messages, comments and pages: those that CONTRIBUTING.md says to
//! avoid, for they name nothing or read as translated.

use std::fs;

use ingress_tests::{files_below, workspace};
use regex::Regex;

/// What to avoid, and what to write.
const AVOIDED: [(&str, &str); 4] = [
    (r"\bshall\b", "must, should, or the plain verb"),
    (r"\b[Ww]hoever\b", "a noun: the reader, the author, a client"),
    (r"\b[Ll]ikewise\b", "what is the same, and as what"),
    (r"\bfor ever\b", "forever, or until when"),
];

#[test]
fn no_text_has_a_word_to_avoid() {
    let avoided = AVOIDED.map(|(text, better)| (Regex::new(text).expect("a pattern"), better));
    let denial = Regex::new(r"(\w+)\W+is no (\w+)").expect("a pattern");
    // There is no X, it is no longer so, where it is no more.
    let is_plain = |before: &str, after: &str| {
        before.eq_ignore_ascii_case("there") || ["longer", "more", "such"].contains(&after)
    };
    let mut found = Vec::new();
    for file in ["config", "filter", "host-test", "tests", "docs"]
        .iter()
        .flat_map(|folder| files_below(&workspace().join(folder)))
        .filter(|file| file.extension().is_some_and(|end| end == "rs" || end == "md"))
        .filter(|file| !file.ends_with("tests/tests/words.rs"))
        .filter(|file| !file.components().any(|part| part.as_os_str() == "target"))
    {
        let text = fs::read_to_string(&file).expect("text");
        for (number, line) in text.lines().enumerate() {
            let mut better: Vec<_> = avoided
                .iter()
                .filter(|(pattern, _)| pattern.is_match(line))
                .map(|(_, better)| *better)
                .collect();
            let mut denials = denial.captures_iter(line);
            if denials.any(|words| !is_plain(&words[1], &words[2])) {
                better.push("is not a …");
            }
            let place = format!("{}:{}: {}", file.display(), number + 1, line.trim());
            found.extend(better.iter().map(|better| format!("{place}: write {better}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
