//! The examples run, and find what they expect.

#[path = "../examples/budget.rs"]
#[allow(dead_code, reason = "its `main` is called by the test")]
mod budget;
#[path = "../examples/callout.rs"]
#[allow(dead_code, reason = "its `main` is called by the test")]
mod callout;
#[path = "../examples/grpc.rs"]
#[allow(dead_code, reason = "its `main` is called by the test")]
mod grpc;
#[path = "../examples/queue.rs"]
#[allow(dead_code, reason = "its `main` is called by the test")]
mod queue;
#[path = "../examples/tcp.rs"]
#[allow(dead_code, reason = "its `main` is called by the test")]
mod tcp;
#[path = "../examples/timer.rs"]
#[allow(dead_code, reason = "its `main` is called by the test")]
mod timer;

type Example = fn() -> Result<(), Box<dyn std::error::Error>>;

#[test]
fn every_example_runs() {
    let examples: [(&str, Example); 6] = [
        ("budget", budget::main),
        ("callout", callout::main),
        ("grpc", grpc::main),
        ("queue", queue::main),
        ("tcp", tcp::main),
        ("timer", timer::main),
    ];
    for (name, example) in examples {
        if let Err(error) = example() {
            panic!("{name}: {error}");
        }
    }
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    assert_eq!(folder.expect("a folder").count(), examples.len(), "an example is not run");
}
