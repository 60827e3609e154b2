//! Bodies that modules read and change.

use super::{Map, REQUEST, RESPONSE, attribute, set_body};
use crate::probe::{Call, Gives, Probe};
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    [lengths(), changed(), gathered(), ends()].concat()
}

const LENGTH: &[(&str, &str)] = &[("content-length", "5")];

/// Bodies whose length a header tells.
fn lengths() -> Vec<Scenario> {
    let longer = |buffer| set_body(buffer, 0, 1000, "a longer body");
    let request = Probe::new()
        .calls("request_headers", &[REQUEST.remove("content-length")])
        .calls("request_body", &[longer(0)]);
    let response = Probe::new()
        .calls("response_headers", &[RESPONSE.remove("content-length")])
        .calls("response_body", &[longer(1)]);
    let size = Probe::new()
        .calls("request_headers", &[attribute("request.size")])
        .calls("log", &[attribute("request.size")]);
    vec![
        Scenario::new("request-body-grows", request)
            .request("POST /", LENGTH, &[])
            .whole_body("first"),
        Scenario::new("response-body-grows", response)
            .response("200", LENGTH, &[])
            .whole_response("third"),
        Scenario::new("length-of-body", size).request("POST /", LENGTH, &[]).whole_body("first"),
    ]
}

/// Pieces that are changed as they pass.
fn changed() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (name, start, length) in [
        ("insert", 0, 0),
        ("first", 0, 2),
        ("first-beyond", 0, 100),
        ("middle", 2, 1),
        ("end", 5, 0),
        ("beyond", 100, 5),
    ] {
        let read = |buffer: u32| {
            Call::new(
                "get_buffer_bytes",
                format!(
                    "(call $proxy_get_buffer_bytes (i32.const {buffer}) (i32.const 0) (i32.const 1000) (i32.const 0) (i32.const 4))"
                ),
                Gives::Bytes,
            )
        };
        let module = Probe::new()
            .calls("request_body", &[set_body(0, start, length, "XYZ"), read(0)])
            .calls("response_body", &[set_body(1, start, length, "XYZ"), read(1)]);
        scenarios.push(
            Scenario::new(format!("bodies-{name}"), module)
                .request("POST /", &[], &["first", "second"])
                .response("200", &[], &["third", "fourth"]),
        );
    }
    scenarios
}

/// Pieces that are held until the end.
fn gathered() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    let read_all = Call::new(
        "get_buffer_bytes",
        "(call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (local.get $b) (i32.const 0) (i32.const 4))",
        Gives::Bytes,
    );
    // The usual way to read a whole body.
    let whole = Probe::new().returns("request_body", "(i32.eqz (local.get $c))").calls_if(
        "request_body",
        "(local.get $c)",
        &[read_all.clone(), set_body(0, 0, 1000, "replaced")],
    );
    scenarios.push(Scenario::new("request-body-gathered", whole).request(
        "POST /",
        &[],
        &["first", "second", "third"],
    ));
    let whole = Probe::new()
        .returns("request_body", "(i32.const 1)")
        .calls("request_body", std::slice::from_ref(&read_all))
        .calls("request_trailers", &[read_all]);
    scenarios.push(Scenario::whole("request-body-gathered-until-trailers", whole));
    let whole = Probe::new().returns("response_body", "(i32.eqz (local.get $c))").calls_if(
        "response_body",
        "(local.get $c)",
        &[set_body(1, 0, 1000, "replaced")],
    );
    scenarios.push(Scenario::new("response-body-gathered", whole).response(
        "200",
        &[],
        &["first", "second"],
    ));
    for result in [2, 3, 4, 5] {
        let module = Probe::new().returns(
            "request_body",
            &format!("(select (i32.const 0) (i32.const {result}) (local.get $c))"),
        );
        scenarios.push(Scenario::new(format!("request-body-{result}-until-end"), module).request(
            "POST /",
            &[],
            &["first", "second"],
        ));
    }
    scenarios
}

fn ends() -> Vec<Scenario> {
    let trailer = |map: u32| [Map(map).add("x-trailer", "one")];
    let trailers = Probe::new().calls_if("request_body", "(local.get $c)", &trailer(1)).calls_if(
        "response_body",
        "(local.get $c)",
        &trailer(3),
    );
    vec![
        Scenario::new("trailers-in-last-piece", trailers)
            .request("POST /", &[], &["first"])
            .response("200", &[], &["second"]),
        Scenario::new("head", Probe::new()).request("HEAD /", &[], &[]).response(
            "200",
            &[("content-length", "8")],
            &[],
        ),
        Scenario::new("no-content", Probe::new()).response("204", &[], &[]),
    ]
}
