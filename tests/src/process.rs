//! Child processes that end with the test.

use std::ffi::OsStr;
use std::fs;
use std::process::{Child, Command, ExitStatus};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

/// A child process; it gets SIGTERM when dropped.
pub struct Process(Child);

impl Process {
    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Starts a [`bound`] command.
    ///
    /// # Panics
    /// If it cannot be run.
    pub(crate) fn spawn_bound(mut command: Command) -> Self {
        // Linux ends a bound process when the thread that started it ends, and the
        // thread of a test ends before the processes that all tests share.
        static SPAWNER: LazyLock<Sender<Box<dyn FnOnce() + Send>>> = LazyLock::new(|| {
            let (jobs, receiver) = channel::<Box<dyn FnOnce() + Send>>();
            thread::spawn(move || receiver.into_iter().for_each(|job| job()));
            jobs
        });
        let (done, child) = channel();
        let spawn = move || {
            let name = format!("{command:?}");
            let _ = done.send(command.spawn().map_err(|error| format!("{name}: {error}")));
        };
        SPAWNER.send(Box::new(spawn)).expect("a thread that lives as long as the process");
        let child = child.recv().expect("the result of spawning");
        Self(child.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Kills it.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Its standard output or error, whichever is piped.
    pub fn output(&mut self) -> Box<dyn std::io::Read + Send> {
        let Child { stdout, stderr, .. } = &mut self.0;
        match (stdout.take(), stderr.take()) {
            (Some(stdout), _) => Box::new(stdout),
            (None, Some(stderr)) => Box::new(stderr),
            (None, None) => Box::new(std::io::empty()),
        }
    }

    /// The processes that it has started.
    ///
    /// # Panics
    /// If it has ended.
    pub fn children(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        let children = fs::read_to_string(children).expect("a running process");
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Asks it to end, as Ctrl-C does, and returns its exit code.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn interrupt(mut self) -> Option<i32> {
        self.signal(Signal::INT);
        self.wait().code()
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("it ends")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// A command that the kernel kills when this process ends for any reason: a test
/// that is killed cannot clean up.
pub(crate) fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            let _ = self.0.wait();
        }
    }
}
