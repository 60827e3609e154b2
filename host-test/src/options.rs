//! Options of a plugin.

use std::collections::BTreeMap;
use std::time::Duration;

use std::fmt;
use std::sync::Arc;

use crate::abi::{LogLevel, Status};
use crate::callouts::{Answer, HttpCall};
use crate::record::property_path;

/// Options of a [`Plugin`](crate::Plugin).
///
/// ```
/// use proxy_wasm_test::{LogLevel, Options};
///
/// let options = Options::default()
///     .root_id("ingress")
///     .log_level(LogLevel::Debug)
///     .property(&["node", "id"], "edge-1");
/// # drop(options);
/// ```
///
/// With limits, an endless loop of the module is an error:
///
/// ```
/// use proxy_wasm_test::{ErrorKind, Module, Options, Plugin};
///
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (memory (export "memory") 1)
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024)
///         (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
///             (loop br 0) i32.const 0))"#,
/// )?)?;
/// let plugin = Plugin::with_options(&module, Options::default().fuel(1_000))?;
/// let error = plugin.run([(":path", "/")], [(":status", "200")]).expect_err("no fuel");
/// assert!(matches!(error.kind(), ErrorKind::OutOfFuel { limit: 1_000, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) configuration: Option<Vec<u8>>,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) vm_id: Vec<u8>,
    pub(crate) fuel: u64,
    pub(crate) max_host_calls: u64,
    pub(crate) memory_limit: usize,
    pub(crate) log_level: LogLevel,
    pub(crate) fixed_time: Option<Duration>,
    pub(crate) random_seed: u64,
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) clusters: Option<Vec<Vec<u8>>>,
    pub(crate) answers: Option<Answers>,
    pub(crate) foreign_functions: BTreeMap<Vec<u8>, ForeignFunction>,
}

/// The handler that answers HTTP calls.
#[derive(Clone)]
pub(crate) struct Answers(Arc<dyn Fn(&HttpCall) -> Answer + Send + Sync>);

impl Answers {
    pub(crate) fn answer(&self, call: &HttpCall) -> Answer {
        (self.0)(call)
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a handler")
    }
}

type Function = dyn Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync;

/// A foreign function of the test.
#[derive(Clone)]
pub(crate) struct ForeignFunction(Arc<Function>);

impl ForeignFunction {
    pub(crate) fn call(&self, arguments: &[u8]) -> Result<Vec<u8>, Status> {
        (self.0)(arguments)
    }
}

impl fmt::Debug for ForeignFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

impl Default for Options {
    fn default() -> Self {
        let options = Self {
            configuration: None,
            vm_configuration: Vec::new(),
            vm_id: Vec::new(),
            fuel: 10_000_000_000,
            max_host_calls: 1_000_000,
            memory_limit: 512 << 20,
            log_level: LogLevel::Info,
            fixed_time: None,
            random_seed: 0,
            properties: BTreeMap::new(),
            environment: Vec::new(),
            clusters: None,
            answers: None,
            foreign_functions: BTreeMap::new(),
        };
        // SDKs read the root id as a property, so it has to be there even when it is empty.
        options.root_id("")
    }
}

impl Options {
    /// The root id, by which a module with several plugins selects one: the property
    /// `plugin_root_id`. Empty by default.
    #[must_use]
    pub fn root_id(self, id: impl Into<Vec<u8>>) -> Self {
        self.property(&["plugin_root_id"], id)
    }

    /// The id of the VM, under which shared queues are looked up. Empty by default.
    #[must_use]
    pub fn vm_id(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.vm_id = id.into();
        self
    }

    /// The configuration of the plugin. A plugin with this option is configured as soon as it has
    /// started, and can read it already when its root context is created, as in Envoy. Without it,
    /// the test configures the plugin ([`Plugin::configure`](crate::Plugin::configure)).
    #[must_use]
    pub fn configuration(mut self, configuration: impl Into<Vec<u8>>) -> Self {
        self.configuration = Some(configuration.into());
        self
    }

    /// The configuration of the VM, which `proxy_on_vm_start` may read. Empty by default.
    #[must_use]
    pub fn vm_configuration(mut self, configuration: impl Into<Vec<u8>>) -> Self {
        self.vm_configuration = configuration.into();
        self
    }

    /// The fuel of each callback, about one per instruction. By default 10¹⁰, which takes about
    /// ten seconds.
    #[must_use]
    pub fn fuel(mut self, per_callback: u64) -> Self {
        self.fuel = per_callback;
        self
    }

    /// The most host calls of a callback. By default a million: the host records each call, so a
    /// loop of them would use up its memory long before the fuel ends.
    #[must_use]
    pub fn max_host_calls(mut self, per_callback: u64) -> Self {
        self.max_host_calls = per_callback;
        self
    }

    /// The largest size of the VM's memory in bytes. By default 512 MiB.
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// The level below which log lines are dropped, and which `proxy_get_log_level` returns. By
    /// default info, as in Envoy.
    #[must_use]
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// Stops the clock at this time since 1970. By default, the module gets the host's clock.
    #[must_use]
    pub fn fixed_time(mut self, since_epoch: Duration) -> Self {
        self.fixed_time = Some(since_epoch);
        self
    }

    /// The seed of `random_get`, which returns the same bytes for the same seed. 0 by default.
    #[must_use]
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.random_seed = seed;
        self
    }

    /// A property that every context can read, by the parts of its path.
    #[must_use]
    pub fn property(mut self, path: &[&str], value: impl Into<Vec<u8>>) -> Self {
        self.properties.insert(property_path(path), value.into());
        self
    }

    /// An environment variable, which the module reads through WASI.
    #[must_use]
    pub fn environment(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The clusters that callouts can name. Calls to others fail at once, as in an Envoy that does
    /// not have them. By default every cluster exists.
    #[must_use]
    pub fn clusters<C: Into<Vec<u8>>>(mut self, clusters: impl IntoIterator<Item = C>) -> Self {
        self.clusters = Some(clusters.into_iter().map(Into::into).collect());
        self
    }

    /// A handler that answers the HTTP calls of the module as soon as the callback that makes them
    /// has returned. Without it, the test answers them with
    /// [`Plugin::answer`](crate::Plugin::answer).
    #[must_use]
    pub fn answer_calls(
        mut self,
        handler: impl Fn(&HttpCall) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.answers = Some(Answers(Arc::new(handler)));
        self
    }

    /// A foreign function that the module can call by this name. It gets the arguments of the
    /// module, and returns the result, or the status that the call returns.
    ///
    /// Envoy's `clear_route_cache` is there without it.
    #[must_use]
    pub fn foreign_function(
        mut self,
        name: impl Into<Vec<u8>>,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync + 'static,
    ) -> Self {
        self.foreign_functions.insert(name.into(), ForeignFunction(Arc::new(function)));
        self
    }
}
