use std::fmt::Write as _;

use super::*;
use crate::manifest::node::Value;

fn read(text: &str) -> Result<Node, SyntaxError> {
    parse(text, Position::START, &mut ParseBudget::default())
}

/// Prints the tree on one line; with `places`, the position before each value and
/// key.
fn show(node: &Node, places: bool, out: &mut String) {
    let place = |at: Position, out: &mut String| {
        if places {
            write!(out, "{}:{} ", at.line, at.column).unwrap();
        }
    };
    place(node.at, out);
    match &node.value {
        Value::Null => out.push('~'),
        Value::Bool(value) => write!(out, "{value}").unwrap(),
        Value::Integer(value) => write!(out, "{value}").unwrap(),
        Value::Large(value) => write!(out, "{value}").unwrap(),
        Value::Float(value) => write!(out, "{value:?}f").unwrap(),
        Value::String(text) | Value::Word(text, _) => write!(out, "{text:?}").unwrap(),
        Value::Bytes(_) => unreachable!("YAML has no bytes"),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                show(item, places, out);
            }
            out.push(']');
        }
        Value::Flawed(flawed) => unreachable!("{}", flawed.error),
        Value::Map(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                place(key.at, out);
                write!(out, "{}: ", key.name).unwrap();
                show(value, places, out);
            }
            out.push('}');
        }
    }
}

fn shown(text: &str, places: bool) -> String {
    let mut out = String::new();
    show(&read(text).unwrap_or_else(|error| panic!("{text:?}: {error}")), places, &mut out);
    out
}

fn error(text: &str) -> String {
    let error = read(text).expect_err(text);
    format!("{}:{}: {error}", error.at.line, error.at.column)
}

