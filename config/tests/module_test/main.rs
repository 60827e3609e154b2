//! `ingressctl module test`: modules and cases in, results and the exit code out.

mod expectations;
mod files;
mod output;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod suites;

use sandbox::{Output, Sandbox};

/// A sandbox with `probe.wasm`, a filter that does what a header of the request asks for.
fn with_probe() -> Sandbox {
    let sandbox = Sandbox::new(&[]);
    let wasm = wat::parse_str(include_str!("probe.wat")).expect("a module");
    std::fs::write(sandbox.path("probe.wasm"), wasm).expect("write the module");
    sandbox
}

/// The result of these cases for the probe.
fn run(cases: &str) -> Output {
    run_with(cases, &[])
}

fn run_with(cases: &str, arguments: &[&str]) -> Output {
    let sandbox = with_probe();
    sandbox.write("cases.yaml", cases);
    let mut all = vec!["module", "test", "probe.wasm", "cases.yaml"];
    all.extend(arguments);
    sandbox.run(&all)
}
