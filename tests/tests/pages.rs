//! The console blocks of the documentation do what the pages say.
//!
//! A page is followed from top to bottom in a folder of its own, in which the files of the
//! repository are, too. In the first line of a block, after its language:
//!
//! * ```` ```console ````: each command after `$ ` is run by bash, and prints the lines after
//!   it. A line `...` stands for any lines, and `...` within a line for any text.
//! * ```` ```console background ````: the command runs until the end of the page.
//! * ```` ```console not-run: REASON ````: is not run.
//! * ```` ```yaml file=NAME ````: is written to this file first.
//!
//! `127.0.0.1:8080` and port 9000 are replaced by free ones.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use ingress_tests::{Process, files_below, free_port, ingressctl, tool, workspace};

/// Pages that other tests follow, or folders of them.
const ELSEWHERE: [&str; 3] = [
    // config/tests/findings runs the example of each code.
    "docs/findings.md",
    "config/src/finding/codes",
    // host-test/tests follows it in an empty folder.
    "host-test/docs/guide.md",
];

/// The time limit of a block, in seconds.
const TIMEOUT: u64 = 120;

/// What the end of a command's output looks like.
const END: &str = "<<end of the command>>";

struct Block {
    line: usize,
    kind: Kind,
    text: String,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Run,
    Background,
    NotRun,
    File(String),
    Other,
}

fn pages() -> Vec<PathBuf> {
    let mut pages = files_below(workspace());
    let is_page = |path: &PathBuf| {
        let path = path.strip_prefix(workspace()).unwrap();
        path.extension().is_some_and(|end| end == "md")
            && !path.starts_with("target")
            && !path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."))
    };
    pages.retain(is_page);
    pages
}

/// The fenced blocks of a page, or where it does not say what to do with one.
fn blocks(page: &Path) -> Result<Vec<Block>, String> {
    let text = fs::read_to_string(page).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                let kind = kind(info).map_err(|error| format!("line {}: {error}", number + 1))?;
                open = Some((indent, Block { line: number + 1, kind, text: String::new() }));
            }
            (Some(_), Some("")) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), _) => {
                let line = line.get(*indent..).unwrap_or_default();
                if block.kind == Kind::Other && block.text.is_empty() && line.starts_with("$ ") {
                    return Err(format!(
                        "line {}: commands are in a block `console`, or `console not-run: REASON`",
                        block.line
                    ));
                }
                writeln!(block.text, "{line}").unwrap();
            }
            (None, None) => {}
        }
    }
    Ok(blocks)
}

fn kind(info: &str) -> Result<Kind, String> {
    let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
    match (language, rest) {
        ("console", "") => Ok(Kind::Run),
        ("console", "background") => Ok(Kind::Background),
        ("console", rest) => match rest.strip_prefix("not-run: ") {
            Some(reason) if !reason.is_empty() => Ok(Kind::NotRun),
            _ => Err(format!("`{rest}` is not known")),
        },
        (_, rest) => match rest.strip_prefix("file=") {
            Some(file) => Ok(Kind::File(file.to_owned())),
            None => Ok(Kind::Other),
        },
    }
}

/// Commands, and the lines that each prints.
fn commands(block: &Block) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((command, output))) if output.is_empty() && command.ends_with('\\') => {
                *command += "\n";
                *command += line;
            }
            (None, Some((_, output))) => output.push(line.to_owned()),
            (None, None) => panic!("line {}: a block begins with `$ `", block.line),
        }
    }
    commands
}

/// Whether a text has these lines.
fn matches(expected: &[String], got: &[String]) -> bool {
    match (expected, got) {
        ([], []) => true,
        ([first, rest @ ..], got) if first == "..." => {
            (0..=got.len()).any(|skipped| matches(rest, &got[skipped..]))
        }
        ([first, rest @ ..], [line, others @ ..]) => {
            line_matches(first, line) && matches(rest, others)
        }
        _ => false,
    }
}

fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split("...");
    let Some(mut rest) = parts.next().and_then(|start| line.strip_prefix(start)) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || (expected.contains("...") && last.is_empty())
}

/// A page that is followed.
struct Followed {
    folder: tempfile::TempDir,
    /// What stands for the addresses of the page.
    replaced: [(&'static str, String); 2],
    /// Ends with the page.
    background: Vec<Process>,
}

impl Followed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(workspace()).unwrap() {
            let entry = entry.unwrap();
            symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let http = format!("127.0.0.1:{}", free_port());
        let replaced = [("127.0.0.1:8080", http), ("9000", free_port().to_string())];
        Self { folder, replaced, background: Vec::new() }
    }

    /// Does what a block says.
    fn follow(&mut self, block: &Block) -> Result<(), String> {
        match &block.kind {
            Kind::File(name) => {
                let path = self.folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, self.here(&block.text)).unwrap();
                Ok(())
            }
            Kind::Run => self.run(&commands(block)),
            Kind::Background => self.start(&commands(block)),
            Kind::NotRun | Kind::Other => Ok(()),
        }
    }

