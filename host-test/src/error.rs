//! Errors of the caller, and of host calls.

use std::fmt;
use std::path::PathBuf;

use crate::record::{ExchangeRecord, HostCall, LogLine};

/// The most log lines that the text of an error shows. A panic in Go writes some thirty.
const LINES: usize = 60;

/// The most functions and host calls that it shows.
const SHOWN: usize = 12;

/// An error of loading a module, of running it, or of a test that does what no proxy does.
///
/// Its text says what failed and, if the module was running, the end of the module's log (where
/// SDKs write the message of a panic), its stack, and its last host calls:
///
/// ```
/// use proxy_wasm_test::{ErrorKind, Module, Plugin};
///
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
///         (memory (export "memory") 1)
///         (data (i32.const 16) "panicked: no secret")
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024)
///         (func $start (export "proxy_on_vm_start") (param i32 i32) (result i32)
///             (drop (call $log (i32.const 5) (i32.const 16) (i32.const 19)))
///             unreachable))"#,
/// )?)?;
/// let error = Plugin::new(&module).err().expect("a trap");
/// assert!(matches!(error.kind(), ErrorKind::Trap { callback: "proxy_on_vm_start", .. }));
/// assert!(error.to_string().contains("critical: panicked: no secret"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Error {
    kind: ErrorKind,
    failure: Option<Box<Failure>>,
}

/// What the module did before it failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure {
    pub(crate) log: Vec<LogLine>,
    pub(crate) host_calls: Vec<HostCall>,
    pub(crate) stack: Vec<String>,
    pub(crate) record: Option<ExchangeRecord>,
}

impl Error {
    pub(crate) fn with_failure(kind: ErrorKind, failure: Failure) -> Self {
        Self { kind, failure: Some(Box::new(failure)) }
    }

    /// What failed.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The log of the context that failed, up to the failure.
    pub fn log(&self) -> &[LogLine] {
        self.failure.as_deref().map_or(&[], |failure| &failure.log)
    }

    /// The host calls of the context that failed, in order.
    pub fn host_calls(&self) -> &[HostCall] {
        self.failure.as_deref().map_or(&[], |failure| &failure.host_calls)
    }

    /// The functions of the module that were running, innermost first. Their names come from the
    /// module's name section.
    pub fn stack(&self) -> &[String] {
        self.failure.as_deref().map_or(&[], |failure| &failure.stack)
    }

    /// The record of the exchange that failed, up to the failure.
    pub fn record(&self) -> Option<&ExchangeRecord> {
        self.failure.as_deref()?.record.as_ref()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, failure: None }
    }
}

impl fmt::Debug for Error {
    /// The same text: it is what `unwrap` and a failed test print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        let Some(failure) = &self.failure else { return Ok(()) };
        write_last(f, "log", &failure.log, LINES)?;
        if !failure.stack.is_empty() {
            f.write_str("\n  stack:")?;
            for function in failure.stack.iter().take(SHOWN) {
                write!(f, "\n    {function}")?;
            }
        }
        write_last(f, "last host calls", &failure.host_calls, SHOWN)
    }
}

fn write_last<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    entries: &[T],
    most: usize,
) -> fmt::Result {
    let shown = &entries[entries.len().saturating_sub(most)..];
    if shown.is_empty() {
        return Ok(());
    }
    write!(f, "\n  {title}:")?;
    if shown.len() < entries.len() {
        write!(f, " (the last {most} of {})", entries.len())?;
    }
    for entry in shown {
        // Lines of one entry stay together, as a panic's message has several.
        write!(f, "\n    {}", entry.to_string().replace('\n', "\n      "))?;
    }
    Ok(())
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file of the module cannot be read.
    #[error("cannot read {}: {source}", path.display())]
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
    /// The module imports functions that neither Envoy nor this host provides.
    #[error("the module has imports that Envoy does not provide: {}", .0.join(", "))]
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
    /// `proxy_on_configure` returned false for the configuration of the options.
    #[error("the module rejects its configuration: proxy_on_configure returned false")]
    ConfigurationRefused,
    /// The module trapped.
    #[error("{callback} trapped: {message}")]
    Trap {
        /// The callback that trapped.
        callback: &'static str,
        /// The message of the trap.
        message: String,
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
    /// Events of queues and answers to callouts follow from one another without an end.
    #[error("more than {limit} events of queues and answers to callouts followed from one call")]
    TooManyEvents {
        /// The limit.
        limit: usize,
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
    /// The module called a function that Envoy does not allow while the module is initialized.
    #[error("{callback} called {function}, which Envoy allows only after the initialization")]
    Restricted {
        /// The export that was running.
        callback: &'static str,
        /// The host function.
        function: &'static str,
    },
    /// The module did what makes Envoy crash.
    #[error("{callback}: {cause}; Envoy crashes here (segmentation fault)")]
    EnvoyCrash {
        /// The callback that was running.
        callback: &'static str,
        /// What the module did.
        cause: &'static str,
    },
    /// The module did what makes Envoy break the stream.
    #[error("{callback}: {cause}; Envoy breaks the stream here")]
    BrokenStream {
        /// The callback that was running.
        callback: &'static str,
        /// What the module did.
        cause: &'static str,
    },
    /// The VM failed earlier; its memory cannot be trusted.
    #[error("the plugin failed earlier: {cause}")]
    Poisoned {
        /// The message of the first failure.
        cause: String,
    },
    /// The test delivers a part in an order in which no proxy delivers it.
    #[error("{0}")]
    OutOfOrder(
        /// What is wrong.
        &'static str,
    ),
    /// The test ticks a plugin that has no timer.
    #[error("the module has set no tick period, so its timer never expires")]
    NoTimer,
    /// The test answers a callout that is not pending.
    #[error("no callout with token {token} is pending")]
    UnknownCall {
        /// The token.
        token: u32,
    },
}

/// A host call that ends the callback, carried through the engine as its error.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum Abort {
    #[error("cannot allocate {0} bytes")]
    AllocationFailed(u32),
    #[error("too many host calls")]
    TooManyHostCalls,
    #[error("{0} is restricted")]
    Restricted(&'static str),
}
