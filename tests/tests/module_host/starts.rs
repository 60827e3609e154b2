//! Modules that fail to start, and what they may call before they have started.

use crate::calls;
use crate::compare::Difference;
use crate::envoy;
use crate::host;
use crate::probe::{Call, Probe};
use crate::scenario::Scenario;

/// A module that makes this call in `_initialize`.
fn initializes(call: &Call) -> Scenario {
    let code = format!(
        "(func (export \"_initialize\") (local $status i32) (local.set $status {}))",
        call.code
    );
    let name: String = call.label.chars().filter(char::is_ascii_alphanumeric).collect();
    Scenario::new(format!("initialize-{name}"), Probe::new().more(calls::GLOBALS).more(&code))
}

fn labelled(label: &str) -> Call {
    let calls = [calls::all(""), calls::wasi()].concat();
    calls.into_iter().find(|call| call.label == label).expect("a call with this label")
}

/// Calls in `_initialize`.
const CALLS: [&str; 17] = [
    "log, no such level",
    "get_log_level",
    "get_current_time_nanoseconds",
    "get_property(plugin_name)",
    "set_tick_period_milliseconds(0)",
    "set_effective_context(unknown)",
    "get_header_map_size: request headers",
    "get_buffer_bytes(0, 4): VM configuration",
    "define_metric: gauge",
    "get_shared_data(absent)",
    "resolve_shared_queue(unknown VM)",
    "http_call(unknown cluster)",
    "call_foreign_function(no_such_function)",
    "clock_time_get",
    "random_get",
    "environ_sizes_get",
    "fd_write(1)",
];

/// Whether a module starts.
pub(crate) struct Start {
    key: String,
    /// The call in `_initialize` that decides it.
    pub(crate) call: Option<&'static str>,
    pub(crate) in_envoy: bool,
    in_host: Result<(), String>,
}

impl Start {
    fn of(scenario: &Scenario, call: Option<&'static str>) -> Self {
        let (in_envoy, in_host) = (envoy::accepts(scenario), host::starts(scenario));
        Self { key: scenario.key.clone(), call, in_envoy, in_host }
    }

    pub(crate) fn difference(&self) -> Option<Difference> {
        let started = |started: bool| if started { "starts" } else { "fails to start" };
        (self.in_envoy != self.in_host.is_ok()).then(|| Difference {
            scenario: self.key.clone(),
            what: "start".to_owned(),
            envoy: started(self.in_envoy).to_owned(),
            host: self.in_host.clone().err().unwrap_or_else(|| started(true).to_owned()),
        })
    }
}

pub(crate) fn all() -> Vec<Start> {
    let calls = CALLS.map(|label| Start::of(&initializes(&labelled(label)), Some(label)));
    let mut starts = Vec::from(calls);
    starts.extend(modules().iter().map(|scenario| Start::of(scenario, None)));
    starts
}

/// Modules that start or not for other reasons.
fn modules() -> Vec<Scenario> {
    let stop = "(local.set $result (i32.const 0))";
    [
        ("start-refused", Probe::new().code("vm_start", stop)),
        ("configuration-refused", Probe::new().code("configure", stop)),
        ("start-traps", Probe::new().code("vm_start", "unreachable")),
        ("configure-traps", Probe::new().code("configure", "unreachable")),
        ("create-traps", Probe::new().code("context_create", "unreachable")),
        ("initialize-traps", Probe::new().more("(func (export \"_initialize\") unreachable)")),
        ("start-function", Probe::new().more("(func $begin) (start $begin)")),
        ("start-function-traps", Probe::new().more("(func $begin unreachable) (start $begin)")),
        ("start-export", Probe::new().more("(func (export \"_start\"))")),
        ("start-export-traps", Probe::new().more("(func (export \"_start\") unreachable)")),
        (
            "main-fails",
            Probe::new().more(
                "(func (export \"_initialize\"))
             (func (export \"main\") (param i32 i32) (result i32) i32.const 1)",
            ),
        ),
        ("good", Probe::new()),
    ]
    .into_iter()
    .map(|(name, module)| Scenario::new(name, module))
    .collect()
}
