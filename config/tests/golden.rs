//! Golden cases of the compiler: each folder of `tests/golden` is one.
//!
//! | file | what |
//! | --- | --- |
//! | `in*` | the manifests, in the order of their names |
//! | `settings.yaml` | the settings, if not the default ones |
//! | `findings.txt` | the findings as `check` prints them |
//! | `route-table.json` | the route table |
//! | `cds.json` | in cases `*backend-*`: clusters and endpoints |
//! | `bootstrap.json`, `lds.json`, … | in cases `envoy-*`: all that Envoy reads |
//!
//! A new case is a new folder with its `in.yaml`. This writes the outputs of the
//! compiler, and prints what changed; review the difference before you commit it:
//!
//! ```text
//! UPDATE_GOLDEN=1 cargo test -p ingressctl --test golden
//! ```
//!
//! A case `bad-*` contains an error and a path to the service `neighbour`, which
//! must be served all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ingress_filter::{FlatTable, RouteTable, Router};
use ingressctl::compile::{Compiled, compile};
use ingressctl::envoy::{Admin, EnvoyFiles, Layout, Listening};
use ingressctl::manifest::{self, PathSpec};
use ingressctl::settings::Settings;

const CASES: &str = "tests/golden";
const COMMAND: &str = "UPDATE_GOLDEN=1 cargo test -p ingressctl --test golden";

/// The folder in which Envoy would find its files.
const LAYOUT: &str = "/etc/ingress";

/// By the path in the case's folder.
type Files = BTreeMap<PathBuf, String>;

#[test]
fn golden() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = folders(Path::new(CASES));
    assert!(!cases.is_empty(), "no cases in {CASES}");
    let mut problems = Vec::new();
    for case in &cases {
        let (expected, actual) = (read_outputs(case), case_outputs(case, &mut problems));
        if update {
            write_outputs(case, &expected, &actual);
        } else {
            problems.extend(differences(case, &expected, &actual));
        }
    }
    assert!(problems.is_empty(), "{}\nIf intended, run: {COMMAND}", problems.join("\n"));
}

/// The outputs of a case; adds a problem if a rule for all cases is broken.
fn case_outputs(case: &Path, problems: &mut Vec<String>) -> Files {
    let settings = match fs::read_to_string(case.join("settings.yaml")) {
        Ok(text) => serde_saphyr::from_str(&text).expect("settings.yaml"),
        Err(_) => Settings::default(),
    };
    let inputs: Vec<_> = files(case).into_iter().filter(|path| is_input(case, path)).collect();
    let manifests = manifest::read(
        &inputs.iter().cloned().map(PathSpec::from).collect::<Vec<_>>(),
        &mut io::empty(),
    );
    let compiled = compile(&manifests, &settings);
    let name = case.file_name().unwrap_or_default().to_string_lossy();
    problems.extend(broken_rules(&name, &compiled).map(|rule| format!("--- {name}: {rule}")));
    outputs(case, &name, &compiled, &settings)
}

fn outputs(case: &Path, name: &str, compiled: &Compiled, settings: &Settings) -> Files {
    let layout = Layout::new(LAYOUT);
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let listening = Listening {
        http: address(8080),
        https: address(8443),
        admin: Admin::Loopback(address(9901).try_into().unwrap()),
        probe: None,
    };
    let envoy = EnvoyFiles::new(&compiled.gateway, settings, listening, &layout).expect("JSON");
    let is_of_backend = |path: &Path| path.ends_with("cds.json");
    let mut outputs: Files = envoy
        .all()
        .map(|(path, text)| {
            let text = without_flat_form(text, &compiled.gateway.table);
            (path.strip_prefix(LAYOUT).expect(LAYOUT).to_owned(), text)
        })
        .filter(|(path, _)| match path {
            path if path.ends_with("route-table.json") => true,
            path if is_of_backend(path) && name.contains("backend-") => true,
            _ => name.starts_with("envoy-"),
        })
        .collect();
    let findings: Vec<_> = compiled.findings.iter().map(ToString::to_string).collect();
    let lines = findings.join("\n") + if findings.is_empty() { "" } else { "\n" };
    let folder = format!("{}/", case.display());
    outputs.insert("findings.txt".into(), lines.replace(&folder, ""));
    outputs
}

