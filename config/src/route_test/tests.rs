use super::case::{Aspect, Case, Check};
use super::read_text;
use crate::explain::Request;

fn cases(text: &str) -> Vec<Case> {
    let cases = read_text("t", text);
    let findings: Vec<_> = cases.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{findings:?}");
    cases.cases
}

fn requests(text: &str) -> Vec<(String, Request)> {
    cases(text).into_iter().map(|case| (case.name, case.request)).collect()
}

/// The findings about a file.
fn findings(text: &str) -> Vec<String> {
    read_text("t", text).findings.into_iter().map(|finding| finding.to_string()).collect()
}

/// The findings about a test that is otherwise valid.
fn finding(input: &str, validate: &str) -> String {
    let text = format!(
        "tests:\n- test_name: x\n  input: {{authority: a, path: /, {input}}}\n  validate: {validate}\n"
    );
    findings(&text).join("\n")
}

#[test]
fn all_spellings_mean_the_same() {
    let first = r#"[{
        "test_name": "x",
        "input": {
            ":authority": "a.example", ":path": "/p?q", ":method": "POST", "ssl": true,
            "internal": true, "random_value": 7,
            "additional_headers": [{"field": "X-User", "value": "jason"}]
        },
        "validate": {"cluster_name": "c", "header_fields": [{"field": "a", "value": "b"}]}
    }]"#;
    let second = "
tests:
- test_name: x
  input:
    authority: a.example
    path: /p?q
    method: POST
    ssl: true
    random_value: '7'
    additional_headers:
    - key: x-user
      value: jason
  validate:
    cluster_name: c
    custom_header_fields: [{key: a, value: b}]
";
    let third = "
runtime: {some.key: 1}
tests:
- testName: x
  input:
    authority: a.example
    path: /p?q
    method: POST
    ssl: true
    internal: null
    runtime: some.key
    randomValue: 7
    additionalRequestHeaders: [{key: x-user, value: jason}]
  validate:
    clusterName: c
    requestHeaderFields: [{key: a, value: b}]
";
    let expected = requests(first);
    assert_eq!(expected[0].1.extra, [("x-user".to_owned(), "jason".to_owned())]);
    assert_eq!((&*expected[0].1.scheme, expected[0].1.random), ("https", Some(7)));
    assert_eq!(requests(second), expected);
    assert_eq!(requests(third), expected);
}

#[test]
fn what_may_be_left_out_has_its_default() {
    let (_, request) = requests(
        "tests: [{test_name: x, input: {authority: a, path: /}, validate: {path_redirect: ''}}]",
    )
    .remove(0);
    assert_eq!(request, Request::new("GET", "http://a/", &[]).unwrap().with_random(Some(0)));
    let (_, request) = requests(
        "tests: [{test_name: x, input: {authority: a, path: /, ingress: {client: '::1'}},
                  validate: {cluster_name: ''}}]",
    )
    .remove(0);
    assert!(request.client.is_ipv6());
}

#[test]
fn the_sni_is_the_authority_unless_the_test_says_otherwise() {
    for (input, expected) in [
        ("ssl: true", Some("a.example")),
        ("ssl: false", None),
        ("ssl: true, ingress: {sni: B.example}", Some("b.example")),
        ("ssl: true, ingress: {sni: ''}", None),
    ] {
        let text = format!(
            "tests: [{{test_name: x, input: {{authority: 'A.example:8443', path: /, {input}}},
                      validate: {{cluster_name: ''}}}}]"
        );
        assert_eq!(requests(&text).remove(0).1.sni.as_deref(), expected, "{input}");
    }
}

#[test]
fn each_expectation_knows_where_it_stands() {
    let case = cases(
        "---\n# Nothing.\n---\ntests:\n- test_name: x\n  input: {authority: a, path: /}\n  validate:\n    \
         cluster_name: c\n    ingress:\n      timeout: 1.5s\n      retries: 0\n      delay: 20\n      \
         status: ''\n      distribution: {clusters: {a: 75, b: 25}}\n",
    )
    .remove(0);
    assert_eq!((case.at.line, case.at.column), (5, 3));
    let expectations: Vec<_> = case
        .expectations
        .iter()
        .map(|expectation| {
            let check = match &expectation.check {
                Check::Is(_, text) => text,
                _ => "more",
            };
            (expectation.at.line, expectation.field.trim_start_matches("tests[0].validate."), check)
        })
        .collect();
    assert_eq!(
        expectations,
        [
            (8, "cluster_name", "c"),
            (10, "ingress.timeout", "1500 ms"),
            (11, "ingress.retries", ""),
            (12, "ingress.delay", "20 ms"),
            (13, "ingress.status", ""),
            (14, "ingress.distribution", "more"),
        ]
    );
}

