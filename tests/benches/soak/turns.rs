//! The events during the load, one after another, in an order set by a seed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use ingress_tests::bench::usage;
use ingress_tests::hostile::{self, Case};
use ingress_tests::ingresses::{ingress, path, rule};
use serde_json::{Value, json};

use crate::site::{Site, host_of, until, value, version_rule};

/// The time limit until a change is served or reported, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// The time limit for an Event: a killed leader keeps its Lease, and the next one
/// writes Events only after the Lease has expired, after 15 seconds.
const EVENT_PATIENCE: Duration = Duration::from_secs(30);

/// The number of hosts that turns have added, before the oldest is removed.
const HOSTS: usize = 5;

/// The number of Ingresses that are added and removed at once.
const MANY: usize = 100;

/// The process that is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    KillsController,
    KillsEnvoy,
}

#[derive(Clone, Copy)]
enum Turn {
    Path,
    Rule,
    Endpoints,
    Host,
    Certificate,
    Hostile,
    Many,
    Pause,
    Kill,
}

/// The turns, in their relative frequency.
const DECK: [Turn; 18] = [
    Turn::Path,
    Turn::Path,
    Turn::Path,
    Turn::Rule,
    Turn::Rule,
    Turn::Endpoints,
    Turn::Endpoints,
    Turn::Endpoints,
    Turn::Host,
    Turn::Host,
    Turn::Certificate,
    Turn::Certificate,
    Turn::Hostile,
    Turn::Hostile,
    Turn::Hostile,
    Turn::Many,
    Turn::Pause,
    Turn::Kill,
];

/// The events so far.
#[derive(Default)]
pub(crate) struct Record {
    /// The duration of each change, by kind.
    pub(crate) times: BTreeMap<&'static str, Vec<Duration>>,
    /// The number of hostile cases that the gateway has handled.
    pub(crate) hostile: usize,
    pub(crate) pauses: usize,
    pub(crate) controller_kills: Vec<Mark>,
    pub(crate) envoy_kills: Vec<Mark>,
}

/// A kill: its time, and the peak of memory until then.
pub(crate) struct Mark {
    pub(crate) at: f64,
    pub(crate) peak_mib: f64,
}

pub(crate) struct Turns<'s, 'a> {
    site: &'s mut Site<'a>,
    start: Instant,
    random: Rng,
    cases: Vec<Case>,
    /// The current hostile case.
    present: Option<usize>,
    /// The current hosts.
    hosts: VecDeque<String>,
    /// The previous path of the probe.
    old_path: Option<String>,
    path: Option<String>,
    count: usize,
    record: Record,
}

impl<'s, 'a> Turns<'s, 'a> {
    pub(crate) fn new(site: &'s mut Site<'a>, start: Instant, seed: u64) -> Self {
        Self {
            site,
            start,
            random: Rng::with_seed(seed),
            cases: hostile::cases(),
            present: None,
            hosts: VecDeque::new(),
            old_path: None,
            path: None,
            count: 0,
            record: Record::default(),
        }
    }

    pub(crate) fn take(&mut self, half: Half) {
        let turn = DECK[self.random.usize(..DECK.len())];
        self.count += 1;
        let result = match turn {
            Turn::Path => self.change_path(),
            Turn::Rule => self.change_rule(),
            Turn::Endpoints => self.change_endpoints(),
            Turn::Host => self.change_hosts(),
            Turn::Certificate => self.rotate_certificate(),
            Turn::Hostile if self.present.is_some() => self.end_hostility(),
            Turn::Hostile => self.begin_hostility(),
            Turn::Many => self.come_and_go(),
            Turn::Pause => self.pause_controller(),
            Turn::Kill if half == Half::KillsController => self.kill_controller(),
            Turn::Kill => self.kill_envoy(),
        };
        if let Err(what) = result {
            let what = format!("{what}, after {:.0} s", self.start.elapsed().as_secs_f64());
            self.site.shared().lose(what);
        }
        thread::sleep(Duration::from_millis(self.random.u64(100..600)));
    }

    /// Checks at the end what must hold after any sequence of turns.
    pub(crate) fn finish(&mut self) {
        let ended = if self.present.is_some() { self.end_hostility() } else { Ok(()) };
        let results = [ended, self.change_path(), self.change_rule(), self.rotate_certificate()];
        results.into_iter().filter_map(Result::err).for_each(|what| self.site.shared().lose(what));
    }

    pub(crate) fn into_record(self) -> Record {
        self.record
    }