/// The text of a file without the bytes of the table, which must be equal to
/// route-table.json.
fn without_flat_form(text: &str, table: &RouteTable) -> String {
    let Some((before, rest)) = text.split_once("google.protobuf.BytesValue") else {
        return text.to_owned();
    };
    let (between, rest) = rest.split_once("\"value\": \"").expect("a value");
    let (bytes, after) = rest.split_once('"').expect("a string");
    let bytes = BASE64.decode(bytes).expect("base64");
    let table = RouteTable { name: String::new(), ..table.clone() };
    let flat = FlatTable::parse(bytes).expect("a table");
    assert_eq!(flat, FlatTable::encode(&table).expect("a table"));
    let decoded = flat.decode().expect("a table");
    assert_eq!(FlatTable::encode(&decoded).expect("a table"), flat);
    format!("{before}google.protobuf.BytesValue{between}\"value\": \"as route-table.json\"{after}")
}

/// The rules for every case, which do not depend on its golden files.
fn broken_rules(name: &str, compiled: &Compiled) -> impl Iterator<Item = String> {
    let refused = Router::new(&compiled.gateway.table)
        .err()
        .map(|error| format!("the filter would reject the table: {error}"));
    let alone = (name.starts_with("bad-") && !serves(&compiled.gateway.table, "neighbour"))
        .then(|| "the neighbour is not served".to_owned());
    let vague = compiled
        .findings
        .iter()
        .find(|finding| {
            finding.source.is_none() || (finding.object.is_some() && finding.field.is_none())
        })
        .map(|finding| format!("has no position or field: {finding}"));
    [refused, alone, vague].into_iter().flatten()
}

fn serves(table: &RouteTable, service: &str) -> bool {
    let is_it = |backend: &str| backend.contains(&format!("/{service}:"));
    table.virtual_hosts.iter().flat_map(|host| &host.routes).any(|route| is_it(&route.backend))
        && table.backends.iter().any(|backend| is_it(&backend.name))
}

fn differences(case: &Path, expected: &Files, actual: &Files) -> Vec<String> {
    let names: BTreeSet<_> = expected.keys().chain(actual.keys()).collect();
    let difference = |name: &PathBuf| {
        let what = match (expected.get(name), actual.get(name)) {
            (Some(expected), Some(actual)) if expected == actual => return None,
            (Some(expected), Some(actual)) => changed_lines(expected, actual),
            (Some(_), None) => "is stale: the compiler no longer writes it".into(),
            (None, _) => "is missing".into(),
        };
        Some(format!("--- {}\n{what}", case.join(name).display()))
    };
    names.into_iter().filter_map(difference).collect()
}

/// The lines that differ, each with its line number in its file.
fn changed_lines(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    // The maximum number of common lines after these positions.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (i, j) in (0..old.len()).rev().flat_map(|i| (0..new.len()).rev().map(move |j| (i, j))) {
        common[i][j] = if old[i] == new[j] {
            common[i + 1][j + 1] + 1
        } else {
            common[i + 1][j].max(common[i][j + 1])
        };
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("-{:4} {}", i + 1, old[i]));
            i += 1;
        } else {
            lines.push(format!("+{:4} {}", j + 1, new[j]));
            j += 1;
        }
    }
    if lines.is_empty() { "other line breaks".into() } else { lines.join("\n") }
}

/// Writes the changes, and prints them even if the output is captured.
fn write_outputs(case: &Path, expected: &Files, actual: &Files) {
    for (name, text) in actual.iter().filter(|(name, text)| expected.get(*name) != Some(text)) {
        let path = case.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("create the folder");
        fs::write(&path, text).expect("write a golden file");
        match expected.get(name) {
            Some(old) => say(&format!("--- {}\n{}", path.display(), changed_lines(old, text))),
            None => say(&format!("--- {}\nis new", path.display())),
        }
    }
    for name in expected.keys().filter(|name| !actual.contains_key(*name)) {
        fs::remove_file(case.join(name)).expect("remove a golden file");
        say(&format!("--- {}\nis removed", case.join(name).display()));
    }
}

fn say(line: &str) {
    writeln!(io::stderr(), "{line}").expect("standard error");
}

fn read_outputs(case: &Path) -> Files {
    files(case)
        .into_iter()
        .filter(|path| !is_input(case, path) && !path.ends_with("settings.yaml"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a golden file");
            (path.strip_prefix(case).expect("a file of the case").to_owned(), text)
        })
        .collect()
}

fn is_input(case: &Path, path: &Path) -> bool {
    let name = path.strip_prefix(case).unwrap_or(path).to_string_lossy();
    name.starts_with("in.") || name.starts_with("in-")
}

/// All files in `folder` and below, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (folders, mut files): (Vec<_>, Vec<_>) =
        entries(folder).into_iter().partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}
