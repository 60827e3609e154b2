use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::*;

const ERROR: Severity = Severity::Error;
const WARNING: Severity = Severity::Warning;

fn key(name: &str) -> Key {
    let (namespace, name) = name.split_once('/').unwrap_or(("n", name));
    Key { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn want(ledger: &mut Ledger, wanted: &[(&str, Severity)]) -> usize {
    let wanted = wanted.iter().enumerate();
    let wanted = wanted.map(|(index, (name, severity))| (key(name), *severity, index));
    ledger.want(wanted, 3)
}

/// Executes all due writes, and returns them.
fn done(ledger: &mut Ledger, now: Instant) -> Vec<String> {
    let mut actions = Vec::new();
    while let Some(action) = ledger.next(now) {
        assert!(actions.len() < 10, "no end: {actions:?}");
        let what = match &action {
            EventWrite::Create { .. } => "create".to_owned(),
            EventWrite::Refresh { count, .. } => format!("refresh {count}"),
            EventWrite::Delete { .. } => "delete".to_owned(),
        };
        actions.push(format!("{what} {}", action.key().name));
        ledger.did(&action, now);
    }
    actions
}

#[test]
fn errors_come_first_and_nothing_twice() {
    let mut ledger = Ledger::default();
    let now = Instant::now();
    want(&mut ledger, &[("a", WARNING), ("b", ERROR), ("b", ERROR)]);
    assert_eq!(done(&mut ledger, now), ["create b", "create a"]);
    want(&mut ledger, &[("a", WARNING), ("b", ERROR)]);
    assert!(done(&mut ledger, now).is_empty());
}

#[test]
fn what_is_fixed_is_deleted_after_what_is_new() {
    let mut ledger = Ledger::default();
    let now = Instant::now();
    want(&mut ledger, &[("a", ERROR), ("b", ERROR)]);
    done(&mut ledger, now);
    want(&mut ledger, &[("b", ERROR), ("c", WARNING)]);
    assert_eq!(done(&mut ledger, now), ["create c", "delete a"]);
    want(&mut ledger, &[]);
    assert_eq!(done(&mut ledger, now), ["delete b", "delete c"]);
    assert_eq!(ledger.next_due(now), None);
}

#[test]
fn no_more_than_the_limit_and_those_stay() {
    let mut ledger = Ledger::default();
    let now = Instant::now();
    let all = [("b", WARNING), ("c", WARNING), ("d", WARNING), ("e", WARNING)];
    assert_eq!(want(&mut ledger, &all), 1);
    assert_eq!(done(&mut ledger, now), ["create b", "create c", "create d"]);
    let all = [&[("a", WARNING)], &all[..]].concat();
    assert_eq!(want(&mut ledger, &all), 2);
    assert!(done(&mut ledger, now).is_empty());
    let all = [&all[..], &[("f", ERROR)]].concat();
    assert_eq!(want(&mut ledger, &all), 3);
    assert_eq!(done(&mut ledger, now), ["create f", "delete d"]);
}

#[test]
fn what_persists_is_refreshed_every_half_hour() {
    let mut ledger = Ledger::default();
    let start = Instant::now();
    want(&mut ledger, &[("a", ERROR)]);
    done(&mut ledger, start);
    assert_eq!(ledger.next_due(start), Some(start + REFRESH_PERIOD));
    assert_eq!(ledger.next(start + REFRESH_PERIOD.mul_f64(0.99)), None);
    assert_eq!(done(&mut ledger, start + REFRESH_PERIOD), ["refresh 2 a"]);
    assert_eq!(done(&mut ledger, start + REFRESH_PERIOD * 2), ["refresh 3 a"]);
}

#[test]
fn what_the_api_has_dropped_is_written_anew() {
    let mut ledger = Ledger::default();
    let start = Instant::now();
    want(&mut ledger, &[("a", ERROR)]);
    done(&mut ledger, start);
    let later = start + REFRESH_PERIOD;
    let action = ledger.next(later).unwrap();
    assert!(!ledger.failed(&action, &Failure::Gone, later));
    assert_eq!(done(&mut ledger, later), ["create a"]);
}

#[test]
fn what_an_earlier_leader_has_left_is_kept_or_deleted() {
    let now = Instant::now();
    let clock = Timestamp::now();
    let mut ledger = Ledger::default();
    for (name, seconds) in [("kept", 60), ("old", 4_000), ("ahead", -60), ("fixed", 60)] {
        let last = Timestamp::from_second(clock.as_second() - seconds).unwrap();
        let metadata = ObjectMeta {
            namespace: Some("n".to_owned()),
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        let last_timestamp = Some(Time(last));
        let event = Event { metadata, last_timestamp, count: Some(4), ..Event::default() };
        ledger.found(&event, now, clock);
    }
    want(&mut ledger, &[("kept", ERROR), ("old", ERROR), ("ahead", ERROR)]);
    assert_eq!(done(&mut ledger, now), ["delete fixed", "refresh 5 old"]);
}

#[test]
fn one_that_is_there_already_is_taken_over() {
    let mut ledger = Ledger::default();
    let now = Instant::now();
    want(&mut ledger, &[("a", ERROR)]);
    let action = ledger.next(now).unwrap();
    assert!(!ledger.failed(&action, &Failure::Conflict, now));
    assert_eq!(ledger.next(now), None);
    want(&mut ledger, &[]);
    assert_eq!(done(&mut ledger, now), ["delete a"]);
}

#[test]
fn what_is_forbidden_in_one_namespace_waits_there_alone() {
    let now = Instant::now();
    for (failure, is_failure, want_left) in [
        (Failure::Forbidden("no".to_owned()), true, "y/a"),
        (Failure::Gone, false, "y/a"),
        (Failure::Refused("bad".to_owned()), true, "x/b"),
    ] {
        let mut ledger = Ledger::default();
        want(&mut ledger, &[("x/a", ERROR), ("x/b", ERROR), ("y/a", ERROR)]);
        let action = ledger.next(now).unwrap();
        assert_eq!(action.key(), &key("x/a"));
        assert_eq!(ledger.failed(&action, &failure, now), is_failure);
        assert_eq!(ledger.next(now).unwrap().key(), &key(want_left));
        assert!(ledger.is_holding(now));
        assert_eq!(ledger.next_due(now), Some(now + HOLD));
        assert_eq!(ledger.next(now + HOLD), Some(action));
    }
}
