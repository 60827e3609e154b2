//! Runs blocking work outside of the async worker threads.

use tokio::task::spawn_blocking;

/// The result of `work`. A panic of `work` is passed on.
pub(crate) async fn off_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
