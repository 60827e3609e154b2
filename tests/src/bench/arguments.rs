//! The arguments after `--` of a benchmark.

use std::env;
use std::path::PathBuf;

/// The words after `--`: numbers are sizes, `NAME=VALUE` are options, others choose
/// what to run.
pub struct Arguments {
    words: Vec<String>,
}

impl Arguments {
    /// The arguments of this process. Cargo adds `--bench`, which is left out.
    pub fn of_process() -> Self {
        let words = env::args().skip(1).filter(|word| !word.starts_with('-'));
        Self { words: words.collect() }
    }

    /// The arguments as they are written after the command.
    pub(crate) fn as_given(&self) -> String {
        if self.words.is_empty() { String::new() } else { format!(" -- {}", self.words.join(" ")) }
    }

    /// Whether to measure less, in about a minute.
    pub fn is_short(&self) -> bool {
        self.has("short")
    }

    /// Whether the word was given.
    pub fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }

    /// All words except this one.
    pub fn without(&self, name: &str) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str).filter(move |word| *word != name)
    }

    /// The numbers among the words. If there are none, `default`, of which a short
    /// run uses the first two.
    pub fn sizes(&self, default: &[usize]) -> Vec<usize> {
        let sizes: Vec<_> = self.words.iter().filter_map(|word| word.parse().ok()).collect();
        if !sizes.is_empty() {
            return sizes;
        }
        let count = if self.is_short() { 2 } else { default.len() };
        default.iter().copied().take(count).collect()
    }

    /// The value of the option `name=`.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The number of the option `name=`; without the option, `full`, or `short` in
    /// a short run.
    ///
    /// # Panics
    /// If it is not a number.
    pub fn number(&self, name: &str, full: usize, short: usize) -> usize {
        match self.option(name) {
            Some(number) => number.parse().unwrap_or_else(|_| panic!("{name} is not a number")),
            None if self.is_short() => short,
            None => full,
        }
    }

    /// Whether `name` is in the comma-separated list of the option `only=`, or that
    /// option was not given.
    pub fn is_on(&self, name: &str) -> bool {
        self.option("only").is_none_or(|names| names.split(',').any(|only| only == name))
    }

    /// The path of the option `name=`.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.option(name).map(PathBuf::from)
    }
}
