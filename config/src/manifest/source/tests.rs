use std::io::empty;

use super::*;

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\n";

fn pod(name: &str) -> String {
    POD.replace("NAME", name)
}

fn lines(manifests: &Manifests) -> Vec<String> {
    manifests.findings.clone().into_iter().map(|finding| finding.to_string()).collect()
}

fn names(manifests: &Manifests) -> Vec<&str> {
    manifests.objects.iter().map(|object| &*object.name).collect()
}

fn read_bytes(bytes: &[u8]) -> Manifests {
    let mut stream = bytes;
    read(&[PathSpec::Stdin], &mut stream)
}

#[test]
fn reads_a_folder_in_order_and_only_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for name in [
        "b.yaml",
        "a.yml",
        "c.json",
        ".hidden.yaml",
        "#b.yaml",
        "~b.yaml",
        "b.yaml~",
        "b.yaml.bak",
        "README",
        ".yaml",
    ] {
        fs::write(path.join(name), pod(&name.to_lowercase())).unwrap();
    }
    fs::write(path.join("d.yaml"), "# nothing yet\n").unwrap();
    fs::create_dir(path.join("sub.yaml")).unwrap();
    fs::write(path.join("sub.yaml/e.yaml"), pod("sub")).unwrap();
    let manifests = read(&[PathSpec::from(path.to_owned())], &mut empty());
    assert_eq!(names(&manifests), ["a.yml", "b.yaml", "c.json"]);
    assert_eq!(lines(&manifests), Vec::<String>::new());
    let files: Vec<_> =
        ["a.yml", "b.yaml", "c.json", "d.yaml"].iter().map(|name| path.join(name)).collect();
    assert_eq!((manifests.files, manifests.folders), (files, vec![path.to_owned()]));
}

#[test]
fn reads_every_path_once_and_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any-name");
    fs::write(&path, pod("file")).unwrap();
    let paths = ["-", path.to_str().unwrap(), "-", path.to_str().unwrap()]
        .map(|path| path.parse().unwrap());
    let text = pod("stdin");
    let manifests = read(&paths, &mut text.as_bytes());
    assert_eq!(names(&manifests), ["stdin", "file"]);
    let file = manifests.objects[0].file.as_deref();
    assert_eq!((file, manifests.files), (Some("<stdin>"), vec![path]));
}

#[test]
fn says_which_path_is_not_there_and_that_reading_failed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing.yaml");
    let manifests = read(&[PathSpec::from(path.clone())], &mut empty());
    let want = format!(
        "{}:1:1: error: does not exist; correct the path, or create the file [file-not-found]",
        path.display()
    );
    assert_eq!(lines(&manifests), [want]);
    assert!(matches!(manifests.failures[..], [ReadFailure::Missing { .. }]));
    assert!(!manifests.is_complete());
    assert_eq!(manifests.files, [path]);
}

#[test]
#[cfg(unix)]
fn a_broken_link_in_a_folder_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("a.yaml")).unwrap();
    let manifests = read(&[PathSpec::from(folder.path().to_owned())], &mut empty());
    assert_eq!((manifests.failures.len(), manifests.findings.len()), (1, 1));
}

#[test]
fn warns_of_what_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = read(&[PathSpec::from(folder.path().to_owned())], &mut empty());
    let want = format!("{}:1:1: warning: has no manifests", folder.path().display());
    assert!(lines(&manifests)[0].starts_with(&want));
    assert!(manifests.is_complete());
    for text in ["", "\n", "# c\n---\n---\n"] {
        let manifests = read_bytes(text.as_bytes());
        assert!(lines(&manifests)[0].starts_with("<stdin>:1:1: warning: has no Kubernetes object"));
    }
}

#[test]
fn a_document_that_does_not_parse_costs_only_itself() {
    let text = format!("{}---\na: [\n---\n{}---\nb: \"\n--- # c\n{}", pod("a"), pod("b"), pod("c"));
    let manifests = read_bytes(text.as_bytes());
    assert_eq!(names(&manifests), ["a", "b", "c"]);
    assert!(matches!(
        manifests.failures[..],
        [ReadFailure::Syntax { .. }, ReadFailure::Syntax { .. }]
    ));
    let places: Vec<_> = manifests.failures.iter().map(|failure| failure.location().line).collect();
    assert_eq!(places, [5, 11]);
    assert_eq!(manifests.objects[2].node.at, Position { line: 13, column: 1 });
}

