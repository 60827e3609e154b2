//! Cases of `ingressctl module test` that expect what a real Envoy did with the same requests pass.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use ingress_tests::{Answer, Echo, Echoed, answering, ingressctl, module_envoy, raw, workspace};
use tempfile::TempDir;

/// A filter that does what a header of the request asks for.
fn probe() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = workspace().join("config/tests/module_test/probe.wat");
    let wasm = wat::parse_file(text).expect("a module");
    let path = folder.path().join("probe.wasm");
    fs::write(&path, wasm).expect("a file");
    let path = path.to_string_lossy().into_owned();
    (folder, path)
}

/// A request with this header, through a real Envoy in which the cluster `auth` is this server.
fn in_envoy(module: &str, header: &str, auth: SocketAddr) -> Answer {
    let echo = Echo::start();
    let upstream = ([127, 0, 0, 1], echo.port).into();
    let clusters = [("upstream", upstream), ("auth", auth)];
    let (envoy, _folder) = module_envoy(Path::new(module), "", &clusters);
    let request =
        format!("GET /x?y HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n{header}\r\n\r\n");
    raw(envoy.http, request.as_bytes())
}

/// A case that expects what Envoy did.
fn case(name: &str, header: &str, auth_status: u16, answer: &Answer) -> String {
    let echoed = Echoed::of(answer);
    let reply = echoed.is_none();
    let mut case = format!(
        "- name: {name}
  callouts: [{{cluster: auth, path: /check, respond: {{status: {auth_status}}}}}]
  request: {{path: /x?y, authority: a.example, headers: {{{header}}}}}
  expect:
    status: {}
    local_reply: {reply}
    outcome: {}
    response_headers: {{x-from: {}}}\n",
        answer.status,
        if reply { "local_reply" } else { "continue" },
        answer.header("x-from").expect("the filter's header"),
    );
    match echoed {
        None => {
            let _ = writeln!(case, "    response_body: {}", answer.body);
        }
        Some(echoed) => {
            case += "    request_headers:\n";
            for name in ["x-added", "x-secret", "x-call"] {
                let value = echoed.headers.iter().find(|(known, _)| known == name);
                let value = value.map_or("null".to_owned(), |(_, value)| format!("\"{value}\""));
                let _ = writeln!(case, "      {name}: {value}");
            }
        }
    }
    case
}

fn run(module: &str, cases: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cases.yaml");
    fs::write(&path, cases).expect("a file");
    let output = Command::new(ingressctl()).args(["module", "test", module]).arg(path).output();
    let output = output.expect("ingressctl runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn what_envoy_did_is_what_happens() {
    let (_folder, module) = probe();
    let mut cases = "tests:\n".to_owned();
    for (name, header, auth_status) in [
        ("forwarded", "x-plain: 1", 200),
        ("without a secret", "x-secret: s", 200),
        ("denied", "x-deny: 1", 200),
        ("allowed by a callout", "x-call: 1", 200),
        ("denied by a callout", "x-call: 1", 403),
    ] {
        let auth = answering(format!("HTTP/1.1 {auth_status} X\r\ncontent-length: 0\r\n\r\n"));
        let answer = in_envoy(&module, header, auth);
        cases += &case(name, header, auth_status, &answer);
    }
    let (code, text) = run(&module, &cases);
    assert_eq!((code, &*text), (Some(0), "5 passed, 0 failed\n"), "{cases}");
    for status in [200, 401, 403] {
        assert!(cases.contains(&format!("    status: {status}\n")), "{cases}");
    }
    // What Envoy did not do is a failure.
    let (code, text) = run(&module, &cases.replace("status: 401", "status: 403"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("4 passed, 1 failed"), "{text}");
}
