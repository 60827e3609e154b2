//! The thread that has the objects: it reads them again after each change, and explains
//! requests. The module's plugins cannot change threads.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::document::{self, State};
use super::trial::{self, Trial};
use super::{Objects, Options, Origin, Read};
use crate::compile::Compiled;
use crate::explain::Explainer;
use crate::manifest::{self, Manifests, PathSpec, read_stdin};
use crate::serve::Watcher;
use crate::settings::Settings;

/// The days that are left of certificates change without an event.
const REFRESH_PERIOD: Duration = Duration::from_hours(1);

/// What the page shows, as JSON.
#[derive(Debug)]
pub(super) struct Page {
    /// The digest of the JSON.
    pub(super) version: String,
    pub(super) json: Bytes,
}

/// The newest page, and the thread that makes it.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) newest: watch::Receiver<Arc<Page>>,
    tasks: Sender<Task>,
}

/// A task of the thread.
enum Task {
    /// Files have changed. The end of the channel is awaited: what changes until then is one
    /// change, however often files are saved.
    Changed(Manifests, Sender<()>),
    /// Files are no longer watched.
    Lost(std::io::Error),
    ReadAgain(oneshot::Sender<()>),
    Try(Box<Trial>, oneshot::Sender<Bytes>),
}

impl Pages {
    /// Reads everything again.
    pub(super) async fn read_again(&self) -> anyhow::Result<()> {
        self.ask(Task::ReadAgain).await
    }

    /// The outcome of a request, as JSON.
    pub(super) async fn attempt(&self, trial: Trial) -> anyhow::Result<Bytes> {
        self.ask(|answer| Task::Try(Box::new(trial), answer)).await
    }

    async fn ask<T>(&self, task: impl FnOnce(oneshot::Sender<T>) -> Task) -> anyhow::Result<T> {
        let (sender, answer) = oneshot::channel();
        let ended = "the thread that reads the objects has ended; start the command again";
        self.tasks.send(task(sender)).ok().context(ended)?;
        answer.await.context(ended)
    }
}

/// The files, and what was read from standard input.
struct Files {
    specs: Vec<PathSpec>,
    stdin: Vec<u8>,
}

impl Files {
    fn read(&self) -> Manifests {
        manifest::read(&self.specs, &mut Cursor::new(&self.stdin))
    }
}

/// Reads everything for the first time, and starts to watch the files.
pub(super) async fn start(options: Options) -> anyhow::Result<Pages> {
    let (sender, started) = oneshot::channel();
    thread::spawn(move || {
        let (tasks, queue) = channel();
        let (desk, newest) = match Desk::open(options, &tasks) {
            Ok(opened) => opened,
            Err(error) => return drop(sender.send(Err(error))),
        };
        if sender.send(Ok(Pages { newest, tasks })).is_ok() {
            desk.work(&queue);
        }
    });
    started.await.context("the objects could not be read")?
}

/// What the thread has.
struct Desk {
    files: Files,
    read: Read,
    settings: Settings,
    origin: Origin,
    is_watched: bool,
    objects: Box<dyn Objects>,
    compiled: Compiled,
    /// Why the newest objects could not be read; those before are shown.
    problem: Option<String>,
    /// Started for the first request.
    explainer: Option<Explainer>,
    pages: watch::Sender<Arc<Page>>,
}

impl Desk {
    fn open(
        options: Options,
        tasks: &Sender<Task>,
    ) -> anyhow::Result<(Self, watch::Receiver<Arc<Page>>)> {
        let Options { specs, settings, origin, read, .. } = options;
        let stdin = read_stdin(&specs).context("standard input")?;
        let files = Files { specs, stdin };
        let (is_watched, manifests) = follow(&files, tasks);
        let objects = read(manifests)?;
        let compiled = objects.compile();
        let page = Arc::new(Page { version: String::new(), json: Bytes::new() });
        let (pages, newest) = watch::channel(page);
        let mut desk = Self {
            files,
            read,
            settings,
            origin,
            is_watched,
            objects,
            compiled,
            problem: None,
            explainer: None,
            pages,
        };
        desk.publish()?;
        Ok((desk, newest))
    }

