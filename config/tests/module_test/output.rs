//! The forms of the results, and the options.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::{run_with, with_probe};

const CASES: &str = "
tests:
- name: passes
  request: {path: /}
  expect: {outcome: continue}
- name: fails <once>
  request: {path: /}
  expect:
    status: 201
";

const FAILURE: &str = "\
FAIL cases.yaml:6: fails <once>
       expect.status (cases.yaml:9)
         - expected: 201
         + got:      200
       log:
         info: started
         warn: request seen
1 passed, 1 failed
";

#[test]
fn text_shows_what_failed() {
    run_with(CASES, &[]).expect(1, FAILURE, "");
    let details = run_with(CASES, &["--details"]).stdout;
    assert_eq!(details, format!("ok   cases.yaml:3: passes\n{FAILURE}"));
}

#[test]
fn json_has_every_case() {
    let output = run_with(CASES, &["-o", "json"]);
    assert_eq!(output.code, Some(1));
    let results: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((&results["passed"], &results["failed"]), (&1.into(), &1.into()));
    let failed = &results["tests"][1];
    assert_eq!(failed["name"], "fails <once>");
    assert_eq!(failed["line"], 6);
    assert_eq!(failed["failures"][0]["got"], "200");
    assert_eq!(failed["log"][1], "warn: request seen");
    let callbacks = failed["callbacks"].as_array().expect("callbacks");
    let sum: u64 = callbacks.iter().filter_map(|callback| callback["fuel"].as_u64()).sum();
    assert_eq!(failed["fuel"], sum);
    assert!(sum > 0);
}

#[test]
fn junit_is_written_and_printed() {
    let printed = run_with(CASES, &["-o", "junit"]).stdout;
    let sandbox = with_probe();
    sandbox.write("cases.yaml", CASES);
    let arguments = ["module", "test", "probe.wasm", "cases.yaml", "--junit", "out.xml"];
    sandbox.run(&arguments).expect(1, FAILURE, "");
    let written = std::fs::read_to_string(sandbox.path("out.xml")).expect("the file");
    for xml in [printed, written] {
        let (mut names, mut failures) = (Vec::new(), 0);
        let mut reader = Reader::from_str(&xml);
        loop {
            match reader.read_event().expect("valid XML") {
                Event::Eof => break,
                Event::Start(element) | Event::Empty(element) => {
                    failures += usize::from(element.name().as_ref() == "failure");
                    if element.name().as_ref() == "testcase" {
                        let name = element.try_get_attribute("name").expect("valid").expect("one");
                        let version = quick_xml::XmlVersion::Implicit1_0;
                        names.push(name.normalized_value(version).expect("text").into_owned());
                    }
                }
                _ => {}
            }
        }
        assert_eq!((names, failures), (vec!["passes".into(), "fails <once>".into()], 1));
        assert!(xml.contains("expect.status: expected 201, got 200"), "{xml}");
    }
}

#[test]
fn a_filter_selects_by_name() {
    run_with(CASES, &["--filter", "^pass"]).expect(0, "1 passed, 0 failed\n", "");
    let message = "ingressctl: no cases were run: no name matches --filter nothing\n";
    run_with(CASES, &["--filter", "nothing"]).expect(1, "", message);
}

#[test]
fn fuel_is_printed_and_limited() {
    let passes = &["--filter", "pass", "--fuel"];
    let output = run_with(CASES, passes);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let fuel = output.stdout.lines().find_map(|line| line.trim().strip_prefix("fuel: "));
    let fuel: u64 = fuel.expect("the fuel").parse().expect("a number");
    assert!(output.stdout.contains(" proxy_on_request_headers "), "{}", output.stdout);
    // Always the same.
    assert_eq!(run_with(CASES, passes).stdout, output.stdout);

    let enough = fuel.to_string();
    run_with(CASES, &["--filter", "pass", "--fuel-budget", &enough]).expect(
        0,
        "1 passed, 0 failed\n",
        "",
    );
    let too_little = (fuel - 1).to_string();
    let output = run_with(CASES, &["--filter", "pass", "--fuel-budget", &too_little]);
    assert_eq!(output.code, Some(1));
    let difference = format!("- expected: at most {too_little}\n         + got:      {fuel}\n");
    assert!(output.stdout.contains(&difference), "{}", output.stdout);
}

#[test]
fn a_configuration_for_all_cases() {
    let sandbox = with_probe();
    sandbox.write(
        "cases.yaml",
        "
tests:
- {name: its own, configuration: good, request: {}, expect: {outcome: continue}}
- {name: the common one, request: {}, expect: {outcome: continue}}
",
    );
    sandbox.write("bad.txt", "bad");
    let output =
        sandbox.run(&["module", "test", "probe.wasm", "cases.yaml", "--config", "bad.txt"]);
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("FAIL cases.yaml:4: the common one\n"), "{}", output.stdout);
    assert!(output.stdout.ends_with("1 passed, 1 failed\n"), "{}", output.stdout);
}
