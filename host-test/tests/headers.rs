//! Header maps, through host calls.

mod common;

use common::{callback, on_request_headers, plugin};
use proxy_wasm_test::{ExchangeRecord, HeaderMap, Plugin, Status};

const REQUEST: [(&str, &str); 4] = [(":path", "/"), ("x-list", "a"), ("x", "1"), ("X-List", "b")];
const RESPONSE: [(&str, &str); 1] = [(":status", "200")];

fn run(plugin: &Plugin) -> ExchangeRecord {
    plugin.run(REQUEST, RESPONSE).expect("no failure")
}

/// The statuses of the calls to one function.
fn statuses(record: &ExchangeRecord, name: &str) -> Vec<u32> {
    let calls = record.activity.host_calls.iter().filter(|call| call.name == name);
    calls.map(|call| call.result).collect()
}

#[test]
fn get_gives_the_first_value_whatever_the_case() {
    let record = run(&on_request_headers(
        "(drop (call $proxy_get_header_map_value (i32.const 0) 'X-LIST' (i32.const 0) (i32.const 4)))
         (call $log_given)",
    ));
    assert_eq!(record.activity.log[0].message, b"a");
    let call = &record.activity.host_calls[0];
    assert_eq!(call.to_string(), "proxy_get_header_map_value(request_headers, X-LIST) = 0");
}

#[test]
fn headers_of_which_envoy_keeps_one_value_are_joined() {
    let add = "(drop (call $proxy_add_header_map_value (i32.const 0) 'Accept' 'c'))";
    let plugin = on_request_headers(add);
    let record = plugin.run([("accept", "a"), ("accept", "b")], RESPONSE).expect("no failure");
    assert_eq!(record.request.headers, HeaderMap::from([("accept", "a,b,c")]));
}

#[test]
fn an_absent_header_is_not_found() {
    let record = run(&on_request_headers(
        "(drop (call $proxy_get_header_map_value (i32.const 0) 'host' (i32.const 0) (i32.const 4)))",
    ));
    assert_eq!(record.activity.host_calls[0].result, Status::NotFound.into());
}

#[test]
fn an_empty_value_is_a_null_pointer() {
    let plugin = on_request_headers(
        "(i64.store (i32.const 0) (i64.const -1))
         (drop (call $proxy_get_header_map_value (i32.const 0) 'empty' (i32.const 0) (i32.const 4)))
         (drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 8)))",
    );
    let record = plugin.run([("empty", "")], RESPONSE).expect("no failure");
    assert_eq!(record.activity.log[0].message, [0; 8]);
}

#[test]
fn add_keeps_repeated_headers_apart() {
    let record = run(&on_request_headers(
        "(drop (call $proxy_add_header_map_value (i32.const 0) 'X-List' 'c'))",
    ));
    let values: Vec<_> = record.request.headers.get_all("x-list").collect();
    assert_eq!(values, [b"a", b"b", b"c"]);
    assert_eq!(record.request.headers.iter().last(), Some((&b"x-list"[..], &b"c"[..])));
}

#[test]
fn replace_leaves_one_value() {
    let record = run(&on_request_headers(
        "(drop (call $proxy_replace_header_map_value (i32.const 0) 'x-list' 'c'))
         (drop (call $proxy_replace_header_map_value (i32.const 0) 'y' '2'))",
    ));
    let expected = HeaderMap::from([(":path", "/"), ("x-list", "c"), ("x", "1"), ("y", "2")]);
    assert_eq!(record.request.headers, expected);
}

#[test]
fn remove_removes_every_value() {
    let record = run(&on_request_headers(
        "(drop (call $proxy_remove_header_map_value (i32.const 0) 'x-list'))
         (drop (call $proxy_remove_header_map_value (i32.const 0) 'never-there'))",
    ));
    assert_eq!(record.request.headers, HeaderMap::from([(":path", "/"), ("x", "1")]));
    assert_eq!(statuses(&record, "proxy_remove_header_map_value"), [0, 0]);
}

