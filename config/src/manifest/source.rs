//! Finds the files that `-f` names and reads them.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::documents::chunks;
use super::node::Position;
use super::object::{Object, locate};
use super::parse_budget::ParseBudget;
use super::passed_over::PassedOver;
use super::reader::take_document;
use super::yaml::{Parsed, SyntaxError, parse_flawed};
use crate::finding::{Code, Finding, Findings, Location};

/// The maximum size of a file; 100,000 Ingress paths take about 17 MiB.
pub const MAX_FILE_BYTES: usize = 64 << 20;
/// After this many documents that do not parse, the rest of the file is not read.
const MAX_FAILURES_PER_FILE: usize = 100;
/// After this many findings in one file, the rest of it is not read.
const MAX_FINDINGS_PER_FILE: usize = 1_000;

/// The argument of one `-f`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSpec {
    /// A file, or a folder whose manifests are read, without its subfolders.
    Path(PathBuf),
    /// `-`: standard input.
    Stdin,
}

impl FromStr for PathSpec {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(PathBuf::from(text)))
    }
}

impl From<PathBuf> for PathSpec {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::Path(path) }
    }
}

/// The result of reading files.
#[derive(Debug, Default)]
pub struct Manifests {
    /// In the order of the paths, of the file names in a folder, and of the file.
    /// The same object may occur twice.
    pub objects: Vec<Arc<Object>>,
    /// The objects that were skipped, because their kind is not read.
    pub passed_over: PassedOver,
    /// All findings, including those for `failures`.
    pub findings: Findings,
    /// What could not be read. While there are failures, objects may be missing, so
    /// `serve` keeps its current configuration.
    pub failures: Vec<ReadFailure>,
    /// The files that were read or could not be read, to watch for changes.
    pub files: Vec<PathBuf>,
    /// The folders, to watch for new and removed files.
    pub folders: Vec<PathBuf>,
}

impl Manifests {
    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().map(|object| &**object)
    }

    /// Whether everything could be read, even if there are findings.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    fn append(&mut self, other: Self) {
        self.objects.extend(other.objects);
        self.passed_over.extend(&other.passed_over);
        self.findings.extend(other.findings);
        self.failures.extend(other.failures);
    }

    pub(super) fn fail(&mut self, failure: ReadFailure) {
        self.findings.push(failure.finding());
        self.failures.push(failure);
    }
}

/// What was read from each file, by file name. If only a few of many files change,
/// parsing all again would be most of the work.
#[derive(Debug, Default)]
pub(crate) struct ReadCache(HashMap<Arc<str>, ReadFile>);

/// A file that was read completely.
#[derive(Debug)]
struct ReadFile {
    digest: [u8; 32],
    objects: Vec<Arc<Object>>,
    passed_over: PassedOver,
    findings: Findings,
}

/// Something that could not be read, or a document that does not parse.
#[derive(Debug, Error)]
pub enum ReadFailure {
    /// A path that does not exist.
    #[error("does not exist; correct the path, or create the file")]
    Missing {
        /// The path.
        file: Arc<str>,
    },
    /// A path that cannot be read.
    #[error("cannot be read ({error}); check that this user may read it")]
    Unreadable {
        /// The path.
        file: Arc<str>,
        /// Why.
        error: io::Error,
    },
    /// A file that is too large.
    #[error("is larger than {} MiB; split it into several files", MAX_FILE_BYTES >> 20)]
    TooLarge {
        /// The file.
        file: Arc<str>,
    },
    /// A file that is not UTF-8 text.
    #[error("is not UTF-8 from here on; save the file as UTF-8")]
    NotUtf8 {
        /// The file.
        file: Arc<str>,
        /// Its first byte that is not UTF-8.
        at: Position,
    },
    /// A document that does not parse.
    #[error("{error}")]
    Syntax {
        /// The file.
        file: Arc<str>,
        /// The reason and the position.
        error: SyntaxError,
    },
    /// A file with so many errors that the rest of it was not read.
    #[error(
        "has too many errors, so the rest of the file was not read; correct the errors above first"
    )]
    TooManyErrors {
        /// The file.
        file: Arc<str>,
        /// Where reading stopped.
        at: Position,
    },
}

