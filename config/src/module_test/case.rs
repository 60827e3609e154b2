//! The cases of files.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_test::{HeaderMap, LogLevel, Message};

use super::check::Expectation;
use super::format::cases_of;
use super::phases::Phases;
use super::suite::{self, is_suite};
use super::text_format;
use crate::finding::{Code, Findings, Location};
use crate::manifest::{Position, is_manifest};
use crate::testing::{Suite, read_documents, read_into, read_tree};

/// Cases, and the findings about their files.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    pub(super) cases: Vec<Case>,
    /// The findings about the files.
    pub(crate) findings: Findings,
}

/// Reads all cases in `paths`: files, folders, and `-` for standard input.
pub(crate) fn read(paths: &[PathBuf], stdin: &mut dyn Read) -> Cases {
    let mut cases = Cases::default();
    read_into(&mut cases, paths, stdin);
    cases
}

impl Cases {
    /// The number of cases.
    pub(crate) fn len(&self) -> usize {
        self.cases.len()
    }

    /// Keeps only the cases whose name this accepts.
    pub(crate) fn retain(&mut self, accepts: impl Fn(&str) -> bool) {
        self.cases.retain(|case| accepts(&case.name));
    }

    /// Uses this configuration in all cases that have none.
    pub(crate) fn configure(&mut self, configuration: &[u8]) {
        for case in &mut self.cases {
            case.setup.configuration.get_or_insert_with(|| configuration.to_vec());
        }
    }
}

impl Suite for Cases {
    const FILES: &str = "*.yaml, *.yml, *.json, *.textpb, *.pbtxt, *.txtpb";

    fn is_test_file(name: &OsStr) -> bool {
        is_manifest(name) || is_text_format(Path::new(name))
    }

    fn take(&mut self, file: &Arc<str>, text: &str) {
        let Self { cases, findings } = self;
        if !is_text_format(Path::new(&**file)) {
            return read_documents(file, text, findings, |root| {
                cases.extend(if is_suite(root) { suite::cases_of(root) } else { cases_of(root) });
            });
        }
        match text_format::parse(text) {
            Ok(root) => {
                read_tree(file, root, findings, |root| cases.extend(suite::cases_of(root)));
            }
            Err(error) => {
                let Position { line, column } = error.at;
                let at = Location { file: Arc::clone(file), line, column };
                findings.report(at, Code::TextFormatNotValid, error.to_string());
            }
        }
    }

    fn tests(&self) -> usize {
        self.cases.len()
    }

    fn findings(&mut self) -> &mut Findings {
        &mut self.findings
    }
}

/// Whether a file is in protobuf's text format, by its name.
fn is_text_format(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    matches!(extension, Some("textpb" | "pbtxt" | "txtpb" | "textproto"))
}

/// What a plugin is started with, and what happens to it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) at: Location,
    pub(super) setup: Setup,
    pub(super) script: Script,
}

/// What happens to a plugin.
#[derive(Debug)]
pub(super) enum Script {
    Steps(Vec<Step>),
    Phases(Box<Phases>),
}

/// What a plugin is started with.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) configuration: Option<Vec<u8>>,
    pub(super) vm_configuration: Vec<u8>,
    pub(super) root_id: Option<String>,
    pub(super) log_level: LogLevel,
    /// The time at which the clock stands, since 1970.
    pub(super) time: Option<Duration>,
    /// Properties of all contexts, by the parts of their paths.
    pub(super) properties: Vec<(Vec<String>, Vec<u8>)>,
    pub(super) environment: Vec<(String, Vec<u8>)>,
    /// The only clusters that exist, unless all do.
    pub(super) clusters: Option<Vec<String>>,
    pub(super) callouts: Vec<Callout>,
    /// Whether the module is expected to accept its configuration.
    pub(super) starts: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            configuration: None,
            vm_configuration: Vec::new(),
            root_id: None,
            log_level: LogLevel::Info,
            time: None,
            properties: Vec::new(),
            environment: Vec::new(),
            clusters: None,
            callouts: Vec::new(),
            starts: true,
        }
    }
}

/// What becomes of the HTTP calls of the module to a cluster.
#[derive(Clone, Debug)]
pub(super) struct Callout {
    pub(super) cluster: Option<String>,
    pub(super) path: Option<String>,
    pub(super) answer: CalloutAnswer,
}

#[derive(Clone, Debug)]
pub(super) enum CalloutAnswer {
    Respond(Message),
    Fail,
    TimeOut,
    Unavailable,
}

/// One thing that happens, and what is expected then.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) at: Location,
    pub(super) action: Action,
    pub(super) expectations: Vec<Expectation>,
}

#[derive(Debug)]
pub(super) enum Action {
    Exchange(Box<Parts>, Box<Parts>),
    Tick,
    Advance(Duration),
    /// A new configuration.
    Reload(Vec<u8>),
    /// Only the start of the plugin.
    Start,
}

/// A message in the pieces in which the module gets it.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) headers: HeaderMap,
    pub(super) pieces: Vec<Vec<u8>>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Parts {
    /// An empty response with status 200.
    pub(super) fn response() -> Self {
        Self { headers: [(":status", "200")].into(), ..Self::default() }
    }
}