#[test]
fn says_where_a_file_is_not_utf8() {
    let cases: [(&[u8], (u32, u32)); 5] = [
        (b"\xff\xfea\0", (1, 1)),
        (b"a: b\nc: \xc3\xa9\xc3(", (2, 5)),
        (b"a: b\r\n\r\nc: \xed\xa0\x80", (3, 4)),
        (b"a\r\xff", (2, 1)),
        (b"a: \xc3", (1, 4)),
    ];
    for (bytes, (line, column)) in cases {
        let manifests = read_bytes(bytes);
        let want = format!(
            "<stdin>:{line}:{column}: error: is not UTF-8 from here on; save the file as UTF-8 [file-not-utf8]"
        );
        assert_eq!(lines(&manifests), [want], "{bytes:?}");
        assert!(matches!(manifests.failures[..], [ReadFailure::NotUtf8 { .. }]));
    }
}

#[test]
fn refuses_a_file_that_is_too_large_without_reading_all_of_it() {
    let mut endless = io::repeat(b'\n');
    let manifests = read(&[PathSpec::Stdin], &mut endless);
    assert_eq!(
        lines(&manifests),
        ["<stdin>:1:1: error: is larger than 64 MiB; split it into several files [file-too-large]"]
    );
    assert!(!manifests.is_complete());
}

#[test]
fn gives_up_on_a_file_that_is_no_manifest() {
    let manifests = read_bytes("---\n[\n".repeat(10_000).as_bytes());
    assert_eq!(manifests.failures.len(), MAX_FAILURES_PER_FILE + 1);
    assert_eq!(manifests.findings.len(), MAX_FAILURES_PER_FILE + 1);
    let manifests = read_bytes("---\ntext\n".repeat(10_000).as_bytes());
    assert!(manifests.findings.len() <= MAX_FINDINGS_PER_FILE + 1);
    assert!(matches!(manifests.failures[..], [ReadFailure::TooManyErrors { .. }]));
}

#[test]
fn a_stream_that_breaks_is_a_failure() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("cut off"))
        }
    }
    let manifests = read(&[PathSpec::Stdin], &mut Broken);
    assert!(lines(&manifests)[0].starts_with("<stdin>:1:1: error: cannot be read (cut off)"));
    assert!(!manifests.is_complete());
}

#[test]
fn files_that_are_as_they_were_are_not_parsed_again() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let object =
        |name: &str| format!("{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}}}");
    let mut cache = ReadCache::default();
    let mut read =
        || read_again(&[PathSpec::from(folder.path().to_owned())], &mut io::empty(), &mut cache);
    write("a.yaml", &object("a"));
    write("b.yaml", &format!("{}\n---\n{{kind: Pod}}", object("b")));
    let first = read();
    assert_eq!((first.objects.len(), first.findings.len()), (2, 1));

    write("a.yaml", &object("other"));
    let second = read();
    assert_eq!(&*second.objects[0].name, "other");
    assert!(
        Arc::ptr_eq(&second.objects[1], &first.objects[1]),
        "an unchanged file is not parsed again"
    );
    assert_eq!(second.findings.len(), 1, "reported again");

    write("a.yaml", "{");
    let broken = read();
    assert_eq!((broken.objects.len(), broken.failures.len()), (1, 1));
    assert_eq!(read().failures.len(), 1, "reported again");
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    assert_eq!(read().objects.len(), 1);
    write("a.yaml", &object("other"));
    assert_eq!(&*read().objects[0].name, "other");
}

#[test]
fn reads_json_documents_in_a_row() {
    let pod = |name: &str| {
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":{name}}}}}")
    };
    let text = format!("{}{}\n\n{}\n{{]", pod("\"a\""), pod("5"), pod("\"b\""));
    let manifests = read_bytes(text.as_bytes());
    assert_eq!(names(&manifests), ["a", "b"]);
    let lines = lines(&manifests);
    assert!(lines[0].starts_with("<stdin>:1:108: error: Pod: metadata.name: "), "{lines:?}");
    assert!(lines[1].starts_with("<stdin>:4:1: error: is not valid YAML"), "{lines:?}");
}
