//! Options of a plugin.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::abi::LogLevel;
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
/// use proxy_wasm_test::{Error, Module, Options, Plugin};
///
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (memory (export "memory") 1)
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024)
///         (func (export "proxy_on_tick") (param i32) (loop br 0)))"#,
/// )?)?;
/// let plugin = Plugin::with_options(&module, Options::default().fuel(1_000))?;
/// assert!(matches!(plugin.tick(), Err(Error::OutOfFuel { limit: 1_000, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) vm_id: Vec<u8>,
    pub(crate) fuel: u64,
    pub(crate) max_host_calls: u64,
    pub(crate) memory_limit: usize,
    pub(crate) log_level: LogLevel,
    pub(crate) fixed_time: Option<Duration>,
    pub(crate) random_seed: u64,
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        let options = Self {
            vm_configuration: Vec::new(),
            vm_id: Vec::new(),
            fuel: 10_000_000_000,
            max_host_calls: 1_000_000,
            memory_limit: 512 << 20,
            log_level: LogLevel::Info,
            fixed_time: None,
            random_seed: 0,
            properties: BTreeMap::new(),
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
}
