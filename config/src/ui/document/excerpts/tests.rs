use std::fs;

use super::*;
use crate::finding::Code;

/// A part of a key that is too short to look like one.
const SHORT: &str = "c2hvcnQ=";

const INGRESS: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\n";

/// The shown lines for a finding at column 4 of a line.
fn shown(text: &str, line: u32) -> Vec<(u32, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().into();
    let finding = Finding::new(Code::NoTests, "m").at(Location { file, line, column: 4 });
    let lines = excerpt(&finding, &mut Sources::default()).into_iter();
    lines.map(|line| (line.number, line.parts)).collect()
}

/// The numbers of all lines that findings can show.
fn open(text: &str) -> Vec<u32> {
    let all = 1..=u32::try_from(text.lines().count()).unwrap();
    all.filter(|number| shown(text, *number).iter().any(|(shown, _)| shown == number)).collect()
}

#[test]
fn the_position_is_marked_between_its_neighbours() {
    let text = "one\ntwo\na: word b\nfour\nfive\nsix\n";
    let [before, after] =
        [(1, "one"), (4, "four")].map(|(number, line)| (number, vec![line.to_owned()]));
    let lines = shown(text, 3);
    assert_eq!((&lines[0], &lines[3], lines.len()), (&before, &after, 5));
    assert_eq!(lines[2], (3, ["a: ", "word", " b"].map(str::to_owned).into()));
    assert_eq!(shown("1\n2\n\n", 3)[2].1.len(), 3);
}

#[test]
fn no_line_has_a_key() {
    let key = "k".repeat(MAX_BASE64 + 1);
    assert_eq!(open(&format!("{INGRESS}spec: {{}}\n# {key}")), [1, 2, 3, 4]);
    assert_eq!(open("\n-----BEGIN PRIVATE KEY-----\na: word\n"), [1, 3]);
}

#[test]
fn no_line_is_of_a_secret() {
    let field = format!("data: {{tls.key: {SHORT}}}");
    for (text, lines) in [
        (format!("kind: Secret\n{field}\n"), &[1][..]),
        (format!("kind: \"Secret\"\n{field}\n"), &[1]),
        (format!("kind: 'Secret'\n{field}\n"), &[1]),
        (format!("kind: \"\\x53ecret\"\n\"\\x64ata\": {{tls.key: {SHORT}}}\n"), &[1]),
        (format!("kind : Secret\n{field}\n"), &[1]),
        (format!("\"kind\": Secret\n{field}\n"), &[1]),
        (format!("? kind\n: Secret\n{field}\n"), &[1, 2]),
        (format!("kind: secret\n{field}\n"), &[1]),
        (format!("kind: Secert\ndta: {{tls.key: {SHORT}}}\n"), &[1]),
        (format!("kind: SealedThing\nspec: {{tls.key: {SHORT}}}\n"), &[1]),
        (format!("kind: Secret\nstringData:\n  tls.key: |\n    a\n\n    {SHORT}\n"), &[1]),
        (format!("kind: Secret\nmetadata:\n  annotations: {{a: '{SHORT}'}}\n"), &[1]),
        (format!("{field}\napiVersion: v1\nkind: Secret\n"), &[2, 3]),
        (format!("{{kind: Secret, {field}}}"), &[]),
        (format!("{{\n\"kind\": \"Secret\",\n\"data\": {{\"tls.key\":\n\"{SHORT}\"}}}}"), &[1, 2]),
        // With another kind, or none.
        (format!("{INGRESS}{field}\n"), &[1, 2, 3]),
        (format!("apiVersion: v1\n{field}\n"), &[1]),
        (format!("kind: 5\n{field}\n"), &[1]),
        // Where no object is expected.
        (format!("apiVersion: v1\nitems:\n- kind: Secret\n  {field}\n"), &[1, 2, 3]),
        (format!("kind: List\nitem:\n- kind: Secret\n  {field}\n"), &[1, 2, 3]),
        (format!("kind: List\nitems:\n  kind: Secret\n  {field}\n"), &[1, 2, 3]),
        (format!("{INGRESS}spec:\n- {field}\n"), &[1, 2, 3, 4]),
        (format!("{INGRESS}spec:\n  kind: secret\n  a: {SHORT}\n"), &[1, 2, 3, 4, 5]),
        // Merged, and by an alias.
        (format!("kind: Secret\n<<:\n  {field}\n"), &[1, 2]),
        (format!("kind: Secret\na: &a\n  b: {SHORT}\ndata: *a\n"), &[1]),
        // Old line breaks.
        (format!("kind: Secret\r{field}\rkind: Secret\n"), &[]),
        // Not needed at the moment.
        (format!("# kind: Secret\n# {field}\n---\n{INGRESS}"), &[3, 4, 5, 6]),
    ] {
        assert_eq!(open(&text), lines, "{text}");
        for line in 1..=9 {
            let shown = format!("{:?}", shown(&text, line));
            assert!(!shown.contains(SHORT), "line {line}: {text}");
        }
    }
}

#[test]
fn the_neighbours_of_a_secret_are_shown() {
    let secret = format!("kind: Secret\ndata:\n  tls.key: {SHORT}\n");
    let two = format!("{secret}---\n{INGRESS}---\n{secret}");
    assert_eq!(open(&two), [1, 4, 5, 6, 7, 8, 9]);
    let list = format!(
        "kind: List\nitems:\n- kind: Ingress\n  metadata: {{name: a}}\n- kind: Secret\n  data:\n    \
         tls.key: {SHORT}\n- kind: Ingress\n  metadata: {{name: b}}\n"
    );
    assert_eq!(open(&list), [1, 2, 3, 4, 5, 8, 9]);
    let of_kind = format!("kind: SecretList\nitems:\n- metadata: {{name: a}}\n  type: {SHORT}\n");
    assert_eq!(open(&of_kind), [1, 2]);
    let one_line =
        format!("{{kind: List, items: [{{kind: Secret, a: {SHORT}}}, {{kind: Ingress}}]}}");
    assert_eq!(open(&one_line), [0; 0]);
    let json =
        format!("{{\"kind\":\"Secret\",\"data\":\"{SHORT}\"}}{{\"kind\":\"Ingress\"}}\n{{}}");
    assert_eq!(open(&json), [2]);
}

#[test]
fn a_document_that_does_not_parse_may_have_a_secret() {
    let broken = format!("kind: Secret\ndata: {{tls.key: {SHORT}\n---\n{INGRESS}spec: [\n");
    assert_eq!(open(&broken), [3, 4, 5, 6, 7]);
    let escaped = format!("kind: \"\\x53ecret\"\ndata: {{tls.key: {SHORT}\n");
    assert_eq!(open(&escaped), [0; 0]);
    assert_eq!(open(&format!("{INGRESS}spec: {{tls: [{{secretName: a}}\n")), [1, 2, 3, 4]);
}
