//! Modules in WebAssembly text that write what happens to their log.

use crate::common;

/// All callbacks of ABI 0.2.1 that the suite reaches, with the number of their parameters and
/// whether they return a value.
const CALLBACKS: &[(&str, usize, bool)] = &[
    ("context_create", 2, false),
    ("vm_start", 2, true),
    ("configure", 2, true),
    ("tick", 1, false),
    ("queue_ready", 2, false),
    ("foreign_function", 3, false),
    ("http_call_response", 5, false),
    ("grpc_receive_initial_metadata", 3, false),
    ("grpc_receive", 3, false),
    ("grpc_receive_trailing_metadata", 3, false),
    ("grpc_close", 3, false),
    ("new_connection", 1, true),
    ("downstream_data", 3, true),
    ("upstream_data", 3, true),
    ("downstream_connection_close", 2, false),
    ("upstream_connection_close", 2, false),
    ("request_headers", 3, true),
    ("request_body", 3, true),
    ("request_trailers", 2, true),
    ("response_headers", 3, true),
    ("response_body", 3, true),
    ("response_trailers", 2, true),
    ("done", 1, true),
    ("log", 1, false),
    ("delete", 1, false),
];

/// What a host call gives besides its status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gives {
    /// Nothing, or nothing that is the same in each run.
    Nothing,
    /// Bytes: their pointer at 0 and their length at 4.
    Bytes,
    /// A number at 0.
    Number,
    /// A number of 64 bits at 0.
    Long,
    /// Two numbers, at 0 and 4.
    Pair,
    /// Bytes as above, and a number at 8.
    BytesAndNumber,
}

/// A host call of a probe, and its name in the log.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) label: String,
    /// An expression of type `i32`.
    pub(crate) code: String,
    pub(crate) gives: Gives,
}

impl Call {
    pub(crate) fn new(label: impl Into<String>, code: impl Into<String>, gives: Gives) -> Self {
        Self { label: label.into(), code: code.into(), gives }
    }

    /// Runs the call, and logs `LABEL=STATUS VALUE`.
    fn text(&self) -> String {
        let value = match self.gives {
            Gives::Nothing => String::new(),
            Gives::Bytes => BYTES.to_owned(),
            Gives::Number => "(call $put_number (i64.load32_u (i32.const 0)))".to_owned(),
            Gives::Long => "(call $put_number (i64.load (i32.const 0)))".to_owned(),
            Gives::Pair => PAIR.to_owned(),
            Gives::BytesAndNumber => {
                format!("{BYTES} (call $put_number (i64.load32_u (i32.const 8)))")
            }
        };
        let value = if value.is_empty() {
            value
        } else {
            format!("(if (i32.eqz (local.get $status)) (then {value}))")
        };
        format!(
            "(global.set $free (i32.const 32768))
             (memory.fill (i32.const 0) (i32.const 0) (i32.const 64))
             (local.set $status {})
             (call $put '{}=') (call $put_status (local.get $status)) {value} (call $flush)\n",
            self.code, self.label
        )
    }
}

const BYTES: &str = "(call $put_hex (i32.load (i32.const 0)) (i32.load (i32.const 4)))";
const PAIR: &str = "(call $put_number (i64.load32_u (i32.const 0)))
                    (call $put_number (i64.load32_u (i32.const 4)))";

