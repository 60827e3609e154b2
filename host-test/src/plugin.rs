//! A plugin: one VM, its root contexts, and what all of its streams share.

use std::cell::{RefCell, RefMut};
use std::time::Duration;

use crate::abi;
use crate::error::Error;
use crate::exchange::{Exchange, Outcome};
use crate::headers::HeaderMap;
use crate::module::Module;
use crate::options::Options;
use crate::record::{Activity, ExchangeRecord, Message, Metric};
use crate::vm::Vm;

/// A started plugin: its own VM with a root context.
///
/// Nothing is shared between plugins, so tests can run side by side. Any number of exchanges may be
/// open in one plugin at the same time, as in a worker of Envoy.
///
/// ```
/// use proxy_wasm_test::{Module, Plugin};
///
/// // Accepts any configuration that is not empty.
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (memory (export "memory") 1)
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024)
///         (func (export "proxy_on_configure") (param $context i32) (param $size i32) (result i32)
///             (i32.ne (local.get $size) (i32.const 0))))"#,
/// )?)?;
/// let plugin = Plugin::new(&module)?;
/// assert!(plugin.configure("some")?);
/// assert!(!plugin.reload("")?, "the module rejects it and keeps the previous one");
/// assert!(plugin.failure().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Plugin {
    vm: RefCell<Vm>,
}

impl Plugin {
    /// Starts a plugin with default options.
    ///
    /// # Errors
    ///
    /// Same as [`Plugin::with_options`].
    pub fn new(module: &Module) -> Result<Self, Error> {
        Self::with_options(module, Options::default())
    }

    /// Starts a plugin: initializes the module (`_initialize` and `main`, or `_start`), creates a
    /// root context and runs `proxy_on_vm_start`.
    ///
    /// # Errors
    ///
    /// If the module fails in one of them, or `proxy_on_vm_start` returns false.
    pub fn with_options(module: &Module, options: Options) -> Result<Self, Error> {
        let mut vm = Vm::new(module, options)?;
        vm.root = start_root(&mut vm)?;
        Ok(Self { vm: RefCell::new(vm) })
    }

    /// Configures the root context. Returns `false` if the module rejects the configuration. May be
    /// called again with another one; the root context stays the same, which is harder for a module
    /// than [`reload`](Self::reload).
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn configure(&self, configuration: impl AsRef<[u8]>) -> Result<bool, Error> {
        let mut vm = self.vm();
        let root = vm.root;
        configure_root(&mut vm, root, configuration.as_ref())
    }

    /// Reconfigures the plugin as Envoy does: in a new root context of the same VM. If the module
    /// accepts the configuration, new exchanges belong to the new context, and the old one gets
    /// `proxy_on_done` and `proxy_on_delete` once its last exchange has finished. Otherwise the old
    /// one stays, and the new one is deleted.
    ///
    /// # Errors
    ///
    /// If the module fails, or `proxy_on_vm_start` returns false.
    pub fn reload(&self, configuration: impl AsRef<[u8]>) -> Result<bool, Error> {
        let mut vm = self.vm();
        let root = start_root(&mut vm)?;
        let accepted = configure_root(&mut vm, root, configuration.as_ref())?;
        let replaced = if accepted { std::mem::replace(&mut vm.root, root) } else { root };
        if let Some(root) = vm.state_mut().roots.get_mut(&replaced) {
            root.replaced = true;
        }
        delete_replaced_roots(&mut vm)?;
        Ok(accepted)
    }

