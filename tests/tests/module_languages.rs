//! Filters in Go, C++ and `AssemblyScript`, built from source: each does the same in the host and in
//! a real Envoy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ingress_tests::{Echo, Echoed, foreign_modules, get, module_envoy};
use proxy_wasm_test::{ErrorKind, Module, Options, Plugin};

fn file(language: &str) -> PathBuf {
    foreign_modules().join(format!("{language}.wasm"))
}

fn started(path: &Path) -> Plugin {
    let module =
        Module::from_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Go's runtime takes a monotonic clock at 0 for a broken one.
    let options = Options::default().fixed_time(Duration::ZERO);
    Plugin::with_options(&module, options).expect("a start")
}

/// The filter puts the path, in upper case, into a header, and logs it.
fn does_the_same_in_envoy(language: &str, name: &str) {
    let path = file(language);
    let plugin = started(&path);
    assert!(plugin.configure("anything").expect("no panic"));
    let request = [(":method", "GET"), (":path", "/some/path"), (":authority", "a.example")];
    let record = plugin.run(request, [(":status", "200")]).expect("no panic");
    let value = format!("{name} /SOME/PATH");
    assert_eq!(record.request.headers.get_str("x-language"), Some(&*value));
    assert!(record.activity.logged(&format!("{name} saw /SOME/PATH")));

    let upstream = Echo::start();
    let upstream = ([127, 0, 0, 1], upstream.port).into();
    let (envoy, _folder) = module_envoy(&path, "anything", &[("upstream", upstream)]);
    let echoed = Echoed::of(&get(envoy.http, "a.example", "/some/path")).expect("the upstream");
    assert!(echoed.headers.contains(&("x-language".into(), value)), "{echoed:?}");
}

/// Without a configuration, it fails with its own words.
fn says_why_it_fails(language: &str) {
    let error = started(&file(language)).configure("").expect_err("a panic");
    assert!(
        matches!(error.kind(), ErrorKind::Trap { callback: "proxy_on_configure", .. }),
        "{error}"
    );
    assert!(error.to_string().contains("the configuration is empty"), "{error}");
}

#[test]
fn go() {
    does_the_same_in_envoy("go", "go");
    says_why_it_fails("go");
}

#[test]
fn cpp() {
    does_the_same_in_envoy("cpp", "c++");
    says_why_it_fails("cpp");
}

#[test]
fn assemblyscript() {
    does_the_same_in_envoy("assemblyscript", "assemblyscript");
    says_why_it_fails("assemblyscript");
}