impl ReadFailure {
    /// Why `file` could not be read.
    pub(crate) fn new(file: &Arc<str>, error: io::Error) -> Self {
        let file = Arc::clone(file);
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing { file },
            _ => Self::Unreadable { file, error },
        }
    }

    /// The finding for this failure.
    pub fn finding(&self) -> Finding {
        Finding::new(self.code(), self.to_string()).at(self.location())
    }

    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::FileNotFound,
            Self::Unreadable { .. } => Code::FileNotReadable,
            Self::TooLarge { .. } => Code::FileTooLarge,
            Self::NotUtf8 { .. } => Code::FileNotUtf8,
            Self::Syntax { error, .. } => error.code(),
            Self::TooManyErrors { .. } => Code::TooManyErrors,
        }
    }

    /// The position, with the file name that the caller gave.
    pub fn location(&self) -> Location {
        match self {
            Self::Missing { file } | Self::Unreadable { file, .. } | Self::TooLarge { file } => {
                Location::start_of(file)
            }
            Self::NotUtf8 { file, at } | Self::TooManyErrors { file, at } => locate(file, *at),
            Self::Syntax { file, error } => locate(file, error.at),
        }
    }
}

/// Reads all of `paths`. A path given twice is read once.
pub fn read(paths: &[PathSpec], stdin: &mut dyn Read) -> Manifests {
    read_again(paths, stdin, &mut ReadCache::default())
}

/// The content of standard input, if a path names it. It can be read only once.
pub(crate) fn read_stdin(paths: &[PathSpec]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    if paths.contains(&PathSpec::Stdin) {
        io::stdin().read_to_end(&mut content)?;
    }
    Ok(content)
}

/// Like [`read`], but does not parse unchanged files again.
pub(crate) fn read_again(
    paths: &[PathSpec],
    stdin: &mut dyn Read,
    cache: &mut ReadCache,
) -> Manifests {
    let mut manifests = Manifests::default();
    for (index, path) in paths.iter().enumerate() {
        if paths[..index].contains(path) {
            continue;
        }
        let file = match path {
            PathSpec::Stdin => read_stream(&"<stdin>".into(), stdin, &mut manifests, cache),
            PathSpec::Path(path) if path.is_dir() => {
                read_folder(path, &mut manifests, cache);
                continue;
            }
            PathSpec::Path(path) => read_file(path, &mut manifests, cache),
        };
        if let Some(file) = file {
            let message = "has no Kubernetes object; check that this is the file you mean";
            manifests.findings.report(Location::start_of(&file), Code::NoObjects, message);
        }
    }
    let files: HashSet<_> = manifests.files.iter().map(|path| name_of(path)).collect();
    cache.0.retain(|file, _| files.contains(file));
    manifests
}

/// Reads `text` as if it were the content of `file`.
pub fn read_text(file: &str, text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    take_text(&file.into(), text, &mut manifests);
    manifests
}

fn read_folder(folder: &Path, manifests: &mut Manifests, cache: &mut ReadCache) {
    manifests.folders.push(folder.to_owned());
    let names = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
    });
    let mut names = match names {
        Ok(names) => names,
        Err(error) => return manifests.fail(ReadFailure::new(&name_of(folder), error)),
    };
    names.retain(|name| is_manifest(name));
    names.sort();
    let mut found = false;
    for path in names.into_iter().map(|name| folder.join(name)) {
        // A pipe might never end, and subfolders are not searched. A file whose
        // metadata cannot be read is still opened, so that the error is reported.
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            continue;
        }
        found = true;
        read_file(&path, manifests, cache);
    }
    if !found {
        let message = "has no manifests (*.yaml, *.yml, *.json; subfolders are not searched); add some, or correct the path";
        let place = Location::start_of(&name_of(folder));
        manifests.findings.report(place, Code::NoObjects, message);
    }
}