#[test]
fn a_file_that_is_none_says_so() {
    for (text, expected) in [
        ("", "t:1:1: error: has no tests; add some"),
        ("a string", "must be a mapping"),
        ("[]", "t:1:1: error: has no tests; add some"),
        ("tests: []", "t:1:1: error: tests: has no tests; add some"),
        ("tests: {}", "tests: is a mapping, but must be a list"),
        ("test: []", "t:1:1: error: test: unknown field; did you mean tests?"),
        ("runtime: {}", "write them as a list under tests"),
        ("{apiVersion: v1, kind: Service}", "give manifests with -f"),
        ("tests: [", "not valid YAML"),
        ("- x", "[0]: is the string `x`, but must be a mapping"),
        ("[{}]", "[0]: test_name is missing"),
        ("[{test_name: '', input: {}, validate: {}}]", "[0].test_name: is empty"),
    ] {
        let said = findings(text).join("\n");
        assert!(said.contains(expected), "{text:?}: {said}");
    }
}

#[test]
fn the_first_form_has_the_request_and_what_is_expected_side_by_side() {
    let text = r#"[{
        "authority": "a.example", "path": "/p", "method": "POST", "ssl": true,
        "additional_headers": [{"name": "X-User", "value": "jason"}],
        "check": {"cluster_name": "c", "path_redirect": "none"}
    }]"#;
    let [(name, request)] = &requests(text)[..] else { panic!("one test") };
    assert_eq!(name, "POST a.example/p");
    assert_eq!(request.extra, [("x-user".to_owned(), "jason".to_owned())]);
    let cases = cases(text);
    let checks: Vec<_> = cases[0].expectations.iter().map(|it| &it.check).collect();
    let [Check::Is(Aspect::Cluster, cluster), Check::Is(Aspect::Location, location)] = checks[..]
    else {
        panic!("{checks:?}")
    };
    assert_eq!((&**cluster, &**location), ("c", ""));
}

#[test]
fn the_largest_random_value_and_the_newest_fields_are_read() {
    let text = "
tests:
- test_name: x
  input: {authority: a, path: /, random_value: 18446744073709551615}
  validate: {route_metadata: [{namespace: n, key: k, value: v}]}
";
    assert_eq!(requests(text)[0].1.random, Some(u64::MAX));
    let cases = cases(text);
    let check = &cases[0].expectations[0].check;
    assert!(matches!(check, Check::Is(Aspect::RouteMetadata, value) if value == "v"), "{check:?}");
}

#[test]
fn a_test_that_is_wrong_says_where_and_why() {
    for (input, validate, expected) in [
        (
            "metod: GET",
            "{}",
            "t:3:34: error: tests[0].input.metod: unknown field; did you mean method?",
        ),
        ("method: 1", "{}", "is the number `1`, but must be a string"),
        ("ssl: 'yes'", "{}", "must be true or false"),
        ("random_value: -1", "{}", "must be a whole number of 0 or more"),
        ("':path': /x", "{}", "input.:path: is given twice"),
        ("ingress: {client: x}", "{}", "must be an IP address"),
        ("ssl: true, ingress: {sni: 192.0.2.1}", "{}", "must be the name of a host"),
        ("ingress: {sni: a.example}", "{}", "input.ingress.sni: is sent only over TLS"),
        ("additional_headers: [{value: x}]", "{}", "key is missing"),
        ("additional_headers: [{key: ':path', value: x}]", "{}", ":path is not a header"),
        (
            "additional_headers: [{key: Host, value: x}]",
            "{}",
            "the header host is set by authority; remove it",
        ),
        ("", "{}", "t:4:3: error: tests[0].validate: expects nothing"),
        (
            "",
            "{clustername: x}",
            "t:4:14: error: tests[0].validate.clustername: unknown field; did you mean cluster_name?",
        ),
        ("", "{cluster_name: 5}", "must be a string"),
        ("", "{ingress: {timeout: 4 s}}", "must be a duration"),
        ("", "{ingress: {timeout: -4}}", "must be a duration"),
        ("", "{ingress: {status: x}}", "must be a whole number"),
        ("", "{ingress: {websocket: 1}}", "must be true or false"),
        ("", "{ingress: {distribution: {}}}", "clusters is missing"),
        ("", "{ingress: {distribution: {clusters: {a: 60, b: 30}}}}", "sum to 90 percent"),
        ("", "{ingress: {distribution: {clusters: {a: 101}}}}", "must be a percentage"),
        ("", "{ingress: {distribution: {requests: 0, clusters: {a: 100}}}}", "1 to 1000000"),
        ("", "{ingress: {rout: x}}", "unknown field"),
    ] {
        let said = finding(input, validate);
        assert!(said.contains(expected), "{input} {validate}: {said}");
    }
}
