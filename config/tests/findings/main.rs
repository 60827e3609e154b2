//! `docs/findings.md`: every code with its entry, and the real output of the
//! command for its example. This updates the page:
//!
//! ```text
//! UPDATE_GOLDEN=1 cargo test -p ingressctl --test findings
//! ```

mod certificates;
#[path = "../sandbox/mod.rs"]
mod sandbox;

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use ingressctl::finding::{Code, Group, Origin};
use sandbox::{Output, Sandbox};

const PAGE: &str = "../docs/findings.md";

const HEAD: &str = "\
# Findings
Each finding ends with its code in brackets. Here is what each code means, an example, what `ingressctl` prints for it, and what to do;
`ingressctl explain-code CODE` prints the same. An error means that something is not served as written, a warning that it is perhaps not
what you mean, and a note that other commands treat it differently. [The command line](command-line.md#findings) has the forms in which
findings are printed.

This page is written by `UPDATE_GOLDEN=1 cargo test -p ingressctl --test findings`, from `config/src/finding/codes`.
";

const CERTIFICATES: &str = "\
These are about what is in a Secret that an Ingress names under `spec.tls`. In place of an example, which would be a certificate in PEM,
each has the line that is printed for one.
";

#[test]
fn every_code_has_its_entry_on_the_page() {
    let mut page = HEAD.to_owned();
    for group in Group::ALL {
        write_index(&mut page, *group);
    }
    for group in Group::ALL {
        let _ = write!(page, "\n## {}\n", group.title());
        if group.origin() == Origin::Certificate {
            page += CERTIFICATES;
        }
        for code in group.codes() {
            write_entry(&mut page, *code);
        }
    }
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(PAGE, &page).expect("write the page");
    }
    let written = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(written == page, "{PAGE} is out of date; update it as at the top of this test");
}

fn write_index(page: &mut String, group: Group) {
    let _ = write!(page, "\n| {} | | |\n| --- | --- | --- |\n", group.title());
    for code in group.codes() {
        let (severity, summary) = (code.severity(), code.summary());
        let _ = writeln!(page, "| [`{code}`](#{code}) | {severity} | {summary} |");
    }
}

fn write_entry(page: &mut String, code: Code) {
    let (severity, summary) = (code.severity(), code.summary());
    let _ = write!(page, "\n### `{code}`\n*{severity}*: {summary}\n\n{}\n", code.explanation());
    let (example, lines) = match code.group().origin() {
        Origin::Files => run_example(code),
        Origin::Certificate => (String::new(), certificates::run(code)),
        // Unit tests of `cluster` check these examples.
        Origin::Cluster | Origin::Envoy => {
            let _ = write!(page, "\n{}\n", code.example());
            return;
        }
    };
    assert!(!lines.is_empty(), "the output of the example of {code} lacks it");
    let _ = write!(page, "{example}\n```text\n{}\n```\n", lines.join("\n"));
}

/// The example in the form of the page, and the lines of its output with the code.
fn run_example(code: Code) -> (String, Vec<String>) {
    let sandbox = Sandbox::new(&[]);
    let (mut shown, mut script) = (String::new(), String::new());
    let mut files = Vec::new();
    for Block { language, file, text } in blocks(code) {
        if language == "console" {
            script = text
                .lines()
                .filter_map(|line| line.strip_prefix("$ "))
                .collect::<Vec<_>>()
                .join("\n");
        } else {
            sandbox.write(file, text);
            files.push(file);
            let _ = write!(shown, "\n`{file}`:\n```{language}\n{text}```\n");
        }
    }
    if script.is_empty() {
        script = "ingressctl check -f manifests.yaml".into();
        if files.contains(&"tests.yaml") {
            script = "ingressctl test -f manifests.yaml tests.yaml".into();
        }
        if files.contains(&"settings.yaml") {
            script += " --settings settings.yaml";
        }
    }
    let commands = script.replace('\n', "\n$ ");
    let _ = write!(shown, "\n```console\n$ {commands}\n```\n");
    (shown, told(&sandbox, &script, code))
}

/// A fenced block of an example.
struct Block {
    language: &'static str,
    file: &'static str,
    text: &'static str,
}

/// The info string of a file's block has its language and optionally its name.
fn blocks(code: Code) -> impl Iterator<Item = Block> {
    let fenced = code.example().split("```").skip(1).step_by(2);
    fenced.map(|block| {
        let (info, text) = block.split_once('\n').expect("the first line of a block");
        let (language, file) = info.split_once(' ').unwrap_or((info, "manifests.yaml"));
        Block { language, file, text }
    })
}

/// The lines of a script's output with this code. An entry must name all other
/// codes in the output of its example.
fn told(sandbox: &Sandbox, script: &str, code: Code) -> Vec<String> {
    let output = shell(sandbox, script);
    let all = output.stdout + &output.stderr;
    let lines = all.lines().filter_map(|line| {
        let name = line.strip_suffix(']')?.rsplit_once(" [")?.1;
        Some((Code::named(name)?, line.to_owned()))
    });
    let (own, others): (Vec<_>, Vec<_>) = lines.partition(|(given, _)| *given == code);
    for (other, line) in others {
        let is_named = code.explanation().contains(&format!("`{other}`"));
        assert!(is_named, "{code}: its example also prints {line}");
    }
    assert!(!own.is_empty(), "{code}: its example prints\n{all}");
    own.into_iter().map(|(_, line)| line).collect()
}

fn shell(sandbox: &Sandbox, script: &str) -> Output {
    let folder = Path::new(env!("CARGO_BIN_EXE_ingressctl")).parent().map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(folder.into_iter().chain(env::split_paths(&path)));
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(sandbox.path("")).env("PATH", path.expect("a path"));
    Output::of(&mut command, "")
}

#[test]
fn entries_are_plain() {
    for code in Code::ALL {
        let (summary, explanation) = (code.summary(), code.explanation());
        assert!(summary.ends_with('.') && summary.len() <= 110, "{code}: {summary}");
        assert!(explanation.ends_with('.'), "{code}: {explanation}");
        assert_eq!(Code::named(code.as_str()), Some(*code));
        let is_kebab =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(code.as_str().bytes().all(is_kebab), "{code}");
    }
    let entries = fs::read_dir("src/finding/codes").expect("the entries");
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = Path::new(&path).file_stem().and_then(|name| name.to_str()).expect("a name");
        assert!(Code::named(name).is_some(), "{name} is an entry without a code");
    }
}