#[test]
fn values() {
    let cases = [
        ("", "~"),
        ("# only a comment\n", "~"),
        ("---\n", "~"),
        ("null", "~"),
        ("just text", r#""just text""#),
        ("a: 8000\nb: \"8000\"\nc: '8000'", r#"{a: 8000, b: "8000", c: "8000"}"#),
        ("[4294967297, -1, 1.5, .nan, -.inf]", "[4294967297, -1, 1.5f, NaNf, -inff]"),
        ("a: 123456789012345678901234567890", "{a: 1.2345678901234568e29f}"),
        (
            "[yes, No, on, off, y, true, \"true\"]",
            r#"["yes", "No", "on", "off", "y", true, "true"]"#,
        ),
        ("[0777, 1_000, 0x10]", r#"["0777", "1_000", 16]"#),
        ("a:\nb: ~\nc: ''", r#"{a: ~, b: ~, c: ""}"#),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", r#"{a: "x\ny\n", b: "x y"}"#),
        ("a: |\n  8000\n", r#"{a: "8000\n"}"#),
        ("8000: a\ntrue: b\n'': c\n\"~\": d", r#"{8000: "a", true: "b", : "c", ~: "d"}"#),
        ("? a\n: b\n", r#"{a: "b"}"#),
        // Anchors, aliases and merge keys.
        ("a: &x 1\nb: *x\nc: [*x]", "{a: 1, b: 1, c: [1]}"),
        (
            "x: &k a
*k : 2
",
            r#"{x: "a", a: 2}"#,
        ),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3, r: 4}", "{a: {p: 1, q: 2}, b: {q: 3, r: 4, p: 1}}"),
        (
            "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}",
            "{a: {p: 1}, b: {p: 2, q: 2}, c: {p: 1, q: 2}}",
        ),
        ("a: {<<: {p: 1}}\n\"<<\": b", r#"{a: {p: 1}, <<: "b"}"#),
        ("a: &x {p: 1}\nb: {!!merge <<: *x}", "{a: {p: 1}, b: {p: 1}}"),
        // Tags.
        (
            "[!!str 8000, !!int \"8000\", !!float 1, ! 8000, !!seq [], !!map {}]",
            r#"["8000", 8000, 1.0f, "8000", [], {}]"#,
        ),
        ("!!str 1: 2", "{1: 2}"),
        // JSON.
        ("{\n\t\"a\": [\n\t\t1,\n\t\tnull\n\t],\n\t\"b\":\t{\n\t}\n}\n", "{a: [1, ~], b: {}}"),
        (
            r#"{"a":1,"b":"x","c":[true,false],"d":{}}"#,
            r#"{a: 1, b: "x", c: [true, false], d: {}}"#,
        ),
        (r#""\u00e9\ud83d\ude00\/\\\"\b\f\n\r\t""#, r#""é😀/\\\"\u{8}\u{c}\n\r\t""#),
        // Byte order marks, line breaks and markers.
        ("\u{feff}a: b\r\nc:\r\n  d: 1\r\n", r#"{a: "b", c: {d: 1}}"#),
        ("%YAML 1.2\n--- # c\na: b\n...\n", r#"{a: "b"}"#),
    ];
    for (text, want) in cases {
        assert_eq!(shown(text, false), want, "{text}");
    }
}

#[test]
fn positions() {
    let cases = [
        (
            "a: 1\nb:\n  - x\n  - y: 'é'\n    z:\n",
            r#"1:1 {1:1 a: 1:4 1, 2:1 b: 3:3 [3:5 "x", 4:5 {4:5 y: 4:8 "é", 5:5 z: 5:6 ~}]}"#,
        ),
        (
            "é: {ü: 1, b: 2}\r\nc: 3",
            "1:1 {1:1 é: 1:4 {1:5 ü: 1:8 1, 1:11 b: 1:14 2}, 2:1 c: 2:4 3}",
        ),
        ("\u{feff}a: 1", "1:1 {1:1 a: 1:4 1}"),
        (
            "a: &x {p: 1}\nb: *x\nc: {<<: *x}",
            "1:1 {1:1 a: 1:7 {1:8 p: 1:11 1}, 2:1 b: 1:7 {1:8 p: 1:11 1}, 3:1 c: 3:4 {1:8 p: 1:11 1}}",
        ),
        ("{\n\t\"a\":\t1\n}", "1:1 {2:2 a: 2:7 1}"),
        ("a: 1\rb: 2", "1:1 {1:1 a: 1:4 1, 2:1 b: 2:4 2}"),
    ];
    for (text, want) in cases {
        assert_eq!(shown(text, true), want, "{text}");
    }
    let node =
        parse("---\na: 1", Position { line: 41, column: 1 }, &mut ParseBudget::default()).unwrap();
    assert_eq!(node.get("a").unwrap().at, Position { line: 42, column: 4 });
    let error = parse("---\na: [", Position { line: 41, column: 1 }, &mut ParseBudget::default())
        .unwrap_err();
    assert!(error.at.line >= 42);
}

#[test]
fn errors() {
    let cases = [
        (
            "a: 1\nb: 2\na: 3",
            "3:1: the key `a` is given twice in this mapping; keep one of the two",
        ),
        ("a: {b: 1, \"b\": 2}", "1:11: the key `b` is given twice"),
        ("a: {<<: {}, <<: {}}", "1:13: the key `<<` is given twice"),
        ("~: b", "1:1: a key must be text, not null"),
        (": b", "1:1: a key must be text, not null"),
        ("[a]: b", "1:1: a key must be text, not a list"),
        ("? {a: b}\n: c", "1:3: a key must be text, not a mapping"),
        ("&a 1: 2\n*a : 3\n", "2:1: the key `1` is given twice"),
        ("x: &a 1\n*a : 3\n", "2:1: a key must be text, not a number"),
        ("a:\n\tb: 1", "2:1: is not valid YAML: tabs disallowed"),
        (
            "a: 1\n\tb: 1",
            "2:1: is not valid YAML: while scanning a plain scalar, found a tab; indent with spaces",
        ),
        ("a:\n  b: 1\n \tc: 1", "3:2: is not valid YAML: "),
        (
            "a: b: c",
            "1:5: is not valid YAML: mapping values are not allowed in this context; check the indentation",
        ),
        ("a: \"x\nb: c\n", "1:4: is not valid YAML: unclosed quote; close the quote"),
        ("a: [1, 2\nb: c", "2:2: is not valid YAML: "),
        (
            "a: *x",
            "1:4: is not valid YAML: while parsing node, found unknown anchor; define `&name`",
        ),
        ("a: &x [*x]", "1:8: this alias stands for a value it is part of"),
        ("a: !foo b", "1:4: the tag `!foo` is not supported; remove it"),
        ("!foo a: b", "1:1: the tag `!foo` is not supported"),
        ("a: !foo {}", "1:4: the tag `!foo` is not supported"),
        ("a: !!binary aGk=", "1:4: the tag `!!binary` is not supported"),
        ("a: !!int x", "1:4: the value is not what the tag `!!int` says"),
        ("a: !!map []", "1:4: the value is not what the tag `!!map` says"),
        ("a: {<<: 1}", "1:9: `<<` takes a mapping or a list of mappings, not a number"),
        ("a: {<<: [{}, x]}", "1:14: `<<` takes a mapping or a list of mappings, not a string"),
        ("a: b\0c", "1:5: is not valid YAML: unexpected character"),
        ("a: \"b\0c\"", "1:6: is not valid YAML: unexpected character"),
        ("a: 'b\n\0'", "2:1: is not valid YAML: unexpected character"),
        ("a: # \0", "1:6: is not valid YAML: unexpected character"),
        ("a: |\n  b\0\n", "2:4: is not valid YAML: unexpected character"),
        ("a: \u{1}", "1:4: is not valid YAML: unexpected character"),
        (
            r#"{"a":"\ud83d"}"#,
            "1:6: is not valid YAML: while parsing a quoted scalar, found high surrogate",
        ),
        (
            "{\"a\":1}\n{\"b\":2}",
            "2:1: is not valid YAML: did not find expected <document start>; check the indentation, and put `---`",
        ),
        ("%YAML 9.2\n---\na: b", "1:1: is not valid YAML: unsupported YAML major version"),
        ("a: b\n... x", "2:5: is not valid YAML: "),
    ];
    for (text, want) in cases {
        let got = error(text);
        assert!(got.starts_with(want), "{text:?}\n got {got}\nwant {want}");
    }
}

#[test]
fn depth_is_bounded() {
    let n = 1_000_000;
    let cases = [
        ("[".repeat(n), "1:101"),
        ("{a: ".repeat(n), "1:401"),
        ("- ".repeat(n), "1:201"),
        ("? ".repeat(n), "1:3"),
        ("[".repeat(101) + &"]".repeat(101), "1:101"),
    ];
    for (text, want) in cases {
        let got = error(&text);
        assert!(got.starts_with(&format!("{want}: ")), "{}: {got}", &text[..8]);
    }
    let mut steps = String::new();
    for depth in 0..2_000 {
        writeln!(steps, "{:depth$}a:", "").unwrap();
    }
    assert_eq!(
        error(&steps),
        "101:101: lists and mappings are nested deeper than 100; flatten them"
    );
    assert!(read(&("[".repeat(100) + &"]".repeat(100))).is_ok());
    // An alias counts with the depth of its value.
    let mut ladder = String::from("a0: &a0 []\n");
    for step in 1..=99 {
        writeln!(ladder, "a{step}: &a{step} [*a{}]", step - 1).unwrap();
    }
    assert_eq!(
        error(&ladder),
        "100:12: lists and mappings are nested deeper than 100; flatten them"
    );
}

#[test]
fn aliases_repeat_only_so_much() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    let mut merges = String::from("a0: &a0 {x: 1}\n");
    for step in 1..30 {
        let before = step - 1;
        writeln!(laughs, "a{step}: &a{step} [{}]", vec![format!("*a{before}"); 9].join(", "))
            .unwrap();
        writeln!(merges, "a{step}: &a{step} {{a: *a{before}, b: *a{before}, <<: *a{before}}}")
            .unwrap();
    }
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), "*a, ".repeat(1 << 20));
    let keys = format!("? &a {}\n: [{}]", "x".repeat(1000), "*a, ".repeat(1 << 20));
    for text in [laughs, merges, long, keys] {
        let got = error(&text);
        assert!(
            got.ends_with("the aliases in this file repeat too much; write the values out"),
            "{got}"
        );
    }
}

#[test]
fn an_anchor_without_aliases_may_stand_for_anything() {
    let text = format!("a: &a [{}]\nb: &b 1\n", "x,".repeat(300_000));
    assert_eq!(read(&text).unwrap().get("a").unwrap().items().len(), 300_000);
    assert!(error(&(text + "c: *a")).starts_with("3:4: the aliases in this file repeat too much"));
}

#[test]
fn values_are_counted_across_documents() {
    let text = "[a, b, c]";
    let mut budget = ParseBudget::of(10);
    for _ in 0..2 {
        assert!(parse(text, Position::START, &mut budget).is_ok());
    }
    let error = parse(text, Position::START, &mut budget).unwrap_err();
    assert!(matches!(error.cause, Cause::Nodes), "{error}");
}

#[test]
fn large_mappings_refuse_a_key_given_twice() {
    let mut text: String = (0..1_000).fold(String::new(), |mut text, number| {
        writeln!(text, "key{number}: 1").unwrap();
        text
    });
    assert_eq!(read(&text).unwrap().entries().len(), 1_000);
    text.push_str("key500: 1\n");
    assert!(error(&text).starts_with("1001:1: the key `key500` is given twice"));
}

/// A long line or many repetitions take linear time or give an error.
#[test]
fn repetition_is_harmless() {
    let units = [
        "[a,",
        "&a ",
        "!!str ",
        "*a ",
        "a: ",
        "-",
        "#",
        "\"",
        "'x' ",
        "[]",
        "\n",
        "\r",
        "\t",
        " ",
        "|\n",
        "%x y\n",
        "\\",
        ",",
        "\"\\x",
        "- &a b\n",
        "- &a b\n- *a\n",
        "- [a, b]\n",
        " # x\n",
        "- # x\n",
        "x y\n z",
        "<<: {}\n",
        "? a\n",
        "!",
        "&",
        "*",
        "{",
        "}",
        "]",
        "---\n",
        "...\n",
        "\u{feff}",
        "\u{2028}",
        "é: ",
    ];
    for unit in units {
        let _ = read(&unit.repeat(200_000 / unit.len()));
        let _ = read(&format!("a: {}", unit.repeat(200_000 / unit.len())));
    }
}

const MANIFEST: &str = "%YAML 1.2\n---\napiVersion: networking.k8s.io/v1 # c\nkind: Ingress\nmetadata:\n  name: &n simple\n  \
    annotations: {kubernetes.io/ingress.class: \"istio\", \"x\": 'y\\n'}\nspec:\n  rules:\n  - host: *n\n    http: !!map\n      \
    paths:\n      - path: /a\n        <<: {pathType: Prefix}\n        weight: 4294967297\n      - |\n        block\n      - >-\n        \
    folded\n        text\n  json: {\"a\": [1, 2.5, null, \"\\u00e9\\ud83d\\ude00\"]}\n---\n\u{feff}? k\n: v\n...\n";

/// A small deterministic generator (xorshift), so that a failure is repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (limit as u64)).unwrap()
    }
}

#[test]
fn mutations_never_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let spice = b"\0\t\n\r \"'#%&*,-.:<>?@[]{}|!~`\\/0ae\xc3\xef\xbb\xbf\xff\xed\xa0\x80";
    let (mut parsed, mut refused) = (0, 0);
    for _ in 0..6_000 {
        let mut bytes = MANIFEST.as_bytes().to_vec();
        for _ in 0..=random.below(8) {
            let at = random.below(bytes.len());
            let byte = spice[random.below(spice.len())];
            match random.below(5) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => {
                    let to = (at + random.below(40)).min(bytes.len());
                    let piece = bytes[at..to].to_vec();
                    let target = random.below(bytes.len());
                    bytes.splice(target..target, piece);
                }
                _ => bytes.truncate(at.max(40)),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap();
        let read = crate::manifest::read_text("f", &text);
        for finding in &read.findings {
            let at = finding.source.as_ref().unwrap();
            assert!((1..=lines).contains(&at.line) && at.column > 0, "{finding}\n{text}");
            assert_eq!(finding.to_string().lines().count(), 1);
        }
        if read.is_complete() { parsed += 1 } else { refused += 1 }
    }
    assert!(parsed > 300 && refused > 300, "{parsed} parsed, {refused} refused");
}

/// `cargo test --release -p ingressctl --lib hundred_thousand -- --ignored --nocapture`
#[test]
#[ignore = "a measurement: run it alone, in release"]
fn hundred_thousand_paths() {
    let mut text = String::from(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: x\nspec:\n  rules:\n  - http:\n      paths:\n",
    );
    for path in 0..100_000 {
        writeln!(text, "      - path: /some/path/number/{path}\n        pathType: Prefix\n        backend:\n          service:\n            name: svc-{}\n            port:\n              number: 8000", path % 100).unwrap();
    }
    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let lines =
            status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
        lines
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join(", ")
    };
    println!("{} MiB of text; {}", text.len() >> 20, memory());
    for _ in 0..5 {
        let start = std::time::Instant::now();
        let read = crate::manifest::read_text("f", &text);
        println!("read in {:?}; {}", start.elapsed(), memory());
        assert_eq!((read.objects.len(), read.failures.len()), (1, 0));
        let start = std::time::Instant::now();
        drop(read);
        println!("dropped in {:?}", start.elapsed());
    }
}