    /// Waits until a change is served, and records the time since `start`.
    fn served(
        &mut self,
        kind: &'static str,
        start: Instant,
        mut holds: impl FnMut(&Site<'a>) -> bool,
    ) -> Result<(), String> {
        let site = &*self.site;
        until(&format!("{kind} is served"), PATIENCE, || holds(site))?;
        self.record.times.entry(kind).or_default().push(start.elapsed());
        Ok(())
    }

    fn change_path(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let path = self.write_path();
        self.path_is_served("a path of an Ingress", start, &path)
    }

    /// Changes the path of a host.
    fn write_path(&mut self) -> String {
        let next = format!("/{}", self.count);
        self.site.writer.apply(&probe(&next));
        self.old_path = self.path.replace(next.clone());
        next
    }

    fn path_is_served(
        &mut self,
        kind: &'static str,
        start: Instant,
        path: &str,
    ) -> Result<(), String> {
        self.served(kind, start, |site| site.by("probe.example", path) == "web")?;
        let Some(old) = self.old_path.take().filter(|old| old != path) else { return Ok(()) };
        let gone = || self.site.by("probe.example", &old) == "404";
        until("the previous path is removed", PATIENCE, gone).map(drop)
    }

    fn change_rule(&mut self) -> Result<(), String> {
        let before = self.site.by("turned.example", "/");
        let version = if before == "v1" { "v2" } else { "v1" };
        let start = Instant::now();
        self.site.writer.apply(&version_rule("turned", version));
        self.served("a RouteRule", start, |site| site.by("turned.example", "/") == version)
    }

    fn change_endpoints(&mut self) -> Result<(), String> {
        let is_left = self.site.by("moving.example", "/") != "left";
        let start = Instant::now();
        let name = self.site.move_service(is_left);
        self.served("endpoints", start, |site| site.by("moving.example", "/") == name)
    }

    /// Adds a host with its own service, and removes the oldest one.
    fn change_hosts(&mut self) -> Result<(), String> {
        let name = format!("new-{}", self.count);
        let host = format!("{name}.example");
        let start = Instant::now();
        self.site.create_host(&name);
        self.hosts.push_back(name);
        self.served("a service and its host", start, |site| site.by(&host, "/") == "web")?;
        if self.hosts.len() <= HOSTS {
            return Ok(());
        }
        let Some(oldest) = self.hosts.pop_front() else { return Ok(()) };
        let start = Instant::now();
        self.site.delete_host(&oldest);
        let host = format!("{oldest}.example");
        self.served("that a host is gone", start, |site| site.is_nobodys(&host))
    }

    fn rotate_certificate(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let issued = self.site.rotate();
        self.served("a certificate", start, |site| site.serves(&issued))
    }

    fn begin_hostility(&mut self) -> Result<(), String> {
        let index = self.random.usize(..self.cases.len());
        let Case { name, objects, told } = &self.cases[index];
        self.present = Some(index);
        self.site.create_hostile();
        for object in objects {
            self.site.hostile.create(object);
        }
        until(&format!("an Event on {name}"), EVENT_PATIENCE, || {
            let events = self.site.hostile.list("events");
            let message = |event: &Value| event["message"].as_str().map(str::to_owned);
            events.iter().filter_map(message).any(|message| message.contains(told))
        })?;
        self.record.hostile += 1;
        self.nothing_is_taken(name)
    }

    /// Checks that the victim still has everything that the hostile cases attack.
    fn nothing_is_taken(&self, case: &str) -> Result<(), String> {
        let wanted = [
            ("victim.example", "/.well-known/x", "404"),
            ("below.wild.example", "/", "web"),
            ("hostile.example", "/", "hostile"),
        ];
        for (host, path, by) in wanted {
            let found = self.site.by(host, path);
            if found != by {
                return Err(format!("{case}: {host}{path} is served by {found}, not {by}"));
            }
        }
        Ok(())
    }

    fn end_hostility(&mut self) -> Result<(), String> {
        let present = self.present.take();
        let name = present.map_or("nothing", |index| self.cases[index].name);
        let taken = self.nothing_is_taken(name);
        self.site.delete_hostile();
        let gone = || self.site.by("hostile.example", "/") == "404";
        until("the hostile objects are removed", PATIENCE, gone)?;
        taken
    }

    fn come_and_go(&mut self) -> Result<(), String> {
        let hosts = |index| {
            let mut ingress = host_of(&format!("many-{index}"));
            let paths = &mut ingress["spec"]["rules"][0]["http"]["paths"];
            paths[0]["backend"]["service"]["name"] = json!("web");
            ingress
        };
        let (first, last) = ("many-0.example", format!("many-{}.example", MANY - 1));
        let both = [first, &last];
        (0..MANY).for_each(|index| self.site.writer.apply(&hosts(index)));
        let start = Instant::now();
        self.served("the last of 100 Ingresses", start, |site| {
            both.iter().all(|host| site.by(host, "/") == "web")
        })?;
        (0..MANY).for_each(|index| self.site.writer.delete(&hosts(index)));
        let start = Instant::now();
        self.served("that 100 are gone", start, |site| {
            both.iter().all(|host| site.is_nobodys(host))
        })
    }

    fn pause_controller(&mut self) -> Result<(), String> {
        self.site.gateway.pause_controller();
        let path = self.write_path();
        thread::sleep(Duration::from_millis(self.random.u64(1_000..5_000)));
        self.site.gateway.resume_controller();
        self.record.pauses += 1;
        self.path_is_served("a path after a pause", Instant::now(), &path)
    }

    fn kill_controller(&mut self) -> Result<(), String> {
        let mark = self.mark(self.site.gateway.controller_pid());
        self.record.controller_kills.push(mark);
        self.site.shared().controller.store(0, Ordering::SeqCst);
        self.site.gateway.kill_controller();
        let path = self.write_path();
        let start = Instant::now();
        self.site.gateway.start_controller();
        self.site.publish();
        self.path_is_served("a path after a start of the controller", start, &path)
    }

    fn kill_envoy(&mut self) -> Result<(), String> {
        let mark = self.mark(self.site.gateway.envoy_pid());
        self.record.envoy_kills.push(mark);
        self.site.shared().envoy.store(0, Ordering::SeqCst);
        self.site.shared().begin_outage();
        let start = Instant::now();
        self.site.gateway.restart_envoy();
        self.site.publish();
        let served = self.served("all after a start of Envoy", start, Site::serves_https);
        self.site.shared().end_outage();
        served
    }

    fn mark(&self, pid: u32) -> Mark {
        let peak_mib = usage(pid).map_or(0.0, |usage| usage.peak_mib);
        Mark { at: self.start.elapsed().as_secs_f64(), peak_mib }
    }
}

fn probe(to: &str) -> Value {
    let rules = json!({"rules": [rule("probe.example", &[path(to, "Prefix", "web")])]});
    value(&ingress("probe", &rules))
}
