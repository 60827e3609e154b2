//! The page of the ABI: what Envoy does, and where the host differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use crate::calls;
use crate::changes;
use crate::compare::{Difference, Log};
use crate::known;
use crate::matrix;
use crate::scenario::Outcome;
use crate::starts::Start;

type Outcomes = BTreeMap<String, Outcome>;

const INTRODUCTION: &str = "# Host calls and phases

What each host call of Proxy-Wasm ABI 0.2.1 does in each phase of a plugin, in Envoy 1.40 and in this host for
tests. A test (`tests/tests/module_host` in the repository) runs the same small modules in both, and compares the result of every call, the order
of callbacks, what the client and the upstream get, and the metrics. It writes this page from what Envoy did:

    UPDATE_GOLDEN=1 cargo test -p ingress-tests --test module_host

The host does the same, except for what is marked with `*` and explained under [Differences](#differences).
Each phase is a scenario of its own, in which all calls are made in the order of this page. The exchange is a `POST` with a
body in two pieces and trailers, and so is the response; `last` is the empty piece that ends a body without trailers.
";

/// Compares the page with the published one, or writes it.
#[track_caller]
pub(crate) fn is_published(text: &str, workspace: &Path) {
    let path = workspace.join("host-test/docs/abi.md");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).expect("the page is written");
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    let remedy = "UPDATE_GOLDEN=1 cargo test -p ingress-tests --test module_host";
    assert_eq!(published, text, "{} is out of date: {remedy}", path.display());
}

pub(crate) fn text(outcomes: &Outcomes, starts: &[Start], differences: &[Difference]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page += &by_phase(outcomes, differences);
    page += &changed_streams(outcomes, differences);
    page += &results(outcomes);
    page += &grpc(outcomes);
    page += &initialize(starts);
    page += &wasi(outcomes);
    page += &explained(differences);
    page
}

/// The name of a status.
fn status(number: &str) -> &str {
    match number {
        "0" => "Ok",
        "1" => "NotFound",
        "2" => "BadArgument",
        "3" => "SerializationFailure",
        "4" => "ParseFailure",
        "6" => "InvalidMemoryAccess",
        "7" => "Empty",
        "8" => "CasMismatch",
        "10" => "InternalFailure",
        "12" => "Unimplemented",
        other => other,
    }
}

/// A result as the page shows it: the status, and the value if it is short.
fn shown(phase: &str, result: &str) -> String {
    let (number, value) = result.split_once(' ').unwrap_or((result, ""));
    let value = value.replace(&format!("\"{phase}\""), "the name");
    let value = if value.len() > 48 { "…".to_owned() } else { value.replace('|', "\\|") };
    match value.as_str() {
        "" => status(number).to_owned(),
        value => format!("{}: `{value}`", status(number)),
    }
}

fn by_phase(outcomes: &Outcomes, differences: &[Difference]) -> String {
    let phases = matrix::phases();
    let logs: Vec<_> = phases.iter().map(|phase| (phase, Log::of(&outcomes[*phase]))).collect();
    let mut page =
        format!("\n## Calls that leave the stream as it is\nThe phases are {}.\n", list(&phases));
    for (title, group) in calls::groups() {
        let _ = write!(page, "\n### {title}\n| call | result | phases |\n| --- | --- | --- |\n");
        for label in labels(&group) {
            // Phases with the same result, in the order of the phases.
            let mut results: Vec<(String, Vec<String>)> = Vec::new();
            for (phase, log) in &logs {
                let Some(result) = log.result(&label) else { continue };
                let differs = differences
                    .iter()
                    .any(|found| found.scenario == ***phase && found.what == label);
                // Where threads count together, the value is a matter of time.
                let result =
                    if differs { result.split(' ').next().unwrap_or(result) } else { result };
                let (shown, mark) = (shown(phase, result), if differs { " *" } else { "" });
                let phase = format!("{phase}{mark}");
                match results.iter_mut().find(|(known, _)| *known == shown) {
                    Some((_, phases)) => phases.push(phase),
                    None => results.push((shown, vec![phase])),
                }
            }
            let most = results.iter().map(|(_, phases)| phases.len()).max().unwrap_or(0);
            for (index, (result, phases)) in results.iter().enumerate() {
                let call = if index == 0 { format!("`{label}`") } else { String::new() };
                let marked = phases.iter().any(|phase| phase.ends_with('*'));
                let phases = match results.len() {
                    1 if !marked => "all".to_owned(),
                    _ if phases.len() == most && phases.len() > 6 && !marked => {
                        "all others".to_owned()
                    }
                    _ => phases.join(", "),
                };
                let _ = writeln!(page, "| {call} | {result} | {phases} |");
            }
        }
    }
    page
}

/// The labels of these calls, as they are numbered in a log.
fn labels(group: &[crate::probe::Call]) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    group
        .iter()
        .map(|call| {
            let count = seen.entry(&call.label).or_default();
            *count += 1;
            if *count == 1 { call.label.clone() } else { format!("{} #{count}", call.label) }
        })
        .collect()
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// What the client gets, in a few words.
fn effect(outcome: &Outcome) -> String {
    if outcome.crashed {
        return "**Envoy crashes**".to_owned();
    }
    let Some(client) = &outcome.client else { return "closed".to_owned() };
    let status = client.headers.iter().find(|(name, _)| name == ":status");
    match (status, client.cut_off, client.body.as_str()) {
        (None, _, "world") => "goes on".to_owned(),
        (None, ..) => "closed".to_owned(),
        (Some((_, status)), true, _) => format!("{status}, cut off"),
        (Some((_, status)), false, "thirdfourth") if status == "200" => "goes on".to_owned(),
        (Some((_, status)), false, _) => format!("gets {status}"),
    }
}

