//! Local replies.

use super::{RESPONSE, attribute, set_body};
use crate::changes::reply_with;
use crate::probe::{Call, Gives, Probe};
use crate::scenario::Scenario;

/// A local reply to the headers of this request.
fn reply(name: &str, request: &str, headers: &[(&str, &str)], call: Call) -> Scenario {
    let module =
        Probe::new().calls("request_headers", &[call]).returns("request_headers", "(i32.const 1)");
    let attributes = [
        attribute("response.code"),
        attribute("response.code_details"),
        attribute("response.grpc_status"),
        RESPONSE.pairs(),
    ];
    let module = module.calls("response_headers", &attributes[..3]).calls("log", &attributes);
    Scenario::new(format!("reply-{name}"), module).request(request, headers, &[])
}

pub(super) fn scenarios() -> Vec<Scenario> {
    [to_http(), to_grpc(), changed()].concat()
}

/// A reply without a body.
fn empty(status: u32) -> Call {
    let none = "(i32.const 0) (i32.const 0)";
    Call::new(
        "send_local_response",
        format!(
            "(call $proxy_send_local_response (i32.const {status}) {none} {none} {none}
                 (i32.const -1))"
        ),
        Gives::Nothing,
    )
}

fn to_http() -> Vec<Scenario> {
    let get = "GET /";
    vec![
        reply("status-header", get, &[], reply_with("403", &[(":status", "418")], "-1")),
        reply(
            "content-type",
            get,
            &[],
            reply_with("403", &[("content-type", "application/json")], "-1"),
        ),
        reply("content-length", get, &[], reply_with("403", &[("content-length", "99")], "-1")),
        reply(
            "headers-twice",
            get,
            &[],
            reply_with(
                "403",
                &[
                    ("x-a", "1"),
                    ("x-a", "2"),
                    ("X-B", "3"),
                    ("set-cookie", "a"),
                    ("set-cookie", "b"),
                ],
                "-1",
            ),
        ),
        reply("empty", get, &[], empty(404)),
        reply("head", "HEAD /", &[], reply_with("403", &[("x-reply", "one")], "-1")),
        reply("grpc-status-for-http", get, &[], reply_with("403", &[], "7")),
        reply("redirect", get, &[], reply_with("302", &[("location", "/elsewhere")], "-1")),
    ]
}

fn to_grpc() -> Vec<Scenario> {
    let grpc: &[(&str, &str)] = &[("content-type", "application/grpc"), ("te", "trailers")];
    let mut scenarios = Vec::new();
    for status in [200, 400, 401, 403, 404, 429, 500, 502, 503, 504] {
        let call = reply_with(&status.to_string(), &[("x-reply", "one")], "-1");
        scenarios.push(reply(&format!("to-grpc-{status}"), "POST /service/Method", grpc, call));
    }
    for grpc_status in [0, 7, 16, 17, 99] {
        let call = reply_with("403", &[], &grpc_status.to_string());
        scenarios.push(reply(
            &format!("to-grpc-with-{grpc_status}"),
            "POST /service/Method",
            grpc,
            call,
        ));
    }
    scenarios.push(reply(
        "to-grpc-web",
        "POST /service/Method",
        &[("content-type", "application/grpc-web")],
        reply_with("403", &[], "-1"),
    ));
    scenarios.push(reply(
        "to-grpc-proto",
        "POST /service/Method",
        &[("content-type", "application/grpc+proto")],
        empty(403),
    ));
    scenarios
}

/// Replies to what is a reply already, and changes of it.
fn changed() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    let twice = [reply_with("403", &[], "-1"), reply_with("404", &[], "-1")];
    scenarios.push(Scenario::new(
        "reply-twice",
        Probe::new().calls("request_headers", &twice).returns("request_headers", "(i32.const 1)"),
    ));
    let own = Probe::new()
        .calls("request_headers", &[reply_with("403", &[], "-1")])
        .calls("response_headers", &[reply_with("404", &[], "-1")]);
    scenarios.push(Scenario::new("reply-to-own-reply", own));
    let changed = Probe::new()
        .calls("request_headers", &[reply_with("403", &[], "-1")])
        .calls(
            "response_headers",
            &[
                RESPONSE.add("x-added", "one"),
                RESPONSE.replace(":status", "404"),
                RESPONSE.remove("content-length"),
            ],
        )
        .calls("response_body", &[set_body(1, 0, 1000, "changed by the module")]);
    scenarios.push(Scenario::new("reply-changed", changed));
    scenarios
}
