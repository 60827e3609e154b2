//! The compiled module: its imports and exports, and the same result for each optimization.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{callback, module, text};
use proxy_wasm_test::{ErrorKind, Module, Optimization, Plugin};

const GET: [(&str, &str); 1] = [(":path", "/")];
const OK: [(&str, &str); 1] = [(":status", "200")];

#[test]
fn optimized_code_does_the_same() {
    let wasm = wat::parse_str(text(&callback(
        "request_headers",
        "(drop (call $proxy_add_header_map_value (i32.const 0) 'x' '1'))",
    )))
    .expect("valid text");
    let run = |optimization| {
        let module = Module::with_optimization(&wasm, optimization).expect("a module");
        Plugin::new(&module).and_then(|plugin| plugin.run(GET, OK)).expect("no failure")
    };
    assert_eq!(run(Optimization::None), run(Optimization::Speed));
}

#[test]
fn imports_and_exports_are_listed() {
    let module = module(&callback("tick", ""));
    let imports: Vec<_> =
        module.imports().into_iter().map(|import| (import.module, import.name)).collect();
    assert_eq!(imports, [("env".to_owned(), "proxy_log".to_owned())]);
    assert!(module.exports().contains(&"proxy_on_tick".to_owned()));
}

/// The files of compiled code below a folder.
fn kept(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.append(&mut kept(&path));
        } else if path.metadata().is_ok_and(|file| file.len() > 1_000) {
            files.insert(path);
        }
    }
    files
}

#[test]
fn code_is_kept_in_the_folder_and_taken_from_there() {
    let wasm = |name| wat::parse_str(text(&callback(name, ""))).expect("valid text");
    let folder = tempfile::tempdir().expect("a folder");
    let exports = |wasm: &[u8]| Module::cached(wasm, folder.path()).expect("a module").exports();
    let (ticks, logs) = (wasm("tick"), wasm("log"));
    assert!(exports(&ticks).contains(&"proxy_on_tick".to_owned()));
    let of_ticks = kept(folder.path()).pop_first().expect("a file");
    assert!(exports(&logs).contains(&"proxy_on_log".to_owned()));
    let of_logs = kept(folder.path()).into_iter().find(|file| *file != of_ticks).expect("another");

    fs::copy(&of_logs, &of_ticks).expect("a copy");
    assert!(exports(&ticks).contains(&"proxy_on_log".to_owned()), "it is not compiled again");
    fs::write(&of_ticks, "something else").expect("a broken file");
    assert!(exports(&ticks).contains(&"proxy_on_tick".to_owned()), "it is compiled again");
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error() {
    let wasm = wat::parse_str(text("")).expect("valid text");
    for folder in ["not/absolute", "/dev/null/folder"] {
        let error = Module::cached(&wasm, folder).err().expect("an error");
        assert!(matches!(error.kind(), ErrorKind::Cache { .. }), "{error}");
    }
}

/// The environment variable that makes a run of this binary the child of the next test.
const CHILD: &str = "PROXY_WASM_TEST_CHILD";

/// A module that is large enough to be cached.
fn large() -> Vec<u8> {
    let function = |number: u32| {
        let add = format!("(i32.add (i32.const {number}) (i32.const 1))");
        format!("(func (export \"f{number}\") (result i32) {add})")
    };
    let functions = (0..8_000).map(function).collect::<Vec<_>>().concat();
    wat::parse_str(common::text(&functions)).expect("valid text")
}

#[test]
fn the_code_of_large_modules_is_kept_in_the_cache_of_the_user() {
    if std::env::var_os(CHILD).is_some() {
        Module::new(large()).expect("a module");
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let status = std::process::Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "the_code_of_large_modules_is_kept_in_the_cache_of_the_user"])
        .env(CHILD, "1")
        .env("HOME", home.path())
        .env("XDG_CACHE_HOME", home.path())
        .stdout(std::process::Stdio::null())
        .status()
        .expect("a process");
    assert!(status.success());
    let entries = std::fs::read_dir(home.path()).expect("a folder").count();
    assert_eq!(entries, 1, "the folder of the cache");
}

/// An import that Envoy does not have, next to code that does not compile.
#[test]
fn imports_are_checked_before_the_code_is_compiled() {
    let text = common::text("(func (result i32))").replacen(
        "(module",
        "(module (import \"env\" \"proxy_teleport\" (func))",
        1,
    );
    let wasm = wat::parse_str(text).expect("valid text");
    let error = Module::new(wasm).err().expect("an error");
    assert!(matches!(error.kind(), ErrorKind::UnknownImports(_)), "{error}");
    let without = wat::parse_str(common::text("(func (result i32))")).expect("valid text");
    let error = Module::new(without).err().expect("an error");
    assert!(matches!(error.kind(), ErrorKind::Compile { .. }), "{error}");
}
