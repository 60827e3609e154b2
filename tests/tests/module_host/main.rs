//! Small modules in a real Envoy and in the host (`proxy_wasm_test`), with the same requests.
//!
//! What differs has a reason in `known.rs`. The page `host-test/docs/abi.md` shows the results of all
//! host calls in all phases; `UPDATE_GOLDEN=1 cargo test -p ingress-tests --test module_host`
//! writes it.

mod bootstrap;
mod calls;
mod changes;
#[path = "../../../host-test/tests/common/mod.rs"]
mod common;
mod compare;
mod envoy;
mod facts;
mod grpc;
mod host;
mod known;
mod log;
mod matrix;
mod page;
mod probe;
mod scenario;
mod starts;
mod wire;

use std::env;
use std::fmt::Write as _;

use ingress_tests::workspace;
use known::KNOWN_DIFFERENCES;

#[test]
fn the_host_does_what_envoy_does_or_says_why_not() {
    let only = env::var("MODULE_HOST_SCENARIO").unwrap_or_default();
    let mut scenarios =
        [matrix::scenarios(), changes::scenarios(), changes::results(), facts::scenarios()]
            .concat();
    scenarios.retain(|scenario| scenario.key.contains(&only));
    let in_envoy = envoy::run(&scenarios);
    let mut wrong = String::new();
    let mut found = Vec::new();
    for scenario in &scenarios {
        let in_host = host::run(scenario);
        found.extend(compare::differences(&scenario.key, &in_envoy[&scenario.key], &in_host));
    }
    let starts = starts::all();
    found.extend(starts.iter().filter_map(starts::Start::difference));
    for difference in found.iter().filter(|found| known::reason(found).is_none()) {
        let _ = writeln!(
            wrong,
            "{}: {}\n    Envoy: {}\n    host:  {}",
            difference.scenario, difference.what, difference.envoy, difference.host
        );
    }
    if only.is_empty() {
        for known in KNOWN_DIFFERENCES {
            if !found.iter().any(|difference| known.covers(difference)) {
                let _ = writeln!(wrong, "{known}: no such difference any more; remove its reason");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}MODULE_HOST_SCENARIO=NAME runs some scenarios only");
    if only.is_empty() {
        page::is_published(&page::text(&in_envoy, &starts, &found), workspace());
    }
}
