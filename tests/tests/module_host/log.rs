//! The log of Envoy, as it is written.

use std::io::BufRead;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A line of Envoy's log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Not that of a worker.
    pub(crate) main_thread: bool,
    /// The plugin that wrote it; empty for Envoy's own.
    pub(crate) plugin: String,
    pub(crate) text: String,
}

#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    ended: bool,
}

/// All lines so far.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<Lines>, Condvar)>);

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited {
    Seen,
    /// The log ended, because Envoy did.
    Ended,
}

impl Log {
    /// Reads lines until their end, in a thread.
    pub(crate) fn follow(&self, reader: impl BufRead + Send + 'static, process: u32) {
        let log = self.clone();
        thread::spawn(move || {
            // Modules can log any bytes.
            for line in reader.split(b'\n').map_while(Result::ok) {
                log.add(parse(&String::from_utf8_lossy(&line), process));
            }
            let (lines, changed) = &*log.0;
            lines.lock().expect("no panic").ended = true;
            changed.notify_all();
        });
    }

    fn add(&self, line: Line) {
        let (lines, changed) = &*self.0;
        lines.lock().expect("no panic").lines.push(line);
        changed.notify_all();
    }

    /// Adds a line of the test's own.
    pub(crate) fn note(&self, plugin: &str, text: &str) {
        self.add(Line { main_thread: false, plugin: plugin.to_owned(), text: text.to_owned() });
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.0.lock().expect("no panic").lines.clone()
    }

    pub(crate) fn ended(&self) -> bool {
        self.0.0.lock().expect("no panic").ended
    }

    pub(crate) fn len(&self) -> usize {
        self.0.0.lock().expect("no panic").lines.len()
    }

    /// Waits until this holds for the lines from this one on.
    pub(crate) fn wait(&self, what: &str, from: usize, seen: impl Fn(&[Line]) -> bool) -> Waited {
        let (lines, changed) = &*self.0;
        let until = Instant::now() + Duration::from_secs(10);
        let mut lines = lines.lock().expect("no panic");
        loop {
            if seen(&lines.lines[from..]) {
                return Waited::Seen;
            }
            if lines.ended {
                return Waited::Ended;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let so_far: Vec<_> =
                    lines.lines[from..].iter().map(|line| (&line.plugin, &line.text)).collect();
                let so_far = format!("{so_far:#?}");
                drop(lines);
                panic!("waited in vain for {what}; the log since: {so_far}");
            }
            lines = changed.wait_timeout(lines, left).expect("no panic").0;
        }
    }
}

/// Takes apart what `--log-format` puts together.
fn parse(line: &str, process: u32) -> Line {
    let (thread, text) = line.split_once('|').unwrap_or(("", line));
    let main_thread = thread == process.to_string();
    let (plugin, text) = text
        .strip_prefix("wasm log ")
        .and_then(|rest| rest.split_once(": "))
        .map_or(("", text), |(from, text)| (from.split(' ').next().unwrap_or(from), text));
    Line { main_thread, plugin: plugin.to_owned(), text: text.to_owned() }
}
