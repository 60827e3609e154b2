//! Finds the files of tests and reads them.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::field::{Field, TestFile};
use crate::finding::{Code, Finding, Findings, Location};
use crate::manifest::{
    MAX_FILE_BYTES, Manner, Node, ParseBudget, Position, ReadFailure, Reading, SyntaxError, chunks,
    parse,
};

/// Collects the tests of files.
pub(crate) trait Suite {
    /// The files of a folder that have tests, for a message.
    const FILES: &str;

    /// Whether a file of a folder has tests, by its name.
    fn is_test_file(name: &OsStr) -> bool;

    /// Reads the content of a file.
    fn take(&mut self, file: &Arc<str>, text: &str);

    /// The number of tests.
    fn tests(&self) -> usize;

    fn findings(&mut self) -> &mut Findings;
}

/// Reads all tests in `paths`: files, folders, and `-` for standard input.
pub(crate) fn read_into(suite: &mut impl Suite, paths: &[PathBuf], stdin: &mut dyn Read) {
    for path in paths {
        match path.to_str() {
            Some("-") => read_stream("<stdin>", stdin, suite),
            _ if path.is_dir() => read_folder(path, suite),
            _ => read_file(path, suite),
        }
    }
}

/// Reads `text` as the content of `file`.
pub(crate) fn read_text_into(suite: &mut impl Suite, file: &str, text: &str) {
    let file: Arc<str> = file.into();
    let before = progress(suite);
    suite.take(&file, text);
    if before == progress(suite) {
        let at = Location::start_of(&file);
        suite.findings().report(at, Code::NoTests, "has no tests; add some");
    }
}

/// Reads each document of YAML or JSON with `read`.
pub(crate) fn read_documents(
    file: &Arc<str>,
    text: &str,
    findings: &mut Findings,
    mut read: impl FnMut(&Field<'_>),
) {
    let mut budget = ParseBudget::default();
    for chunk in chunks(text) {
        match parse(chunk.text, chunk.at, &mut budget) {
            Ok(root) => read_tree(file, root, findings, &mut read),
            Err(error) => findings.push(syntax_error(file, &error)),
        }
    }
}

/// Reads a document that has been parsed.
pub(crate) fn read_tree(
    file: &Arc<str>,
    root: Node,
    findings: &mut Findings,
    mut read: impl FnMut(&Field<'_>),
) {
    let test_file = TestFile { file: Arc::clone(file), root };
    let found = RefCell::default();
    read(&Reading::in_manner(Manner::Test, &test_file, &found).root());
    findings.extend(found.into_inner());
}

fn syntax_error(file: &Arc<str>, error: &SyntaxError) -> Finding {
    let Position { line, column } = error.at;
    let at = Location { file: Arc::clone(file), line, column };
    Finding::new(error.code(), error.to_string()).at(at)
}

/// The number of tests and findings, which grows with each file that is not empty.
fn progress(suite: &mut impl Suite) -> usize {
    suite.tests() + suite.findings().len()
}

fn read_folder<S: Suite>(folder: &Path, suite: &mut S) {
    let names = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
    });
    let mut names = match names {
        Ok(names) => names,
        Err(error) => return fail(&folder.to_string_lossy(), error, suite),
    };
    names.retain(|name| S::is_test_file(name));
    names.sort();
    let before = progress(suite);
    for path in names.into_iter().map(|name| folder.join(name)).filter(|path| path.is_file()) {
        read_file(&path, suite);
    }
    if before == progress(suite) {
        let message = format!(
            "has no tests ({}; subfolders are not searched); add some, or correct the path",
            S::FILES
        );
        let place = Location::start_of(&folder.to_string_lossy().into());
        suite.findings().report(place, Code::NoTests, message);
    }
}

fn read_file(path: &Path, suite: &mut impl Suite) {
    let name = path.to_string_lossy();
    match File::open(path) {
        Ok(mut file) => read_stream(&name, &mut file, suite),
        Err(error) => fail(&name, error, suite),
    }
}

fn read_stream(name: &str, stream: &mut dyn Read, suite: &mut impl Suite) {
    let mut bytes = Vec::new();
    if let Err(error) = stream.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes) {
        return fail(name, error, suite);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return suite.findings().push(ReadFailure::TooLarge { file: name.into() }.finding());
    }
    let Ok(text) = String::from_utf8(bytes) else {
        let (file, at) = (name.into(), Position { line: 1, column: 1 });
        return suite.findings().push(ReadFailure::NotUtf8 { file, at }.finding());
    };
    read_text_into(suite, name, &text);
}

fn fail(name: &str, error: io::Error, suite: &mut impl Suite) {
    suite.findings().push(ReadFailure::new(&name.into(), error).finding());
}