    /// Runs `proxy_on_tick` in the root context. The host has no timer, so the caller decides when.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn tick(&self) -> Result<(), Error> {
        let mut vm = self.vm();
        let root = vm.root;
        vm.call(root, abi::ON_TICK, &[root])?;
        vm.state_mut().after_callback();
        delete_replaced_roots(&mut vm)
    }

    /// Advances the clock of the module by this duration. Timers that expire run
    /// with the next [`tick`](Self::tick).
    pub fn advance(&self, by: Duration) {
        let mut vm = self.vm();
        let ahead = &mut vm.state_mut().clock_ahead;
        *ahead = ahead.saturating_add(by);
    }

    /// Begins an exchange: creates an HTTP stream.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn exchange(&self) -> Result<Exchange<'_>, Error> {
        let id = self.vm().create_stream()?;
        Ok(Exchange::new(self, id))
    }

    /// Runs a whole exchange: the request, then `response` as that of the upstream, then the end.
    ///
    /// A local reply to the request replaces `response` and runs through the response callbacks, as
    /// in Envoy. If the module pauses or closes the stream, the exchange ends.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn run(
        &self,
        request: impl Into<Message>,
        response: impl Into<Message>,
    ) -> Result<ExchangeRecord, Error> {
        let mut exchange = self.exchange()?;
        match exchange.request(request)? {
            Outcome::Continue => {
                exchange.response(response)?;
            }
            Outcome::LocalReply => {
                exchange.local_response()?;
            }
            Outcome::Pause | Outcome::Closed => {}
        }
        exchange.finish()
    }

    /// The activity of the VM's start and of the root contexts so far.
    pub fn activity(&self) -> Activity {
        self.vm().state().activity.clone()
    }

    /// The metrics that the module has defined, in the order of their definition.
    pub fn metrics(&self) -> Vec<Metric> {
        self.vm().state().metrics.clone()
    }

    /// The value of the counter or gauge with this name.
    pub fn metric(&self, name: &str) -> Option<u64> {
        let vm = self.vm();
        let metric = vm.state().metrics.iter().find(|metric| metric.name == name.as_bytes())?;
        Some(metric.value)
    }

    /// The tick period that the root context has set, if any.
    pub fn tick_period(&self) -> Option<Duration> {
        let vm = self.vm();
        vm.state().roots.get(&vm.root)?.tick_period
    }

    /// A value of the shared data.
    pub fn shared_data(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let vm = self.vm();
        vm.state().shared_data.get(key.as_ref()).map(|shared| shared.value.clone())
    }

    /// The size of the VM's memory in bytes. It only grows.
    pub fn memory_size(&self) -> usize {
        self.vm().memory_size()
    }

    /// The first failure of the plugin, after which it cannot be used, if any.
    pub fn failure(&self) -> Option<String> {
        self.vm().failure().map(str::to_owned)
    }

    /// The VM. No borrow outlives one method of this crate, so there is never a second one.
    pub(crate) fn vm(&self) -> RefMut<'_, Vm> {
        self.vm.borrow_mut()
    }
}

impl<H: Into<HeaderMap>> From<H> for Message {
    fn from(headers: H) -> Self {
        Self::new(headers)
    }
}

fn start_root(vm: &mut Vm) -> Result<u32, Error> {
    let root = vm.create_root()?;
    let size = size_argument(&vm.state().options.vm_configuration);
    match vm.call(root, abi::ON_VM_START, &[root, size])? {
        Some(0) => Err(Error::StartRefused),
        _ => Ok(root),
    }
}

fn configure_root(vm: &mut Vm, root: u32, configuration: &[u8]) -> Result<bool, Error> {
    vm.state_mut().plugin_configuration = Some(configuration.to_vec());
    let result = vm.call(root, abi::ON_CONFIGURE, &[root, size_argument(configuration)]);
    vm.state_mut().plugin_configuration = None;
    vm.state_mut().after_callback();
    Ok(result? != Some(0))
}

/// Deletes replaced root contexts without streams.
pub(crate) fn delete_replaced_roots(vm: &mut Vm) -> Result<(), Error> {
    let state = vm.state();
    let in_use = |id: u32| state.streams.values().any(|stream| stream.root == id);
    let replaced: Vec<u32> = state
        .roots
        .iter()
        .filter(|(id, root)| root.replaced && !in_use(**id))
        .map(|(id, _)| *id)
        .collect();
    for id in replaced {
        if vm.state().roots[&id].done.is_none() {
            let done = vm.call(id, abi::ON_DONE, &[id])? != Some(0);
            if let Some(root) = vm.state_mut().roots.get_mut(&id) {
                // The module may have called `proxy_done` meanwhile.
                root.done = Some(done || root.done == Some(true));
            }
        }
        if vm.state().roots[&id].done == Some(true) {
            vm.call(id, abi::ON_DELETE, &[id])?;
            vm.state_mut().roots.remove(&id);
        }
    }
    Ok(())
}

/// A length as an argument of a callback. A module's memory has less than 4 GiB.
pub(crate) fn size_argument(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
