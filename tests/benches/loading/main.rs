//! Measures the cost of loading a table, and of changing it:
//!
//! ```console
//! $ cargo build --release && cargo bench -p ingress-tests --bench loading
//! ```
//!
//! After `--`: numbers set the number of paths, `rounds=N` the repetitions of the
//! first two parts, `seconds=N` the duration of the changes,
//! `only=compile,module,serve` selects parts, and `short` runs for a minute or two.

mod compile;
mod module;
mod serve;

use ingress_tests::bench::{Arguments, Report};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn main() {
    let arguments = Arguments::of_process();
    let mut report = Report::of("loading", &arguments);
    let rounds = arguments.number("rounds", 7, 2);
    let seconds = arguments.number("seconds", 20, 5);
    let sizes = arguments.sizes(&SIZES);
    if arguments.is_on("compile") {
        for size in &sizes {
            compile::run(*size, rounds, &mut report);
        }
    }
    if arguments.is_on("module") {
        module::run(&sizes, rounds, &mut report);
    }
    if arguments.is_on("serve") {
        for size in &sizes {
            serve::run(*size, seconds, &mut report);
        }
    }
}

/// The budget of the largest table.
fn at_most(size: usize, target: &'static str) -> Option<&'static str> {
    (size == 100_000).then_some(target)
}
