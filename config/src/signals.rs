//! The signals that stop a process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the process: sent by Ctrl-C, a supervisor or a closed
/// terminal.
pub(crate) struct Signals([Signal; 4]);

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        use SignalKind as Kind;
        let [interrupt, terminate, hangup, quit] =
            [Kind::interrupt(), Kind::terminate(), Kind::hangup(), Kind::quit()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?, quit?]))
    }

    pub(crate) async fn received(&mut self) {
        let [interrupt, terminate, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }

    /// The result of `work`; `None` if a signal arrives first.
    pub(crate) async fn unless_received<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            result = work => Some(result),
            () = self.received() => None,
        }
    }
}
