//! Data flows in one direction through the modules of `config/src`, as
//! ARCHITECTURE.md describes: a module imports only modules that are earlier in the
//! order.
//!
//! A module here is a top-level module, with everything below it. An import is a
//! path into another module: in a `use`, in code, or in a macro. Comments and
//! strings are ignored.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// All modules, in the direction in which data flows.
const ORDER: [&str; 40] = [
    // Shared by all others.
    "object_ref",
    "finding",
    "digest",
    "budget",
    "files",
    "signals",
    "off_worker",
    "cache",
    "envoy_binary",
    "offline_module",
    // From manifests to the desired state of the gateway.
    "kinds",
    "manifest",
    "objects",
    "settings",
    "certificates",
    "selection",
    "model",
    "rbac",
    "compile",
    // From the desired state to a running Envoy.
    "envoy",
    "xds",
    "rollout",
    "isolation",
    "monitoring",
    "serve",
    "cluster",
    "controller",
    // The same without an Envoy.
    "explain",
    "testing",
    "route_test",
    // Any Wasm module, without an Envoy.
    "module_test",
    "inspection",
    // Used by fuzz targets only.
    "fuzzing",
    // The command line.
    "oci",
    "module_image",
    "version",
    "upstream",
    "ui",
    "commands",
    "cli",
];

/// Imports that the order allows, but the design does not.
const NEVER: [(&str, &[&str]); 5] = [
    ("model", &["manifest", "objects"]),
    ("envoy", &["compile"]),
    ("xds", &["compile"]),
    ("rollout", &["compile"]),
    ("explain", &["serve", "controller", "rollout", "xds"]),
];

/// A path into a module.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    line: usize,
    room: String,
}

#[test]
fn rooms_import_only_rooms_to_their_left() {
    let source = Path::new("src");
    let problems: Vec<String> = files_below(source)
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            check(file.strip_prefix(source).unwrap(), &text)
        })
        .collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn the_order_names_the_rooms_that_exist() {
    let files = files_below(Path::new("src"));
    let mut rooms: Vec<_> =
        files.iter().map(|file| room(file.strip_prefix("src").unwrap())).collect();
    rooms.sort();
    rooms.dedup();
    rooms.retain(|room| !matches!(&**room, "lib" | "main"));
    let mut order = ORDER.to_vec();
    order.sort_unstable();
    assert_eq!(rooms, order);
}

/// The problems with the imports of one file, whose path is relative to `src`.
fn check(file: &Path, text: &str) -> Vec<String> {
    let from = room(file);
    if matches!(&*from, "lib" | "main") {
        return Vec::new();
    }
    let position = |room: &str| ORDER.iter().position(|known| *known == room);
    let never = NEVER.iter().filter(|(room, _)| *room == from).flat_map(|(_, never)| *never);
    let never: Vec<_> = never.copied().collect();
    let problem = |Import { line, room }: Import| {
        let is_forbidden = never.contains(&&*room);
        let remedy = if position(&room).is_none() {
            "which is not in ORDER; add it in config/tests/rooms.rs".to_owned()
        } else if is_forbidden {
            format!("which the design forbids; pass in the values that `{from}` needs")
        } else if position(&room) > position(&from) {
            format!(
                "which is later in ORDER; move the shared code to a module before `{from}`, or pass it in"
            )
        } else {
            return None;
        };
        Some(format!("config/src/{}:{line}: `{from}` imports `{room}`, {remedy}", file.display()))
    };
    imports(file, text)
        .into_iter()
        .filter(|import| import.room != from)
        .filter_map(problem)
        .collect()
}