/// Hidden files and the temporary files of editors are not manifests.
pub(crate) fn is_manifest(name: &OsStr) -> bool {
    let hidden =
        name.as_encoded_bytes().first().is_none_or(|first| matches!(first, b'.' | b'#' | b'~'));
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Returns the name of the file if it has neither objects nor findings.
fn read_file(path: &Path, manifests: &mut Manifests, cache: &mut ReadCache) -> Option<Arc<str>> {
    manifests.files.push(path.to_owned());
    let file = name_of(path);
    match File::open(path) {
        Ok(mut stream) => read_stream(&file, &mut stream, manifests, cache),
        Err(error) => {
            manifests.fail(ReadFailure::new(&file, error));
            None
        }
    }
}

fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// Never reads more than the limit, because the stream may be a device without end.
fn read_stream(
    file: &Arc<str>,
    stream: &mut dyn Read,
    manifests: &mut Manifests,
    cache: &mut ReadCache,
) -> Option<Arc<str>> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes) {
        manifests.fail(ReadFailure::new(file, error));
        return None;
    }
    if bytes.len() > MAX_FILE_BYTES {
        manifests.fail(ReadFailure::TooLarge { file: Arc::clone(file) });
        return None;
    }
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = end_of(&String::from_utf8_lossy(&bytes[..error.valid_up_to()]));
            manifests.fail(ReadFailure::NotUtf8 { file: Arc::clone(file), at });
            return None;
        }
    };
    let told = |it: &Manifests| (it.objects.len(), it.passed_over.objects(), it.findings.len());
    let before = told(manifests);
    cache.take_text(file, text, manifests);
    (before == told(manifests)).then(|| Arc::clone(file))
}

impl ReadCache {
    fn take_text(&mut self, file: &Arc<str>, text: &str, manifests: &mut Manifests) {
        let digest = Sha256::digest(text).into();
        if self.0.get(file).is_none_or(|known| known.digest != digest) {
            let mut read = Manifests::default();
            take_text(file, text, &mut read);
            if !read.is_complete() {
                self.0.remove(file);
                return manifests.append(read);
            }
            let Manifests { objects, passed_over, findings, .. } = read;
            let known = ReadFile { digest, objects, passed_over, findings };
            self.0.insert(Arc::clone(file), known);
        }
        if let Some(known) = self.0.get(file) {
            manifests.objects.extend(known.objects.iter().cloned());
            manifests.passed_over.extend(&known.passed_over);
            manifests.findings.extend(known.findings.clone());
        }
    }
}

/// The position after `text`.
fn end_of(text: &str) -> Position {
    let breaks =
        text.replace("\r\n", "\n").bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let line = text.rsplit(['\n', '\r']).next().unwrap_or_default();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: count(breaks + 1), column: count(line.chars().count() + 1) }
}

fn take_text(file: &Arc<str>, text: &str, manifests: &mut Manifests) {
    let mut budget = ParseBudget::default();
    let (failures, findings) = (manifests.failures.len(), manifests.findings.len());
    for chunk in chunks(text) {
        if manifests.failures.len() - failures >= MAX_FAILURES_PER_FILE
            || manifests.findings.len() - findings >= MAX_FINDINGS_PER_FILE
        {
            let (file, at) = (Arc::clone(file), chunk.at);
            return manifests.fail(ReadFailure::TooManyErrors { file, at });
        }
        match parse_flawed(chunk.text, chunk.at, &mut budget) {
            Ok(Parsed { root, .. }) if root.is_null() => {}
            Ok(parsed) => take_document(file, parsed, manifests),
            Err(error) => manifests.fail(ReadFailure::Syntax { file: Arc::clone(file), error }),
        }
    }
}

#[cfg(test)]
mod tests;
