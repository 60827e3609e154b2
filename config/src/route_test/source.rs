//! Finds the files of tests and reads them.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::case::Cases;
use super::field::TestFile;
use super::format::tests_of;
use crate::finding::{Code, Finding, Location};
use crate::manifest::{
    MAX_FILE_BYTES, Manner, ParseBudget, Position, ReadFailure, Reading, chunks, is_manifest, parse,
};

/// Reads all tests in `paths`: files, folders, and `-` for standard input.
pub fn read(paths: &[PathBuf], stdin: &mut dyn Read) -> Cases {
    let mut cases = Cases::default();
    for path in paths {
        match path.to_str() {
            Some("-") => read_stream("<stdin>", stdin, &mut cases),
            _ if path.is_dir() => read_folder(path, &mut cases),
            _ => read_file(path, &mut cases),
        }
    }
    cases
}

/// Reads `text` as the content of `file`.
pub fn read_text(file: &str, text: &str) -> Cases {
    let mut cases = Cases::default();
    take_text(file, text, &mut cases);
    cases
}

fn read_folder(folder: &Path, cases: &mut Cases) {
    let names = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
    });
    let mut names = match names {
        Ok(names) => names,
        Err(error) => return fail(&folder.to_string_lossy(), error, cases),
    };
    names.retain(|name| is_manifest(name));
    names.sort();
    let before = cases.cases.len() + cases.findings.len();
    for path in names.into_iter().map(|name| folder.join(name)).filter(|path| path.is_file()) {
        read_file(&path, cases);
    }
    if before == cases.cases.len() + cases.findings.len() {
        let message = "has no tests (*.yaml, *.yml, *.json; subfolders are not searched); add some, or correct the path";
        let place = Location::start_of(&folder.to_string_lossy().into());
        cases.findings.report(place, Code::NoTests, message);
    }
}

fn read_file(path: &Path, cases: &mut Cases) {
    let name = path.to_string_lossy();
    match File::open(path) {
        Ok(mut file) => read_stream(&name, &mut file, cases),
        Err(error) => fail(&name, error, cases),
    }
}

fn read_stream(name: &str, stream: &mut dyn Read, cases: &mut Cases) {
    let mut bytes = Vec::new();
    if let Err(error) = stream.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes) {
        return fail(name, error, cases);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return cases.findings.push(ReadFailure::TooLarge { file: name.into() }.finding());
    }
    let Ok(text) = String::from_utf8(bytes) else {
        let (file, at) = (name.into(), Position { line: 1, column: 1 });
        return cases.findings.push(ReadFailure::NotUtf8 { file, at }.finding());
    };
    take_text(name, &text, cases);
}

fn fail(name: &str, error: io::Error, cases: &mut Cases) {
    cases.findings.push(ReadFailure::new(&name.into(), error).finding());
}

fn take_text(name: &str, text: &str, cases: &mut Cases) {
    let file: Arc<str> = name.into();
    let before = (cases.cases.len(), cases.findings.len());
    let mut budget = ParseBudget::default();
    for chunk in chunks(text) {
        let root = match parse(chunk.text, chunk.at, &mut budget) {
            Ok(root) => root,
            Err(error) => {
                let Position { line, column } = error.at;
                let at = Location { file: Arc::clone(&file), line, column };
                cases.findings.push(Finding::new(error.code(), error.to_string()).at(at));
                continue;
            }
        };
        let (test_file, findings) =
            (TestFile { file: Arc::clone(&file), root }, RefCell::default());
        let reading = Reading::in_manner(Manner::RouteTest, &test_file, &findings);
        cases.cases.extend(tests_of(&reading.root()));
        cases.findings.extend(findings.into_inner());
    }
    if before == (cases.cases.len(), cases.findings.len()) {
        cases.findings.report(Location::start_of(&file), Code::NoTests, "has no tests; add some");
    }
}
