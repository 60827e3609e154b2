//! Saves the last accepted state of Envoy, in the background. It is read only if
//! the controller and Envoy stop together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tracing::warn;

use crate::envoy::Target;
use crate::xds::write_snapshot;

/// The least time between two writes.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) struct Snapshots {
    next: channel::Sender<Option<Arc<Target>>>,
    writing: JoinHandle<()>,
}

impl Snapshots {
    pub(super) fn new(path: PathBuf) -> Self {
        let (next, mut changes) = channel::channel::<Option<Arc<Target>>>(None);
        let writing = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let Some(target) = changes.borrow_and_update().clone() else { continue };
                let to = path.clone();
                let written = spawn_blocking(move || write_snapshot(&to, &target.resources)).await;
                if let Ok(Err(error)) = written {
                    warn!("cannot write {}: {error}", path.display());
                }
                sleep(PERIOD).await;
            }
        });
        Self { next, writing }
    }

    pub(super) fn write_soon(&self, target: Arc<Target>) {
        self.next.send_replace(Some(target));
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.writing.abort();
    }
}
