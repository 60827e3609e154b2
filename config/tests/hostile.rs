//! For any manifests, the compiler neither panics nor produces a table that the
//! filter rejects; and it handles large ones.

mod large;

use std::fs;
use std::path::{Path, PathBuf};

use ingress_filter::Router;
use ingressctl::compile::compile;
use ingressctl::manifest::read_text;
use ingressctl::settings::{Mode, Settings};
use large::{SERVICE, compile_large, ingress};

/// The number of mutants of each manifest.
const MUTANTS: usize = 60;

/// Replacements for a value: of other types, out of range, or with special
/// characters of paths, cluster names and files.
const VALUES: [&str; 52] = [
    "",
    "~",
    "5",
    "-1",
    "0",
    "1.5",
    ".nan",
    "4294967297",
    "99999999999999999999",
    "true",
    "[]",
    "{}",
    "[a, {b: c}]",
    "\"\"",
    "\"\\n\"",
    "\"\\0\"",
    "\"a|b,c=d\"",
    "\"\\ud7ff\\u202e\"",
    "/",
    "//",
    "/a/../b",
    "/%2f",
    "/%",
    "'/a?b#c'",
    "/.*",
    "'.*'",
    "'*'",
    "'*.com'",
    "'*.*'",
    ".",
    "a..b",
    "A.B",
    "::1",
    "127.0.0.1",
    "istio",
    "Exact",
    "Prefix",
    "ImplementationSpecific",
    "ExternalName",
    "&x [*x]",
    "50",
    "100",
    "4s",
    "0s",
    "web",
    "other",
    "//evil.example",
    "'(a+)+$'",
    "'(?=a)b'",
    "x-envoy-max-retries",
    "{version: v1}",
    "{regex: '(?:a{0,1000}){1000}'}",
];

/// Pseudo-random numbers, the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (limit.max(1) as u64)).unwrap_or_default()
    }
}

#[test]
fn mutants_compile_to_tables_the_filter_takes() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let manifests = manifests();
    assert!(manifests.len() > 50, "{manifests:?}");
    for path in &manifests {
        let original = String::from_utf8_lossy(&fs::read(path).expect("a manifest")).into_owned();
        for number in 0..MUTANTS {
            let mut text = original.clone();
            for _ in 0..=random.below(4) {
                text = if random.below(3) == 0 {
                    mutate_bytes(&text, &mut random)
                } else {
                    mutate_lines(&text, &mut random)
                };
            }
            compile_and_check(&format!("{} mutant {number}", path.display()), &text);
        }
    }
}

fn compile_and_check(name: &str, text: &str) {
    let settings = Settings {
        ingress_controller_mode: Mode::Default,
        external_name_services: text.len().is_multiple_of(2),
        cross_namespace_rules: text.len().is_multiple_of(3),
        ..Settings::default()
    };
    let outcome = std::panic::catch_unwind(|| {
        let compiled = compile(&read_text("f.yaml", text), &settings);
        let refused = Router::new(&compiled.gateway.table).err();
        (compiled, refused)
    });
    let Ok((compiled, refused)) = outcome else { panic!("{name} panics:\n{text}") };
    assert!(
        refused.is_none(),
        "{name}: {}\n{text}",
        refused.map(|error| error.to_string()).unwrap_or_default()
    );
    for finding in &compiled.findings {
        let line = finding.to_string();
        assert!(line.starts_with("f.yaml:") && !line.contains('\n'), "{name}: {line}\n{text}");
    }
    for cluster in compiled.gateway.clusters.values() {
        assert!(is_clusters_name(&cluster.name), "{name}: {}\n{text}", cluster.name);
    }
}

/// Whether it is `<host>|<port>`, optionally with `|<labels>`.
fn is_clusters_name(name: &str) -> bool {
    let is_of = |allowed: &'static [u8]| {
        move |byte: u8| byte.is_ascii_alphanumeric() || allowed.contains(&byte)
    };
    let mut parts = name.splitn(3, '|');
    parts.next().is_some_and(|host| host.bytes().all(is_of(b"-.")))
        && parts.next().is_some_and(|port| port.parse::<u16>().is_ok())
        && parts.next().is_none_or(|labels| labels.bytes().all(is_of(b"-._/=,")))
}

/// The samples, and the inputs of the golden cases.
fn manifests() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("samples"), PathBuf::from("tests/golden")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false if is_yaml(&path) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

/// Flips, removes or repeats a few bytes.
fn mutate_bytes(text: &str, random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(8)).min(bytes.len());
    match random.below(4) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.extend_from_within(at..end),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(random.below(256)).unwrap_or_default();
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Removes, repeats, moves or indents a line, or changes the value in it.
fn mutate_lines(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    let (at, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(8) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(other, lines[at].clone()),
        2 => lines.swap(at, other),
        3 => lines[at].insert_str(0, "  "),
        _ => lines[at] = with_other_value(&lines[at], random),
    }
    lines.join("\n") + "\n"
}

/// `line` with another value after one of its colons.
fn with_other_value(line: &str, random: &mut Random) -> String {
    let colons: Vec<_> = line.match_indices(": ").map(|(at, _)| at + 2).collect();
    let Some(start) = colons.get(random.below(colons.len())) else { return line.to_owned() };
    let value = VALUES[random.below(VALUES.len())];
    let rest = &line[*start..];
    // Within braces the next value is kept; elsewhere this value ends the line.
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    format!("{}{value}{}", &line[..*start], &rest[end..])
}

#[test]
fn twenty_thousand_paths_in_one_object() {
    let paths = (0..20_000).map(|number| format!("/path/{number}"));
    let text = format!("{SERVICE}{}", ingress("large", "foo.example.com", paths));
    let compiled = compile_large("20,000 paths", &text);
    assert!(compiled.findings.is_empty(), "{:?}", compiled.findings);
    assert_eq!(compiled.gateway.table.virtual_hosts[0].routes.len(), 20_000);
}

#[test]
fn ten_thousand_objects() {
    let ingresses = (0..10_000).map(|number| {
        let paths = ["/a", "/b"].into_iter().map(str::to_owned);
        ingress(&format!("i{number}"), &format!("h{}.example.com", number / 2), paths)
    });
    let text = SERVICE.to_owned() + &ingresses.collect::<String>();
    let compiled = compile_large("10,000 Ingresses", &text);
    // Each host is claimed twice.
    assert_eq!((compiled.findings.len(), compiled.has_errors()), (10_000, false));
    assert_eq!(compiled.gateway.table.virtual_hosts.len(), 5_000);
}

#[test]
fn twenty_thousand_paths_that_are_wrong() {
    let paths = (0..20_000).map(|number| format!("'/a b/{number}'"));
    let text = format!("{SERVICE}{}", ingress("large", "foo.example.com", paths));
    let compiled = compile_large("20,000 errors", &text);
    assert_eq!(compiled.findings.len(), 20_000);
}

#[test]
fn one_bad_rule_among_a_thousand() {
    let paths = (0..1_000).map(|number| match number {
        500 => "'/a#b'".to_owned(),
        _ => format!("/path/{number}"),
    });
    let text = format!("{SERVICE}{}", ingress("large", "foo.example.com", paths));
    let compiled = compile_large("1,000 paths", &text);
    assert_eq!(compiled.findings.len(), 1);
    assert_eq!(compiled.gateway.table.virtual_hosts[0].routes.len(), 999);
}
