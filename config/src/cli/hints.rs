//! Suggestions for wrong command lines.

use std::ffi::OsString;
use std::path::Path;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The commands with `-f`, and the number of their positional arguments.
const WITH_MANIFESTS: [(&str, usize); 7] = [
    ("check", 0),
    ("compile", 0),
    ("serve", 0),
    ("ui", 0),
    ("rbac", 0),
    ("explain", 1),
    ("test", 1),
];

/// Adds a suggestion to `error`, the result of parsing `words`.
pub(super) fn with_hint(mut error: Error, words: &[OsString]) -> Error {
    let words: Vec<_> = words.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    if let Some(hint) = hint(&error, &words) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
    }
    error
}

fn hint(error: &Error, words: &[&str]) -> Option<String> {
    let (command, words) = words.split_first()?;
    let (_, others) = WITH_MANIFESTS.into_iter().find(|(name, _)| name == command)?;
    let manifests = match (error.kind(), error.get(ContextKind::InvalidArg)?) {
        (ErrorKind::UnknownArgument, ContextValue::String(word)) => {
            if let Some(flag) = flag_before(word, words) {
                return Some(format!("to set a flag to {word}, use '{flag}={word}'"));
            }
            let is_it = !word.starts_with('-') && (others == 0 || is_manifest(Path::new(word)));
            if is_it { Some(&**word) } else { manifests(words, others) }
        }
        (ErrorKind::MissingRequiredArgument, ContextValue::Strings(missing))
            if missing.iter().any(|argument| argument.contains("--filename")) =>
        {
            manifests(words, others)
        }
        _ => None,
    }?;
    Some(format!("to read manifests, use '-f {manifests}'"))
}

/// The flag that the boolean `word` was probably meant for.
fn flag_before<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let before = words.windows(2).find_map(|pair| match pair {
        [before, second] if *second == word => Some(*before),
        _ => None,
    });
    before.filter(|before| before.starts_with("--") && matches!(word, "true" | "false"))
}

/// The first of `words` that may be a path of manifests, if enough positional arguments
/// remain for the command. A word after a flag may be its value.
fn manifests<'a>(words: &[&'a str], others: usize) -> Option<&'a str> {
    let is_flag = |word: &str| word.starts_with('-');
    let plain: Vec<_> = words
        .iter()
        .enumerate()
        .filter(|(index, word)| {
            let before = index.checked_sub(1).and_then(|index| words.get(index));
            !is_flag(word) && !before.is_some_and(|before| is_flag(before))
        })
        .map(|(_, word)| *word)
        .collect();
    let found = plain.iter().find(|word| is_manifest(Path::new(word)))?;
    (plain.len() > others).then_some(*found)
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json")) || path.exists()
}
