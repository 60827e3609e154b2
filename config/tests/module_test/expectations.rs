//! Each kind of expectation, met and not met.

use super::run;

/// A case with this input and expectations passes.
#[track_caller]
fn passes(input: &str, expect: &str) {
    run(&case(input, expect)).expect(0, "1 passed, 0 failed\n", "");
}

/// It fails with exactly these differences, each as `field: expected / got`.
#[track_caller]
fn fails(input: &str, expect: &str, differences: &[&str]) {
    let output = run(&case(input, expect));
    assert_eq!((output.code, &*output.stderr), (Some(1), ""), "{}", output.stdout);
    let mut found = Vec::new();
    let mut lines = output.stdout.lines().peekable();
    assert!(lines.next().expect("a test").starts_with("FAIL cases.yaml:2: a case"));
    while let Some(field) = lines.next_if(|line| line.ends_with(')')) {
        let field = field.trim().split(' ').next().expect("a field");
        let expected = lines.next().expect("expected").trim().trim_start_matches("- expected: ");
        let got = lines.next().expect("got").trim().trim_start_matches("+ got:      ");
        found.push(format!("{field}: {expected} / {got}"));
    }
    assert_eq!(found, differences, "{}", output.stdout);
}

fn case(input: &str, expect: &str) -> String {
    format!("tests:\n- name: a case\n  {}\n  expect: {expect}\n", input.trim())
}

const GET: &str = "request: {path: /}";

#[test]
fn outcomes() {
    for (header, outcome) in
        [("x", "continue"), ("x-pause", "pause"), ("x-deny", "local_reply"), ("x-close", "closed")]
    {
        let input = format!("request: {{headers: {{{header}: 1}}}}");
        passes(&input, &format!("{{outcome: {outcome}}}"));
        let other = if outcome == "pause" { "continue" } else { "pause" };
        fails(
            &input,
            &format!("{{outcome: {other}}}"),
            &[&format!("expect.outcome: {other} / {outcome}")],
        );
    }
    passes(GET, "{response_outcome: continue}");
    fails(
        "request: {headers: {x-pause: 1}}",
        "{response_outcome: continue}",
        &["expect.response_outcome: continue / (none)"],
    );
}

#[test]
fn headers() {
    let input = "request: {headers: {x-secret: s, x-list: [a, b]}, trailers: {x-end: t}}
  response: {status: 204, headers: {x-up: v}, trailers: {x-last: u}}";
    passes(
        input,
        "
    status: 204
    request_headers:
      :method: GET
      :authority: example.com
      X-Added: 'yes'
      x-secret: null
      x-list: [a, b]
      x-other: {present: false}
      x-added: {present: true}
    request_trailers: {x-end: t}
    response_headers: {x-up: {prefix: v}, x-from: {regex: mod.*}, ':status': 204}
    response_trailers: {x-last: {contains: u}}",
    );
    fails(
        input,
        "
    status: 200
    request_headers:
      :method: POST
      x-added: null
      x-secret: s
      x-list: [b, a]
      x-other: {present: true}
    request_trailers: {x-end: {present: false}}
    response_headers: {x-up: {suffix: w}, x-from: {regex: mod}}
    response_trailers: {x-last: {contains: v}}",
        &[
            "expect.status: 200 / 204",
            "expect.request_headers.:method: :method: POST / :method: GET",
            "expect.request_headers.x-added: x-added is absent / x-added: yes",
            "expect.request_headers.x-secret: x-secret: s / x-secret is absent",
            "expect.request_headers.x-list: x-list: [b, a] / x-list: [a, b]",
            "expect.request_headers.x-other: x-other is present / x-other is absent",
            "expect.request_trailers.x-end: x-end is absent / x-end: t",
            "expect.response_headers.x-up: x-up ends with w / x-up: v",
            "expect.response_headers.x-from: x-from matches mod / x-from: module",
            "expect.response_trailers.x-last: x-last contains v / x-last: u",
        ],
    );
}

#[test]
fn bodies() {
    let input = "request: {method: POST, body: [one, two]}
  response: {body: three}";
    passes(input, "{request_body: changed, response_body: {contains: hre}}");
    fails(
        input,
        "{request_body: onetwo, response_body: {regex: t}}",
        &["expect.request_body: onetwo / changed", "expect.response_body: matches t / three"],
    );
}

#[test]
fn local_replies() {
    let input = "request: {headers: {x-deny: 1}}";
    passes(
        input,
        "{status: 403, response_body: go away, local_reply: {status: 403, grpc_status: 7, details: denied, body: go away, headers: {x: null}}}",
    );
    passes(GET, "{local_reply: false}");
    fails(GET, "{local_reply: true}", &["expect.local_reply: a local reply / no local reply"]);
    fails(
        input,
        "{local_reply: {status: 401, grpc_status: 1, details: other, body: {prefix: x}, headers: {x: y}}}",
        &[
            "expect.local_reply.status: 401 / 403",
            "expect.local_reply.grpc_status: 1 / 7",
            "expect.local_reply.details: other / denied",
            "expect.local_reply.body: starts with x / go away",
            "expect.local_reply.headers.x: x: y / x is absent",
        ],
    );
}