fn room(file: &Path) -> String {
    let first = file.iter().next().unwrap();
    Path::new(first).file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The Rust files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// The paths from the module of a file to the root of the crate.
fn imports(file: &Path, text: &str) -> Vec<Import> {
    // `a.rs` and `a/mod.rs` are one level below the root, `a/b.rs` is two levels
    // below.
    let depth = match room(file).as_str() {
        "lib" | "main" => 0,
        _ => file.iter().count(),
    };
    let tokens = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut found = Vec::new();
    collect(tokens, depth, &mut found);
    found
}

/// Finds `crate::module`, and `super::module` with as many `super` as lead to the
/// root, in a module `depth` levels below it.
fn collect(tokens: TokenStream, depth: usize, found: &mut Vec<Import>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut rest = &tokens[..];
    let mut is_module = false;
    while let [token, after @ ..] = rest {
        rest = after;
        match token {
            TokenTree::Ident(name) if name == "crate" => path_from_root(rest, found),
            TokenTree::Ident(name) if name == "super" => {
                let mut supers = 1;
                while let [_, _, TokenTree::Ident(next), after @ ..] = rest
                    && next == "super"
                {
                    supers += 1;
                    rest = after;
                }
                if supers == depth {
                    path_from_root(rest, found);
                }
            }
            TokenTree::Group(group) => {
                let is_body = is_module && group.delimiter() == Delimiter::Brace;
                collect(group.stream(), depth + usize::from(is_body), found);
                is_module = false;
            }
            TokenTree::Ident(name) if name == "mod" => is_module = true,
            TokenTree::Punct(punct) if punct.as_char() == ';' => is_module = false,
            _ => {}
        }
    }
}

/// The path after the root of the crate: `::module`, `::{module, module::Item}` or
/// `::*`.
fn path_from_root(rest: &[TokenTree], found: &mut Vec<Import>) {
    let [TokenTree::Punct(colon), TokenTree::Punct(_), next, ..] = rest else { return };
    // For example `pub(crate) fn`.
    if colon.as_char() != ':' {
        return;
    }
    match next {
        TokenTree::Group(group) => {
            let parts: Vec<_> = group.stream().into_iter().collect();
            for part in
                parts.split(|part| matches!(part, TokenTree::Punct(p) if p.as_char() == ','))
            {
                found.extend(part.first().and_then(named));
            }
        }
        next => found.extend(named(next)),
    }
}

/// Items of the root, such as constants, may be used anywhere.
fn named(token: &TokenTree) -> Option<Import> {
    let room = token.to_string();
    let is_item = room.starts_with(|first: char| first.is_ascii_uppercase());
    (!is_item).then(|| Import { line: token.span().start().line, room })
}

#[test]
fn every_way_to_import_is_found() {
    let text = r#"
        //! crate::cli is only mentioned.
        use crate::finding::{Finding, quote};
        use crate::{model, xds::Server as Other};
        use super::super::envoy;
        use super::sibling;
        /* crate::cli */
        pub(crate) fn text() -> &'static str {
            println!("{}", crate::digest::of("crate::cli"));
            crate::MODULE
        }
        mod tests {
            use super::super::super::rollout;
            use super::super::sibling;
            use crate::*;
        }
    "#;
    let imports = imports(Path::new("a/b.rs"), text);
    let found: Vec<_> = imports.iter().map(|import| (import.line, &*import.room)).collect();
    let expected = [
        (3, "finding"),
        (4, "model"),
        (4, "xds"),
        (5, "envoy"),
        (9, "digest"),
        (13, "rollout"),
        (15, "*"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_wrong_import_is_named_with_what_to_do() {
    let problems = |file: &str, text| check(Path::new(file), text);
    assert!(problems("compile.rs", "use crate::{model::Gateway, compile::routes};").is_empty());
    assert!(problems("lib.rs", "use crate::cli::Cli;").is_empty());
    for (file, text, expected) in [
        (
            "digest.rs",
            "\nuse crate::envoy::Layout;",
            "config/src/digest.rs:2: `digest` imports `envoy`, which is later in ORDER; \
             move the shared code to a module before `digest`, or pass it in",
        ),
        (
            "rbac/secrets.rs",
            "use super::super::compile;",
            "config/src/rbac/secrets.rs:1: `rbac` imports `compile`, which is later in ORDER; \
             move the shared code to a module before `rbac`, or pass it in",
        ),
        (
            "envoy/render.rs",
            "fn f() { crate::compile::compile() }",
            "config/src/envoy/render.rs:1: `envoy` imports `compile`, which the design forbids; \
             pass in the values that `envoy` needs",
        ),
        (
            "cli.rs",
            "use crate::attic::Thing;",
            "config/src/cli.rs:1: `cli` imports `attic`, which is not in ORDER; add it in \
             config/tests/rooms.rs",
        ),
    ] {
        assert_eq!(problems(file, text), [expected]);
    }
}

#[test]
fn what_the_design_forbids_fails() {
    for (from, never) in [
        ("rbac", &["compile"][..]),
        ("model", &["manifest", "objects", "envoy"]),
        ("envoy", &["compile"]),
        ("xds", &["compile"]),
        ("rollout", &["compile"]),
    ] {
        for room in never {
            let problems = check(Path::new(&format!("{from}.rs")), &format!("use crate::{room};"));
            assert_eq!(problems.len(), 1, "{from} may not import {room}");
        }
    }
}
