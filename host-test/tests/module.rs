//! The compiled module: what it lists, and that it does the same however it was compiled.

mod common;

use common::{callback, module, text};
use host_test::{Module, Optimization, Plugin};

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
