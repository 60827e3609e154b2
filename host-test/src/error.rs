//! Errors of the caller, and of host calls.

use std::path::PathBuf;

/// Errors of loading a module and of running a callback.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file of the module cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The bytes are not a WebAssembly module that the engine accepts.
    #[error("cannot compile the module: {message}")]
    Compile {
        /// The message of the engine.
        message: String,
    },
    /// The folder for compiled code cannot be used.
    #[error("cannot cache compiled code in {}: {message}", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// The message of the engine.
        message: String,
    },
    /// The module lacks an export that every Proxy-Wasm module has.
    #[error("the module does not export {name}")]
    MissingExport {
        /// The export, or the alternatives.
        name: String,
    },
    /// An export with a name of the ABI has a different type than in the ABI.
    #[error("the export {name} is not {expected}")]
    BadExport {
        /// The export.
        name: &'static str,
        /// The type in the ABI.
        expected: String,
    },
    /// The module imports functions that this host does not provide.
    #[error("the module has unknown imports: {}", .0.join(", "))]
    UnknownImports(
        /// Each as `module.name`.
        Vec<String>,
    ),
    /// An import has a known name but a different type, or instantiation failed.
    #[error("cannot instantiate the module: {message}")]
    Instantiate {
        /// The message of the engine.
        message: String,
    },
    /// `proxy_on_vm_start` returned false.
    #[error("the module failed to start: proxy_on_vm_start returned false")]
    StartRefused,
    /// The module trapped.
    #[error("{callback} trapped: {message}")]
    Trap {
        /// The callback that trapped.
        callback: &'static str,
        /// The message of the trap.
        message: String,
        /// The functions of the module that were running, innermost first.
        backtrace: String,
    },
    /// The module exceeded its fuel limit, most likely in an endless loop.
    #[error("{callback} exceeded its fuel limit of {limit}")]
    OutOfFuel {
        /// The callback that was cut off.
        callback: &'static str,
        /// The limit, from [`Options::fuel`](crate::Options::fuel).
        limit: u64,
    },
    /// The module exceeded the limit of host calls in one callback.
    #[error("{callback} made more than {limit} host calls")]
    TooManyHostCalls {
        /// The callback that was cut off.
        callback: &'static str,
        /// The limit, from [`Options::max_host_calls`](crate::Options::max_host_calls).
        limit: u64,
    },
    /// The module's allocator returned null when the host needed memory for a
    /// result.
    #[error("{callback}: the module's allocator cannot allocate {size} bytes")]
    AllocationFailed {
        /// The callback that was running.
        callback: &'static str,
        /// The requested number of bytes.
        size: u32,
    },
    /// The module exited.
    #[error("{callback} called proc_exit({code})")]
    ProcExit {
        /// The callback that was running.
        callback: &'static str,
        /// The exit code.
        code: u32,
    },
    /// The VM failed earlier; its memory cannot be trusted.
    #[error("the plugin failed earlier: {cause}")]
    Poisoned {
        /// The message of the first failure.
        cause: String,
    },
}

/// A host call that ends the callback, carried through the engine as its error.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum Abort {
    #[error("proc_exit({0})")]
    ProcExit(u32),
    #[error("cannot allocate {0} bytes")]
    AllocationFailed(u32),
    #[error("too many host calls")]
    TooManyHostCalls,
}