#[test]
fn log_lines() {
    passes(GET, "{log: request}");
    passes(
        GET,
        "{log: [started, {level: warn, exact: request seen}, {level: error, absent: true}, {regex: re.*, absent: false}]}",
    );
    fails(
        GET,
        "{log: [tick, {level: error}, {exact: request}, {contains: seen, absent: true}]}",
        &[
            "expect.log[0]: a line that contains tick / info: started | warn: request seen",
            "expect.log[1]: a line of level error / info: started | warn: request seen",
            "expect.log[2]: a line that is request / info: started | warn: request seen",
            "expect.log[3]: no line that contains seen / info: started | warn: request seen",
        ],
    );
    // Below the level, lines are dropped.
    fails(
        "log_level: error\n  request: {path: /}",
        "{log: seen}",
        &["expect.log: a line that contains seen / no log"],
    );
}

#[test]
fn metrics_host_calls_fuel_and_properties() {
    passes(
        GET,
        "{metrics: {requests: 1}, host_calls: {proxy_log: 1, proxy_http_call: 0}, fuel: 1000, properties: {mark: 'yes', other: null}}",
    );
    fails(
        GET,
        "{metrics: {requests: 2, none: 0}, host_calls: {proxy_log: 0}, properties: {mark: 'no'}}",
        &[
            "expect.metrics.requests: 2 / 1",
            "expect.metrics.none: 0 / (none)",
            "expect.host_calls.proxy_log: at most 0 / 1",
            "expect.properties.mark: mark: no / mark: yes",
        ],
    );
    let output = run(&case(GET, "{fuel: 10}"));
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("- expected: at most 10\n"), "{}", output.stdout);
}

#[test]
fn callouts() {
    let call =
        |answer: &str| format!("callouts: [{answer}]\n  request: {{headers: {{x-call: 1}}}}");
    let allowed = call("{cluster: auth, path: /check, respond: {status: 200}}");
    passes(
        &allowed,
        "{outcome: continue, status: 200, callouts: [{cluster: auth, headers: {':path': /check}, body: ''}]}",
    );
    fails(
        &allowed,
        "{outcome: local_reply, callouts: [{cluster: other}]}",
        &[
            "expect.outcome: local_reply / continue",
            "expect.callouts: to other / to auth, :method: GET, :path: /check, :authority: auth",
        ],
    );
    fails(GET, "{callouts: [{cluster: auth}]}", &["expect.callouts: to auth / no callouts"]);
    for (answer, status) in [
        ("{cluster: auth, respond: {status: 403}}", 401),
        ("{outcome: failure}", 502),
        ("{outcome: timeout}", 401),
        ("{path: /check, outcome: unavailable}", 401),
    ] {
        passes(&call(answer), &format!("{{local_reply: {{status: {status}}}}}"));
    }
    // No cluster of this name exists.
    passes(
        "clusters: [other]\n  request: {headers: {x-call: 1}}",
        "{local_reply: {status: 500}, callouts: []}",
    );
}

#[test]
fn a_callout_without_an_answer_is_named_and_times_out() {
    let output = run(
        "tests:\n- name: waits\n  request: {headers: {x-call: 1}}\n  expect: {outcome: continue}\n",
    );
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("callouts without an answer:"), "{}", output.stdout);
    assert!(output.stdout.contains("auth: /check"), "{}", output.stdout);
    run("
tests:
- name: waits
  steps:
  - request: {headers: {x-call: 1}}
    expect: {outcome: pause}
  - advance: 5s
    expect: {local_reply: {status: 401}}
")
    .expect(0, "1 passed, 0 failed\n", "");
}

#[test]
fn steps_share_the_plugin() {
    run("
tests:
- name: counts requests, and ticks
  steps:
  - request: {path: /1}
    expect: {metrics: {requests: 1}, log: {contains: tick, absent: true}}
  - tick: true
    expect: {log: [tick, {contains: request, absent: true}]}
  - advance: 2500
    expect: {log: tick, host_calls: {proxy_log: 2}}
  - reload: another
  - reload: bad
    expect: {accepted: false}
  - request: {path: /2}
    expect: {metrics: {requests: 2}}
")
    .expect(0, "1 passed, 0 failed\n", "");
}

#[test]
fn a_rejected_new_configuration_fails_unless_expected() {
    let cases = |reload: &str| {
        format!(
            "tests:\n- name: x\n  steps:\n  - {reload}\n  - {{request: {{}}, expect: {{status: 200}}}}\n"
        )
    };
    for (reload, difference) in [
        (
            "reload: bad",
            "reload (cases.yaml:4)\n         - expected: the module accepts it\n         + got:      the module rejects it\n",
        ),
        (
            "{reload: good, expect: {accepted: false}}",
            "steps[0].expect.accepted (cases.yaml:4)\n         - expected: the module rejects it\n         + got:      the module accepts it\n",
        ),
    ] {
        let output = run(&cases(reload));
        assert_eq!(output.code, Some(1));
        assert!(output.stdout.contains(difference), "{}", output.stdout);
    }
}

#[test]
fn a_rejected_configuration() {
    passes("configuration: bad\n  starts: false", "{log: started}");
    fails(
        "configuration: bad",
        "{log: started}",
        &["configuration: the module accepts it / the module rejects it"],
    );
    fails(
        "starts: false",
        "{log: started}",
        &["configuration: the module rejects it / the module accepts it"],
    );
}

#[test]
fn a_module_that_fails_shows_its_last_words() {
    let output = run(
        "tests:\n- name: panics\n  request: {headers: {x-panic: 1}}\n  expect: {outcome: continue}\n",
    );
    assert_eq!(output.code, Some(1));
    for part in [
        "FAIL cases.yaml:2: panics\n       module (cases.yaml:2)\n",
        "- expected: it runs without failing\n",
        "+ got:      proxy_on_request_headers trapped: ",
        "critical: the module panics\n",
    ] {
        assert!(output.stdout.contains(part), "{}", output.stdout);
    }
}
