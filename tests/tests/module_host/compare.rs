//! What differs between two outcomes.

use std::fmt::Write as _;

use crate::scenario::{Got, Outcome};

/// A difference between Envoy and the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) scenario: String,
    /// A host call, or a part of the outcome.
    pub(crate) what: String,
    pub(crate) envoy: String,
    pub(crate) host: String,
}

/// All differences, after what may differ between two runs has been removed.
pub(crate) fn differences(scenario: &str, envoy: &Outcome, host: &Outcome) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut add = |what: &str, envoy: String, host: String| {
        if envoy != host {
            let (scenario, what) = (scenario.to_owned(), what.to_owned());
            differences.push(Difference { scenario, what, envoy, host });
        }
    };
    add("crash", envoy.crashed.to_string(), host.crashed.to_string());
    if envoy.crashed || host.crashed {
        return differences;
    }
    let (ours, theirs) = (Log::of(envoy), Log::of(host));
    add("callbacks", ours.callbacks(), theirs.callbacks());
    for (label, value) in &ours.results {
        let other = theirs.result(label);
        add(label, value.clone(), other.unwrap_or("not called").to_owned());
    }
    for (label, value) in &theirs.results {
        if ours.result(label).is_none() {
            add(label, "not called".to_owned(), value.clone());
        }
    }
    add(
        "upstream",
        got(envoy.upstream.as_ref().filter(|got| !got.cut_off)),
        got(host.upstream.as_ref().filter(|got| !got.cut_off)),
    );
    add("client", got(envoy.client.as_ref()), got(host.client.as_ref()));
    // Each thread of Envoy ticks.
    if scenario != "tick" {
        add("metrics", format!("{:?}", envoy.metrics), format!("{:?}", host.metrics));
    }
    differences
}

fn got(got: Option<&Got>) -> String {
    let Some(got) = got else { return "nothing".to_owned() };
    let fields = |fields: &crate::scenario::Fields| {
        fields.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ")
    };
    let mut text = fields(&got.headers);
    if got.cut_off {
        // How much of the body has left Envoy is a matter of time.
        return text + ", cut off";
    }
    let _ = write!(text, ", body {:?}", got.body);
    if !got.trailers.is_empty() {
        let _ = write!(text, ", trailers {}", fields(&got.trailers));
    }
    text
}

/// A log, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Callbacks and other lines, in order.
    lines: Vec<String>,
    /// Host calls and their results; repeated ones are numbered.
    pub(crate) results: Vec<(String, String)>,
}

impl Log {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let mut log = Self::default();
        for line in &outcome.log {
            if line == "< delete"
                || line == "the upstream is connected"
                || line.starts_with("envoy bug failure")
                || line.starts_with("stacktrace for envoy bug")
                || line.starts_with('#')
                || line.starts_with("Proxy-Wasm plugin in-VM")
                || line.starts_with("  ")
            {
                continue;
            }
            if let Some(rest) = line.strip_prefix("Function: proxy_on_") {
                let name = rest.split(' ').next().unwrap_or(rest);
                log.lines.push(format!("! {name}"));
                continue;
            }
            match line.rsplit_once('=').filter(|_| !line.starts_with('>')) {
                Some((label, result)) => {
                    let count = log
                        .results
                        .iter()
                        .filter(|(found, _)| found.split(" #").next() == Some(label))
                        .count();
                    let label = if count == 0 {
                        label.to_owned()
                    } else {
                        format!("{label} #{}", count + 1)
                    };
                    let result = readable(&label, result);
                    log.results.push((label, result));
                }
                None => log.lines.push(callback(line)),
            }
        }
        log
    }

    fn callbacks(&self) -> String {
        self.lines.join("; ")
    }

    /// The callbacks of gRPC and the last of their arguments: a number of pairs, a length, or a
    /// status.
    pub(crate) fn grpc_callbacks(&self) -> Vec<(&str, &str)> {
        let lines = self.lines.iter().filter_map(|line| line.strip_prefix("grpc_"));
        lines.filter_map(|line| Some((line.split_once(' ')?.0, line.rsplit_once(' ')?.1))).collect()
    }

    pub(crate) fn result(&self, label: &str) -> Option<&str> {
        self.results.iter().find(|(found, _)| found == label).map(|(_, value)| value.as_str())
    }
}

/// A callback and its arguments, without the token of a queue, which is that of a process.
fn callback(line: &str) -> String {
    let line = line.strip_prefix("> ").unwrap_or(line);
    match line.strip_prefix("queue_ready ").and_then(|rest| rest.split_once(' ')) {
        Some((root, _)) => format!("queue_ready {root} TOKEN"),
        None => line.to_owned(),
    }
}

/// A result with its bytes as text.
fn readable(label: &str, result: &str) -> String {
    let words = result.split(' ').map(|word| match word.strip_prefix('x') {
        Some(hex) => text_of(label, &bytes_of(hex)),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0);
    hex.as_bytes()
        .chunks(2)
        .map(|pair| {
            let byte = pair.iter().fold(0, |byte, next| byte * 16 + digit(*next));
            u8::try_from(byte).unwrap_or(u8::MAX)
        })
        .collect()
}

fn text_of(label: &str, bytes: &[u8]) -> String {
    let pairs = label.starts_with("get_header_map_pairs") || label.contains("request.headers)");
    if pairs && let Some(mut pairs) = pairs_of(bytes) {
        pairs.retain(|(name, _)| {
            !matches!(name.as_str(), "date" | "connection" | "x-envoy-upstream-service-time")
        });
        pairs.sort();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        return format!("[{}]", pairs.join(", "));
    }
    format!("\"{}\"", bytes.escape_ascii())
}

/// The pairs of a map in their serialized form.
fn pairs_of(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let number = |at: usize| -> Option<usize> {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let count = number(0)?;
    let mut at = 4 + count * 8;
    let mut pairs = Vec::new();
    for index in 0..count {
        let mut text = |length: usize| -> Option<String> {
            let text = bytes.get(at..at + length)?.escape_ascii().to_string();
            at += length + 1;
            Some(text)
        };
        let name = text(number(4 + index * 8)?)?;
        pairs.push((name, text(number(8 + index * 8)?)?));
    }
    Some(pairs)
}