fn changed_streams(outcomes: &Outcomes, differences: &[Difference]) -> String {
    let mut page =
        "\n## Calls that change the stream\nEach call is made once, in the callback of the phase, \
        which then returns Continue. The table shows what becomes of the response for the client.\n"
            .to_owned();
    for (title, phases) in [("HTTP", changes::phases()), ("TCP", changes::tcp_phases())] {
        let _ = write!(page, "\n### {title}\n| call |");
        for phase in &phases {
            let _ = write!(page, " {phase} |");
        }
        let _ = write!(page, "\n| --- |{}\n", " --- |".repeat(phases.len()));
        for name in changes::names() {
            let _ = write!(page, "| {name} |");
            for phase in &phases {
                let key = format!("{name}--{phase}");
                let differs = differences.iter().any(|found| found.scenario == key);
                let mark = if differs { " *" } else { "" };
                let _ = write!(page, " {}{mark} |", effect(&outcomes[&key]));
            }
            page.push('\n');
        }
    }
    page += "\n`continue-upstream` returns Unimplemented, all others Ok. Calls for the streams of the other \
        protocol do nothing.\n";
    page
}

fn results(outcomes: &Outcomes) -> String {
    let mut page =
        "\n## What callbacks return\n| callback | goes on | pauses |\n| --- | --- | --- |\n"
            .to_owned();
    let mut callbacks: BTreeMap<&str, (BTreeSet<u32>, BTreeSet<u32>)> = BTreeMap::new();
    for (key, outcome) in outcomes {
        let Some((result, phase)) =
            key.strip_prefix("returns-").and_then(|rest| rest.split_once("--"))
        else {
            continue;
        };
        let Ok(result) = result.parse() else { continue };
        let entry = callbacks.entry(phase).or_default();
        if effect(outcome) == "goes on" {
            entry.0.insert(result)
        } else {
            entry.1.insert(result)
        };
    }
    let numbers = |numbers: &BTreeSet<u32>| {
        numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    for (phase, (goes_on, pauses)) in callbacks {
        let goes_on = BTreeSet::from([0]).union(&goes_on).copied().collect();
        let _ = writeln!(page, "| {phase} | {} | {} |", numbers(&goes_on), numbers(&pauses));
    }
    page + "\nA body callback that returns 1 gets all pieces again with the next one, and one that returns 3 or more \
        drops its piece.\n"
}

/// What a module gets of its gRPC calls and streams.
fn grpc(outcomes: &Outcomes) -> String {
    let mut page = "\n## gRPC calls and streams\nThe server echoes all messages, and then sends status 0. In the other scenarios it sends \
        status 7 after its metadata (`denied`) or in its only headers (`denied-at-once`), status 0 without a message (`empty`), the \
        HTTP status 503 (`unavailable`), or it resets the stream before its response (`reset`) or after its metadata (`reset-later`). \
        The number is that of the metadata's pairs, the message's bytes, or the status; the text is that of `proxy_get_status` \
        in the last callback. The other scenarios are streams and calls that the module ends.\n\n\
        | scenario | callbacks, without `proxy_on_grpc_` | text |\n| --- | --- | --- |\n"
        .to_owned();
    let is_shown = |key: &str| key.starts_with("grpc-call-") || key.starts_with("grpc-stream-");
    for (key, outcome) in outcomes.iter().filter(|(key, _)| is_shown(key)) {
        let log = Log::of(outcome);
        let callbacks = log.grpc_callbacks();
        let callbacks: Vec<_> =
            callbacks.iter().map(|(name, number)| format!("`{name}` {number}")).collect();
        let statuses = log.results.iter().rev();
        let status = statuses.into_iter().find(|(label, _)| label.starts_with("get_status"));
        let text = status.and_then(|(_, result)| result.split('"').nth(1)).unwrap_or_default();
        let text = if text.is_empty() { String::new() } else { format!("`{text}`") };
        let _ = writeln!(page, "| {key} | {} | {text} |", callbacks.join(", "));
    }
    page + "\nA stream that the server has ended is gone for the module once it has closed or cancelled it in `proxy_on_grpc_close`. \
        If it has not, Envoy keeps the token and later uses what it has freed; the host answers NotFound.\n"
}

fn initialize(starts: &[Start]) -> String {
    let mut page = "\n## In `_initialize`\n| call | the module |\n| --- | --- |\n".to_owned();
    for start in starts {
        let Some(call) = start.call else { continue };
        let effect = if start.in_envoy { "starts" } else { "fails to start" };
        let _ = writeln!(page, "| `{call}` | {effect} |");
    }
    page
}

fn wasi(outcomes: &Outcomes) -> String {
    let mut page = "\n## WASI\nThe number is the errno. Envoy links these functions of `wasi_snapshot_preview1` and no others; \
        `path_link` and `path_symlink` have one parameter less than in WASI, so a module that imports those of WASI is rejected. \
        `proc_exit` ends the VM.\n\n| function | errno |\n| --- | --- |\n"
        .to_owned();
    for (label, errno) in Log::of(&outcomes["wasi"]).results {
        let _ = writeln!(page, "| `{label}` | {errno} |");
    }
    page
}

fn explained(differences: &[Difference]) -> String {
    let mut page = "\n## Differences\n| scenario | what | why |\n| --- | --- | --- |\n".to_owned();
    for known in known::KNOWN_DIFFERENCES {
        if differences.iter().any(|difference| known.covers(difference)) {
            let (scenario, what) = known.place();
            let _ = writeln!(page, "| {scenario} | {what} | {} |", known.reason);
        }
    }
    page
}