    fn here(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Runs commands one after the other in one shell.
    fn run(&self, commands: &[(String, Vec<String>)]) -> Result<(), String> {
        let mut script = String::new();
        for (command, _) in commands {
            writeln!(script, "{}\necho '{END}'", self.here(command)).unwrap();
        }
        let mut shell = self.shell(&format!("exec 2>&1\n{script}"));
        let output = shell.output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut outputs = output.split(END);
        for (command, expected) in commands {
            let got = outputs.next().unwrap_or_default();
            let got: Vec<_> = got.trim_start_matches('\n').lines().map(str::to_owned).collect();
            self.compare(command, expected, &got)?;
        }
        Ok(())
    }

    /// Starts a command, and waits until it has printed what it should.
    fn start(&mut self, commands: &[(String, Vec<String>)]) -> Result<(), String> {
        let [(command, expected)] = commands else { return Err("one command".to_owned()) };
        let mut shell = self.shell(&format!("exec 2>&1; exec {}", self.here(command)));
        let mut process = Process::spawn(shell.stdin(Stdio::null()).stdout(Stdio::piped()));
        let lines = lines(&mut process);
        self.background.push(process);
        let mut got = Vec::new();
        while let Err(difference) = self.compare(command, expected, &got) {
            match lines.recv_timeout(Duration::from_secs(TIMEOUT)) {
                Ok(line) => got.push(line),
                Err(error) => return Err(format!("{error}: {difference}")),
            }
        }
        // A full pipe would block it.
        thread::spawn(move || lines.into_iter().for_each(drop));
        Ok(())
    }

    fn compare(&self, command: &str, expected: &[String], got: &[String]) -> Result<(), String> {
        let expected: Vec<_> = expected.iter().map(|line| self.here(line)).collect();
        if matches(&expected, got) {
            return Ok(());
        }
        Err(format!(
            "$ {command}\nthe page says:\n{}\nit printed:\n{}",
            expected.join("\n"),
            got.join("\n")
        ))
    }

    fn shell(&self, script: &str) -> Command {
        let path = env::var_os("PATH").unwrap();
        let ours = [ingressctl().parent().unwrap().to_owned()];
        let curl = tool("curl").parent().map(Path::to_owned);
        let path = ours.into_iter().chain(curl).chain(env::split_paths(&path));
        let mut command = Command::new("timeout");
        command.args([&TIMEOUT.to_string(), "bash", "--norc", "-c", script]);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("PATH", env::join_paths(path).unwrap()).env("no_proxy", "*");
        // As on a terminal of a user, but without its colours.
        command.env_remove("CI").env_remove("COLORTERM").env("NO_COLOR", "1");
        command
    }
}

fn lines(process: &mut Process) -> Receiver<String> {
    let output = BufReader::new(process.output());
    let (sender, lines) = channel();
    thread::spawn(move || {
        output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    lines
}

fn follow(page: &Path) -> Result<usize, String> {
    let mut followed = Followed::new();
    let mut run = 0;
    for block in blocks(page)? {
        let line = block.line;
        followed.follow(&block).map_err(|error| format!("line {line}: {error}"))?;
        run += usize::from(matches!(block.kind, Kind::Run | Kind::Background));
    }
    Ok(run)
}

#[test]
fn each_page_does_what_it_says() {
    let mut problems = Vec::new();
    let mut run = 0;
    for page in pages() {
        let name = page.strip_prefix(workspace()).unwrap().display().to_string();
        if ELSEWHERE.iter().any(|page| name.starts_with(page)) {
            continue;
        }
        match follow(&page) {
            Ok(blocks) => run += blocks,
            Err(problem) => problems.push(format!("{name}, {problem}")),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    assert!(run >= 20, "{run} blocks");
}

#[test]
fn dots_stand_for_what_varies() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (expected, got, same) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nc", false),
        ("a", "a\nb", false),
        ("a\n...", "a\nb\nc", true),
        ("a\n...\nc", "a\nb\nb\nc", true),
        ("a\n...\nc", "a\nb", false),
        ("...", "", true),
        ("port=...", "port=1", true),
        ("port=... end", "port=1 end", true),
        ("port=... end", "port=1 ending", false),
    ] {
        assert_eq!(matches(&lines(expected), &lines(got)), same, "{expected} / {got}");
    }
}