    /// Works until nobody can give tasks any more.
    fn work(mut self, queue: &Receiver<Task>) {
        loop {
            match queue.recv_timeout(self.time_to_refresh()) {
                Ok(Task::Changed(manifests, _shown)) => self.update(manifests),
                Ok(Task::Lost(error)) => {
                    eprintln!("ingressctl: changes of files are no longer shown: {error}");
                    self.is_watched = false;
                    self.tell();
                }
                Ok(Task::ReadAgain(done)) => {
                    self.update(self.files.read());
                    let _ = done.send(());
                }
                Ok(Task::Try(trial, answer)) => drop(answer.send(self.attempt(&trial))),
                Err(RecvTimeoutError::Timeout) => self.refresh(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The time after which certificates may have other findings.
    fn time_to_refresh(&self) -> Duration {
        let due = self.compiled.recheck_at.and_then(|at| at.duration_since(SystemTime::now()).ok());
        due.map_or(REFRESH_PERIOD, |due| due.clamp(Duration::from_secs(1), REFRESH_PERIOD))
    }

    fn update(&mut self, manifests: Manifests) {
        match (self.read)(manifests) {
            Ok(objects) => {
                self.objects = objects;
                self.problem = None;
                self.refresh();
            }
            Err(error) => {
                self.problem = Some(format!("{error:#}"));
                self.tell();
            }
        }
    }

    fn refresh(&mut self) {
        self.compiled = self.objects.compile();
        self.explainer = None;
        self.tell();
    }

    fn tell(&mut self) {
        if let Err(error) = self.publish() {
            eprintln!("ingressctl: the page is not up to date: {error:#}");
        }
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let state = State {
            origin: &self.origin,
            is_watched: self.is_watched,
            problem: self.problem.as_deref(),
            manifests: self.objects.manifests(),
            compiled: &self.compiled,
            now: SystemTime::now(),
        };
        let (version, json) = document::render(&state)?;
        self.pages.send_if_modified(|page| {
            let is_new = page.version != version;
            *page = Arc::new(Page { version, json });
            is_new
        });
        Ok(())
    }

    /// The outcome of a request, or why there is none.
    fn attempt(&mut self, trial: &Trial) -> Bytes {
        let version = self.pages.borrow().version.clone();
        let explainer = match &mut self.explainer {
            Some(explainer) => Ok(explainer),
            none => Explainer::new(&self.compiled.gateway.table, &self.settings)
                .map(|started| none.insert(started)),
        };
        let outcome = explainer.and_then(|explainer| {
            trial::attempt(trial, explainer, &self.compiled, self.objects.has_all_secrets())
        });
        trial::answer(&version, outcome)
    }
}

/// Watches the files, if this system can, and returns what is in them.
fn follow(files: &Files, tasks: &Sender<Task>) -> (bool, Manifests) {
    let watcher = Watcher::with_stdin(&files.specs, files.stdin.clone());
    let started = watcher.and_then(|mut watcher| {
        let manifests = watcher.read()?;
        Ok((watcher, manifests))
    });
    // Without inotify, the page has a button to read the files again.
    let Ok((mut watcher, manifests)) = started else { return (false, files.read()) };
    let tasks = tasks.clone();
    thread::spawn(move || {
        loop {
            let (shown, is_shown) = channel();
            let (task, is_last) = match watcher.changed() {
                Ok(manifests) => (Task::Changed(manifests, shown), false),
                Err(error) => (Task::Lost(error), true),
            };
            if tasks.send(task).is_err() || is_last {
                return;
            }
            // Nothing is sent; it ends with the task.
            let _ = is_shown.recv();
        }
    });
    let is_file = |spec: &PathSpec| *spec != PathSpec::Stdin;
    (files.specs.iter().any(is_file), manifests)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::compile::check;

    struct Plain(Manifests);

    impl Objects for Plain {
        fn manifests(&self) -> &Manifests {
            &self.0
        }

        fn compile(&self) -> Compiled {
            check(&self.0, &Settings::default())
        }

        fn has_all_secrets(&self) -> bool {
            true
        }
    }

    fn problem(pages: &Pages) -> serde_json::Value {
        let json = pages.newest.borrow().json.clone();
        let mut page: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(page["document"]["objects"], 6, "the last objects are shown");
        page["document"]["problem"].take()
    }

    #[tokio::test]
    async fn what_cannot_be_read_again_leaves_the_last_state() {
        let reads = Cell::new(0);
        let read: Read = Box::new(move |manifests| {
            reads.set(reads.get() + 1);
            anyhow::ensure!(reads.get() != 2, "the API is down");
            Ok(Box::new(Plain(manifests)))
        });
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            specs: vec![PathSpec::Path("samples/canary".into())],
            settings: Settings::default(),
            origin: Origin { paths: Vec::new(), live: true },
            read,
        };
        let pages = start(options).await.unwrap();
        assert!(problem(&pages).is_null());
        pages.read_again().await.unwrap();
        assert_eq!(problem(&pages), "the API is down");
        pages.read_again().await.unwrap();
        assert!(problem(&pages).is_null());
    }
}
