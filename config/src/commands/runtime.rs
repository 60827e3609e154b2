//! The async runtime of the commands that serve.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;

/// Raises the limit of file descriptors of this process and its Envoy to the maximum. It
/// often is 1,024, and each watch of a Secret uses a connection.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Disables transparent huge pages for this process. With pages of 2 MiB, a few bytes keep
/// a whole page in memory: the data of a controller is small and changes, so its memory
/// seemed to grow as long as it ran.
pub(super) fn use_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// The number of threads for blocking work, instead of tokio's 512: the allocator keeps
/// memory for each thread.
const MAX_BLOCKING: usize = 8;

/// Runs `future` to completion. Does not wait for threads that are still blocked, for
/// example on writing a file.
pub(super) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MAX_BLOCKING)
        .enable_all()
        .build()?;
    raise_descriptor_limit();
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}
