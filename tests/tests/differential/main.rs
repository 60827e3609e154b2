//! Random requests to random manifests have the same result in a real Envoy as in
//! the offline module. One Envoy runs the whole time: each round, `serve` replaces
//! the manifests with many sets at once, each with its own hosts and services.
//!
//! CONTRIBUTING describes how to run it for hours. Each round is generated from one
//! seed, which a failure prints together with the smallest manifests that reproduce
//! it.

mod outcome;
mod rig;
mod sets;
mod shrink;

use std::env;
use std::time::{Duration, Instant, SystemTime};

use rig::{Difference, Rig};
use sets::{Set, set};

/// The duration in seconds.
const SECONDS: &str = "INGRESS_DIFFERENTIAL";
/// The seed of the first round.
const SEED: &str = "INGRESS_DIFFERENTIAL_SEED";
/// The default duration in seconds.
const SHORT: u64 = 20;

/// The number of sets in each round.
const SETS: u8 = 100;
/// The number of requests to each set.
const REQUESTS: usize = 20;

#[test]
fn envoy_does_what_explain_says() {
    let number = |name| env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seconds = number(SECONDS);
    let since_epoch = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let some_seed = || seconds.map_or(0, |_| since_epoch().unwrap().as_secs() << 20);
    let first: u64 = number(SEED).unwrap_or_else(some_seed);
    let end = Duration::from_secs(seconds.unwrap_or(SHORT));
    let (start, mut told) = (Instant::now(), Instant::now());
    let (mut rig, mut rounds) = (Rig::start(SETS), 0);
    while start.elapsed() < end {
        let seed = first.wrapping_add(rounds);
        let sets = sets_of(seed);
        if let Some(difference) = rig.compare(&sets) {
            panic!("{}\nagain with {SEED}={seed}", explain(&mut rig, difference, &sets));
        }
        rounds += 1;
        if told.elapsed() > Duration::from_mins(1) {
            told = Instant::now();
            report(first, rounds, &rig, start);
        }
    }
    report(first, rounds, &rig, start);
    assert!(rounds > 0 && rig.forwarded * 10 > rig.requests, "too few requests are forwarded");
}

fn report(first: u64, rounds: u64, rig: &Rig, start: Instant) {
    eprintln!(
        "{rounds} rounds from {SEED}={first} in {} s: {} sets of manifests, {} requests, {} of them forwarded, no difference",
        start.elapsed().as_secs(),
        rounds * u64::from(SETS),
        rig.requests,
        rig.forwarded,
    );
}

/// The sets of a round.
fn sets_of(seed: u64) -> Vec<Set> {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = |number| set(number, REQUESTS).new_tree(&mut runner).expect("a set");
    (0..SETS).map(tree).map(|tree| tree.current()).collect()
}

/// Describes a difference, with the smallest manifests that reproduce it.
fn explain(rig: &mut Rig, difference: Difference, sets: &[Set]) -> String {
    let set = &sets[usize::from(difference.set)];
    let Difference { request, .. } = &difference;
    let objects = shrink::smallest(&set.objects, |objects| {
        let set = Set { objects: objects.to_vec(), requests: vec![request.clone()] };
        rig.compare_one(difference.set, &set).is_some()
    });
    let request = String::from_utf8_lossy(&outcome::bytes_of(&difference.request)).into_owned();
    let last = Set { objects: objects.clone(), requests: vec![difference.request.clone()] };
    let last = rig.compare_one(difference.set, &last).unwrap_or(difference);
    let objects: Vec<_> = objects.iter().map(ToString::to_string).collect();
    format!(
        "Envoy: {:#?}\nexplain: {:#?}\n{request}{}",
        last.observed,
        last.explained,
        objects.join("\n---\n")
    )
}
