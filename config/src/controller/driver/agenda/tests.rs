use super::*;

fn change() -> Changes {
    Changes::of("something")
}

fn endpoints() -> Changes {
    Changes::of_endpoints("d", "web")
}

fn woken(changes: impl Into<Option<Changes>>, awaited: usize) -> Event {
    Event::Woken { changes: changes.into(), awaited }
}

/// One that serves.
fn served(now: Instant) -> Agenda {
    let mut agenda = Agenda::new(false);
    agenda.next(woken(change(), 0), now);
    agenda.next(Event::Compiled, now);
    agenda.next(Event::Applied(End::Served), now);
    agenda
}

#[test]
fn a_change_is_compiled_applied_and_reported() {
    let (now, mut agenda) = (Instant::now(), Agenda::new(false));
    assert_eq!(Agenda::begin(), Step::Wait(None));
    for (event, step) in [
        (woken(change(), 0), Step::Compile),
        (Event::Compiled, Step::Apply),
        (Event::Applied(End::Served), Step::Report),
        (Event::Reported, Step::Wait(None)),
    ] {
        assert_eq!(agenda.next(event, now), step);
    }
    assert!(agenda.changes().is_none());
}

#[test]
fn where_nothing_changes_that_is_served_only_the_report_may() {
    let (now, mut agenda) = (Instant::now(), Agenda::new(false));
    assert_eq!(agenda.next(woken(None, 0), now), Step::Wait(None), "nothing is served");
    assert_eq!(served(now).next(woken(None, 0), now), Step::Report);
}

#[test]
fn endpoints_alone_are_moved_and_compiled_only_if_that_says_more() {
    let (now, mut agenda) = (Instant::now(), Agenda::new(false));
    assert_eq!(agenda.next(woken(endpoints(), 0), now), Step::Compile, "there is nothing yet");
    let mut agenda = served(now);
    assert_eq!(agenda.next(woken(endpoints(), 0), now), Step::MoveEndpoints);
    assert_eq!(agenda.next(Event::EndpointsSayMore, now), Step::Compile);
    let mut agenda = served(now);
    let both = Changes::joined(Some(endpoints()), Some(change()));
    assert_eq!(agenda.next(woken(both, 0), now), Step::Compile);
}

#[test]
fn what_envoy_has_not_confirmed_is_tried_again_later_each_time() {
    let now = Instant::now();
    let mut agenda = served(now);
    agenda.next(woken(change(), 0), now);
    agenda.next(Event::Compiled, now);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let Step::Wait(Some(wait)) = agenda.next(Event::Applied(End::Unknown), now) else {
            panic!("it waits")
        };
        waits.push(wait);
        assert_eq!(agenda.next(woken(None, 0), now), Step::Apply, "it is compiled already");
    }
    assert!(waits[7] > waits[0] * 8, "{waits:?}");
    assert_eq!(agenda.next(woken(change(), 0), now), Step::Compile, "but not with this");
    assert_eq!(agenda.next(Event::Applied(End::Served), now), Step::Report);
    assert_eq!(agenda.next(woken(None, 0), now), Step::Report, "nothing is left");
}

#[test]
fn what_is_refused_is_compiled_without_or_left_until_something_changes() {
    let now = Instant::now();
    let mut agenda = served(now);
    agenda.next(woken(change(), 0), now);
    assert_eq!(agenda.next(Event::Applied(End::Again), now), Step::Compile);
    assert!(agenda.changes().is_some(), "it is not served yet");
    assert_eq!(agenda.next(Event::Applied(End::Refused), now), Step::Wait(None));
    assert_eq!(agenda.next(woken(None, 0), now), Step::Wait(None), "and is not told as served");
    assert_eq!(agenda.next(woken(change(), 0), now), Step::Compile);
}

#[test]
fn new_secrets_are_waited_for_but_not_for_ever() {
    let now = Instant::now();
    let mut agenda = served(now);
    assert_eq!(agenda.next(woken(change(), 2), now), Step::Wait(Some(SECRET_TIMEOUT)));
    let later = now + SECRET_TIMEOUT / 2;
    assert_eq!(agenda.next(woken(None, 1), later), Step::Wait(Some(SECRET_TIMEOUT / 2)));
    let late = now + SECRET_TIMEOUT;
    assert_eq!(agenda.next(woken(None, 1), late), Step::GiveUpOnSecrets);
    assert_eq!(agenda.next(Event::GaveUpOnSecrets, late), Step::Wait(Some(Duration::ZERO)));
    assert_eq!(agenda.next(woken(change(), 0), late), Step::Compile);
}

#[test]
fn at_a_start_each_answer_gives_the_others_more_time() {
    let now = Instant::now();
    let mut agenda = Agenda::new(true);
    assert_eq!(agenda.next(woken(change(), 3), now), Step::Wait(Some(RESTART_TIMEOUT)));
    let later = now + RESTART_TIMEOUT / 2;
    assert_eq!(agenda.next(woken(None, 2), later), Step::Wait(Some(RESTART_TIMEOUT)));
    assert_eq!(agenda.next(woken(None, 0), later), Step::Compile);
    agenda.next(Event::Compiled, later);
    assert_eq!(agenda.next(woken(change(), 1), later), Step::Wait(Some(SECRET_TIMEOUT)));
}
