//! Runs the inputs that fuzzing has kept as tests. Each covers code that no other
//! input covers, or was once a failure. The fuzzers are in `tests/fuzz`.

mod certificates;

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use ingress_filter::{FlatTable, RouteTable};
use ingress_tests::fuzz::TARGETS;
use ingress_tests::{files_below, workspace};

/// The files of a corpus.
fn corpus(target: &str) -> Vec<PathBuf> {
    files_below(&workspace().join("tests/fuzz/corpus").join(target))
}

#[test]
fn no_input_of_a_corpus_fails() {
    for (target, run) in TARGETS {
        let (mut taken, mut failed) = (0, Vec::new());
        let files = corpus(target);
        for file in &files {
            let input = fs::read(file).expect("an input");
            match catch_unwind(|| run(&input)) {
                Ok(is_taken) => taken += usize::from(is_taken),
                Err(_) => failed.push(file),
            }
        }
        assert!(failed.is_empty(), "{target}: {failed:#?}");
        // If too few are accepted, the corpus may have an outdated form.
        assert!(taken * 10 >= files.len() && taken > 0, "{target}: {taken} of {}", files.len());
        eprintln!("{target}: {} inputs, {taken} accepted", files.len());
    }
}

/// The initial tables for the fuzzer of the flat form are those of the other
/// corpus: `UPDATE_GOLDEN=1` writes them again.
#[test]
fn the_flat_tables_to_begin_with_are_of_this_version() {
    let folder = workspace().join("tests/fuzz/corpus/flat_table");
    let mut seen = 0;
    for file in corpus("json_table") {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        if !name.starts_with("table-") {
            continue;
        }
        let input = fs::read(&file).expect("an input");
        let end = input.windows(2).position(|bytes| bytes == b"\n\n").expect("a request") + 2;
        let table: RouteTable = serde_json::from_slice(&input[end..]).expect(name);
        let flat = FlatTable::encode(&table).expect(name);
        let expected = [&input[..end], flat.bytes()].concat();
        let path = folder.join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(&path, &expected).expect("a file is written");
        }
        let is_same = fs::read(&path).is_ok_and(|found| found == expected);
        assert!(is_same, "{} has an outdated version; run with UPDATE_GOLDEN=1", path.display());
        seen += 1;
    }
    assert!(seen > 0);
}