/// Functions that put together a line of the log, from address 98304.
const LINES: &str = r"
    (global $end_of_line (mut i32) (i32.const 98304))
    (func $put_byte (param $byte i32)
        (i32.store8 (global.get $end_of_line) (local.get $byte))
        (global.set $end_of_line (i32.add (global.get $end_of_line) (i32.const 1))))
    (func $put (param $from i32) (param $length i32)
        (memory.copy (global.get $end_of_line) (local.get $from) (local.get $length))
        (global.set $end_of_line (i32.add (global.get $end_of_line) (local.get $length))))
    (func $put_digits (param $number i64)
        (if (i64.ge_u (local.get $number) (i64.const 10))
            (then (call $put_digits (i64.div_u (local.get $number) (i64.const 10)))))
        (call $put_byte
            (i32.add (i32.const 48)
                (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10))))))
    (func $put_status (param $status i32)
        (call $put_digits (i64.extend_i32_u (local.get $status))))
    (func $put_number (param $number i64)
        (call $put_byte (i32.const 32))
        (call $put_digits (local.get $number)))
    (func $put_nibble (param $nibble i32)
        (call $put_byte
            (i32.add (local.get $nibble)
                (select (i32.const 87) (i32.const 48)
                    (i32.gt_u (local.get $nibble) (i32.const 9))))))
    (func $put_hex (param $from i32) (param $length i32) (local $byte i32)
        (call $put_byte (i32.const 32))
        (call $put_byte (i32.const 120))
        (block $done (loop $next
            (br_if $done (i32.eqz (local.get $length)))
            (local.set $byte (i32.load8_u (local.get $from)))
            (call $put_nibble (i32.shr_u (local.get $byte) (i32.const 4)))
            (call $put_nibble (i32.and (local.get $byte) (i32.const 15)))
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (local.set $length (i32.sub (local.get $length) (i32.const 1)))
            (br $next))))
    (func $flush
        (drop (call $proxy_log (i32.const 2) (i32.const 98304)
            (i32.sub (global.get $end_of_line) (i32.const 98304))))
        (global.set $end_of_line (i32.const 98304)))
";

/// A module that logs all its callbacks, and in some of them more.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    codes: Vec<(String, String, String)>,
    more: String,
}

impl Probe {
    pub(crate) fn new() -> Self {
        Self { codes: Vec::new(), more: String::new() }
    }

    /// Makes these calls in this callback.
    pub(crate) fn calls(self, callback: &str, calls: &[Call]) -> Self {
        let code = calls.iter().map(Call::text).collect::<String>();
        self.code(callback, &code)
    }

    /// Runs this code in this callback. It can read `$a` to `$e`, the parameters.
    pub(crate) fn code(mut self, callback: &str, code: &str) -> Self {
        self.codes.push((callback.to_owned(), String::new(), code.to_owned()));
        self
    }

    /// Makes these calls in this callback, if the condition is true.
    pub(crate) fn calls_if(mut self, callback: &str, condition: &str, calls: &[Call]) -> Self {
        let code = calls.iter().map(Call::text).collect::<String>();
        self.codes.push((
            callback.to_owned(),
            String::new(),
            format!("(if {condition} (then {code}))"),
        ));
        self
    }

    /// Returns this from this callback.
    pub(crate) fn returns(mut self, callback: &str, value: &str) -> Self {
        self.codes.push((
            callback.to_owned(),
            format!("(local.set $result {value})"),
            String::new(),
        ));
        self
    }

    /// Adds functions or exports.
    pub(crate) fn more(mut self, text: &str) -> Self {
        self.more += text;
        self
    }

    pub(crate) fn text(&self) -> String {
        let callbacks: String = CALLBACKS
            .iter()
            .map(|(name, parameters, result)| self.callback(name, *parameters, *result))
            .collect();
        common::text(&format!("{LINES} {} {callbacks}", self.more))
    }

    fn callback(&self, name: &str, parameters: usize, result: bool) -> String {
        let names = &["$a", "$b", "$c", "$d", "$e"][..parameters];
        let declared: String =
            names.iter().map(|name| ["(param ", name, " i32)"].concat()).collect();
        let logged: String = names
            .iter()
            .map(|name| ["(call $put_number (i64.extend_i32_s (local.get ", name, ")))"].concat())
            .collect();
        let code: String = self
            .codes
            .iter()
            .filter(|(callback, ..)| callback == name)
            .map(|(_, result, code)| [result.as_str(), " ", code].concat())
            .collect();
        let ends = if name == "delete" { "(call $put '< delete') (call $flush)" } else { "" };
        let accepts = i32::from(matches!(name, "vm_start" | "configure" | "done"));
        let (kind, end) = if result { ("(result i32)", "(local.get $result)") } else { ("", "") };
        format!(
            "(func (export \"proxy_on_{name}\") {declared} {kind} (local $status i32)
                 (local $result i32) (local.set $result (i32.const {accepts}))
                 (call $put '> {name}') {logged} (call $flush)
                 {code} {ends} {end})\n"
        )
    }
}
