//! The route tests of a file.

use std::ffi::OsStr;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use super::distribution::Distribution;
use super::format::tests_of;
use super::matcher::HeaderMatcher;
use crate::explain::Request;
use crate::finding::{Findings, Location};
use crate::manifest::is_manifest;
use crate::testing::{Suite, read_documents, read_into, read_text_into};

/// Tests, and the findings about their files.
#[derive(Debug, Default)]
pub struct Cases {
    pub(super) cases: Vec<Case>,
    /// The findings about the files.
    pub findings: Findings,
}

impl Cases {
    /// The number of tests.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there are no tests.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}

/// Reads all tests in `paths`: files, folders, and `-` for standard input.
pub fn read(paths: &[PathBuf], stdin: &mut dyn Read) -> Cases {
    let mut cases = Cases::default();
    read_into(&mut cases, paths, stdin);
    cases
}

/// Reads `text` as the content of `file`.
pub fn read_text(file: &str, text: &str) -> Cases {
    let mut cases = Cases::default();
    read_text_into(&mut cases, file, text);
    cases
}

impl Suite for Cases {
    const FILES: &str = "*.yaml, *.yml, *.json";

    fn is_test_file(name: &OsStr) -> bool {
        is_manifest(name)
    }

    fn take(&mut self, file: &Arc<str>, text: &str) {
        let Self { cases, findings } = self;
        read_documents(file, text, findings, |root| cases.extend(tests_of(root)));
    }

    fn tests(&self) -> usize {
        self.cases.len()
    }

    fn findings(&mut self) -> &mut Findings {
        &mut self.findings
    }
}

/// A request, and its expected outcome.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) at: Location,
    pub(super) request: Request,
    pub(super) expectations: Vec<Expectation>,
}

/// One expectation.
pub(super) type Expectation = crate::testing::Expectation<Check>;

#[derive(Debug)]
pub(super) enum Check {
    /// The expected text; empty if none is expected.
    Is(Aspect, String),
    RequestHeader(HeaderMatcher),
    ResponseHeader(HeaderMatcher),
    Distribution(Distribution),
}

/// A property of the outcome with a single value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    Cluster,
    VirtualCluster,
    VirtualHost,
    RouteMetadata,
    Host,
    Path,
    Location,
    RedirectStatus,
    Status,
    GrpcStatus,
    Timeout,
    PerTryTimeout,
    Retries,
    Delay,
    Mirror,
    Ingress,
    Rule,
    Websocket,
}