#[test]
fn bytes_that_are_not_utf8_pass_unchanged() {
    let plugin = on_request_headers(
        "(drop (call $proxy_get_header_map_value (i32.const 0) 'raw' (i32.const 0) (i32.const 4)))
         (call $log_given)
         (drop (call $proxy_add_header_map_value (i32.const 0) 'back' '\\ff\\00\\fe'))",
    );
    let record = plugin.run([("raw", b"\xc3\x28\0")], RESPONSE).expect("no failure");
    assert_eq!(record.activity.log[0].message, b"\xc3\x28\0");
    assert_eq!(record.request.headers.get("back"), Some(&b"\xff\0\xfe"[..]));
}

#[test]
fn size_is_that_of_all_names_and_values() {
    let record = run(&on_request_headers(
        "(drop (call $proxy_get_header_map_size (i32.const 0) (i32.const 0)))
         (drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 4)))",
    ));
    let bytes: usize = REQUEST.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = u32::try_from(bytes).expect("a few");
    assert_eq!(record.activity.log[0].message, bytes.to_le_bytes());
}

#[test]
fn pairs_have_the_form_of_the_abi() {
    let plugin = on_request_headers(
        "(drop (call $proxy_get_header_map_pairs (i32.const 0) (i32.const 0) (i32.const 4)))
         (call $log_given)",
    );
    let record = plugin.run([("a", "12"), ("a", "")], RESPONSE).expect("no failure");
    let expected = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\x0012\0a\0\0";
    assert_eq!(record.activity.log[0].message, expected);
}

#[test]
fn set_pairs_replaces_the_whole_map() {
    let record = run(&on_request_headers(
        "(drop (call $proxy_set_header_map_pairs (i32.const 0)
            '\\01\\00\\00\\00\\01\\00\\00\\00\\02\\00\\00\\00K\\00vw\\00'))",
    ));
    assert_eq!(record.request.headers, HeaderMap::from([("k", "vw")]));
}

#[test]
fn pairs_that_cannot_be_read_are_none() {
    let record = run(&on_request_headers(
        "(drop (call $proxy_set_header_map_pairs (i32.const 0) '\\ff\\ff\\ff\\ff'))",
    ));
    assert_eq!(statuses(&record, "proxy_set_header_map_pairs"), [u32::from(Status::Ok)]);
    assert_eq!(record.request.headers.len(), 0);
}

#[test]
fn a_map_of_another_phase_is_a_bad_argument() {
    let size = "(drop (call $proxy_get_header_map_size (i32.const MAP) (i32.const 0)))";
    let code = |map: &str| size.replace("MAP", map);
    // Response headers and trailers during the request, and a map that does not exist.
    let ask = [code("2"), code("3"), code("9"), code("0")].concat();
    let plugin = plugin(
        &[
            callback("request_headers", &ask),
            callback("foreign_function", &code("0")),
            callback("log", &code("1")),
        ]
        .concat(),
    );
    let record = run(&plugin);
    let bad = u32::from(Status::BadArgument);
    assert_eq!(statuses(&record, "proxy_get_header_map_size"), [bad, bad, bad, 0, bad]);
    // A root context has no headers.
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(plugin.activity().host_calls[0].result, bad);
}

#[test]
fn trailers_and_response_headers_are_maps_of_their_own() {
    let add = "(drop (call $proxy_add_header_map_value (i32.const MAP) 'seen' 'MAP'))";
    let plugin = plugin(
        &[
            callback("request_trailers", &add.replace("MAP", "1")),
            callback("response_headers", &add.replace("MAP", "2")),
            callback("response_trailers", &add.replace("MAP", "3")),
        ]
        .concat(),
    );
    let request = proxy_wasm_test::Message::new(REQUEST).trailers([("t", "1")]);
    let response = proxy_wasm_test::Message::new(RESPONSE).body("b").trailers([("t", "2")]);
    let record = plugin.run(request, response).expect("no failure");
    assert_eq!(record.request.trailers, Some(HeaderMap::from([("t", "1"), ("seen", "1")])));
    assert_eq!(record.response.headers.get_str("seen"), Some("2"));
    assert_eq!(record.response.trailers, Some(HeaderMap::from([("t", "2"), ("seen", "3")])));
    assert_eq!(record.request.headers.len(), REQUEST.len());
}
