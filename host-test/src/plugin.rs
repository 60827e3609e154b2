//! A plugin: one VM, its root contexts, and what all of its streams share.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::abi;
use crate::callouts::{Answer, GrpcCall, HttpCall};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind};
use crate::exchange::{Exchange, Outcome};
use crate::headers::HeaderMap;
use crate::module::Module;
use crate::options::Options;
use crate::record::{Activity, ExchangeRecord, Message, Metric, property_path};
use crate::shared::{Host, lock};
use crate::stream::{Kind, Tcp};
use crate::vm::Vm;

/// A started plugin: its own VM with a root context.
///
/// Nothing is shared between plugins, except in one [`Host`], so tests can run side by side. Any number of exchanges may be
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
    vm: Arc<Mutex<Vm>>,
    host: Host,
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
    /// root context, runs `proxy_on_vm_start` and, with [`Options::configuration`],
    /// `proxy_on_configure`.
    ///
    /// # Errors
    ///
    /// If the module fails in one of them, or one of the last two returns false.
    pub fn with_options(module: &Module, options: Options) -> Result<Self, Error> {
        Self::start(&Host::new(), module, options)
    }

    pub(crate) fn start(host: &Host, module: &Module, options: Options) -> Result<Self, Error> {
        let place = host.reserve();
        let vm = Arc::new(Mutex::new(Vm::new(module, options, host.clone(), place)?));
        host.add(place, &vm);
        let plugin = Self { vm, host: host.clone() };
        plugin.run_in_vm(|vm| {
            let configuration = vm.state().options.configuration.clone();
            vm.root = start_root(vm, configuration.as_deref().unwrap_or_default())?;
            match configuration {
                Some(configuration) if !configure_root(vm, vm.root, &configuration)? => {
                    Err(vm.refused(ErrorKind::ConfigurationRefused))
                }
                _ => Ok(()),
            }
        })?;
        Ok(plugin)
    }

    /// Configures the root context. Returns `false` if the module rejects the configuration. May be
    /// called again with another one; the root context stays the same, which is harder for a module
    /// than [`reload`](Self::reload).
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn configure(&self, configuration: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.run_in_vm(|vm| configure_root(vm, vm.root, configuration.as_ref()))
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
        let configuration = configuration.as_ref();
        self.run_in_vm(|vm| {
            let root = start_root(vm, configuration)?;
            let accepted = configure_root(vm, root, configuration)?;
            let replaced = if accepted { std::mem::replace(&mut vm.root, root) } else { root };
            if let Some(root) = vm.state_mut().roots.get_mut(&replaced) {
                root.replaced = true;
            }
            Ok(accepted)
        })
    }

    /// Ends the plugin as Envoy does when its filter is removed: the root context gets
    /// `proxy_on_done` and `proxy_on_delete`. Returns its last activity.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn shut_down(self) -> Result<Activity, Error> {
        self.run_in_vm(|vm| {
            for root in vm.state_mut().roots.values_mut() {
                root.replaced = true;
            }
            Ok(())
        })?;
        Ok(self.activity())
    }

    /// Runs the timer of the root context now (`proxy_on_tick`), and starts it again. The clock
    /// does not advance; see [`advance`](Self::advance).
    ///
    /// # Errors
    ///
    /// If the module fails, or has set no tick period ([`ErrorKind::NoTimer`]).
    pub fn tick(&self) -> Result<(), Error> {
        self.run_in_vm(|vm| {
            let (root, now) = (vm.root, vm.state().ahead());
            let has_timer = |vm: &Vm| vm.state().roots.get(&root)?.next_tick;
            if vm.failure().is_none() && has_timer(vm).is_none() {
                return Err(ErrorKind::NoTimer.into());
            }
            vm.tick(root, now)
        })
    }

    /// Advances the clock of the plugin's host by this duration, as [`Host::advance`]: timers and
    /// timeouts of callouts that expire meanwhile run at their time.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn advance(&self, by: Duration) -> Result<(), Error> {
        self.host.advance(by)
    }

    /// Calls a foreign function of the module (`proxy_on_foreign_function`) in the root context.
    /// The module reads the arguments from the buffer `CallData`.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn call_foreign_function(
        &self,
        function: u32,
        arguments: impl Into<Vec<u8>>,
    ) -> Result<(), Error> {
        self.run_in_vm(|vm| {
            let (root, arguments) = (vm.root, arguments.into());
            let size = size_argument(&arguments);
            vm.state_mut().call_data = arguments;
            vm.call(root, abi::ON_FOREIGN_FUNCTION, &[root, function, size])?;
            Ok(())
        })
    }

    /// Begins an exchange: creates an HTTP stream.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn exchange(&self) -> Result<Exchange<'_>, Error> {
        let id = self.run_in_vm(|vm| vm.create_stream(Kind::Http(Box::default())))?;
        Ok(Exchange::new(self, id))
    }

    /// Begins a TCP connection (`proxy_on_new_connection`).
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn connection(&self) -> Result<Connection<'_>, Error> {
        let id = self.run_in_vm(|vm| {
            let id = vm.create_stream(Kind::Tcp(Tcp::default()))?;
            vm.new_connection(id)?;
            Ok(id)
        })?;
        Ok(Connection::new(self, id))
    }

    /// The HTTP calls of the module that have no answer yet.
    pub fn http_calls(&self) -> Vec<HttpCall> {
        self.vm().http_calls()
    }

    /// Answers an HTTP call (`proxy_on_http_call_response`).
    ///
    /// # Errors
    ///
    /// If the module fails, or no call with this token is pending.
    pub fn answer(&self, token: u32, answer: Answer) -> Result<(), Error> {
        self.run_in_vm(|vm| vm.answer(token, answer))
    }

    /// The gRPC calls and streams of the module that have not ended.
    pub fn grpc_calls(&self) -> Vec<GrpcCall> {
        self.vm().grpc_calls()
    }

    /// Delivers the initial metadata of a gRPC stream. Envoy gives a module the headers of the
    /// response, with `:status` and `content-type`, and does so once. It shows a call none.
    ///
    /// # Errors
    ///
    /// If the module fails, or no call with this token is pending.
    pub fn grpc_initial_metadata(
        &self,
        token: u32,
        metadata: impl Into<HeaderMap>,
    ) -> Result<(), Error> {
        self.run_in_vm(|vm| vm.grpc_initial_metadata(token, metadata.into()))
    }

    /// Delivers a message of a gRPC stream, or the answer to a gRPC call, which ends it.
    ///
    /// # Errors
    ///
    /// If the module fails, or no call with this token is pending.
    pub fn grpc_message(&self, token: u32, message: impl Into<Vec<u8>>) -> Result<(), Error> {
        self.run_in_vm(|vm| vm.grpc_message(token, message.into()))
    }

    /// Delivers the trailing metadata of a gRPC stream: Envoy gives a module the trailers of the
    /// response, with `grpc-status` and `grpc-message`. It shows a call none.
    ///
    /// # Errors
    ///
    /// If the module fails, or no call with this token is pending.
    pub fn grpc_trailing_metadata(
        &self,
        token: u32,
        metadata: impl Into<HeaderMap>,
    ) -> Result<(), Error> {
        self.run_in_vm(|vm| vm.grpc_trailing_metadata(token, metadata.into()))
    }

    /// Ends a gRPC stream with this status of the server, or lets a gRPC call fail with it. A call
    /// that ends with status 0 before its message fails with status 13.
    ///
    /// As in Envoy, a stream gets its metadata first, empty if the test has given none, and
    /// `proxy_get_status` returns the message with `{via_upstream}` at its end.
    ///
    /// # Errors
    ///
    /// If the module fails, or no call with this token is pending.
    pub fn grpc_close(
        &self,
        token: u32,
        status: u32,
        message: impl Into<Vec<u8>>,
    ) -> Result<(), Error> {
        self.run_in_vm(|vm| vm.grpc_close(token, status, message.into()))
    }

    /// Ends a gRPC call or stream whose connection breaks.
    ///
    /// # Errors
    ///
    /// If the module fails, or no call with this token is pending.
    pub fn grpc_reset(&self, token: u32) -> Result<(), Error> {
        self.run_in_vm(|vm| vm.grpc_reset(token))
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
        if exchange.request(request)? == Outcome::Continue {
            exchange.response(response)?;
        }
        exchange.finish()
    }

    /// The activity of the VM's start and of the root contexts so far.
    pub fn activity(&self) -> Activity {
        self.vm().state().activity.clone()
    }

    /// The metrics that the module has defined, in the order of their definition.
    pub fn metrics(&self) -> Vec<Metric> {
        self.vm().state().metrics.all().to_vec()
    }

    /// The value of the counter or gauge with this name.
    pub fn metric(&self, name: &str) -> Option<u64> {
        let vm = self.vm();
        let metric =
            vm.state().metrics.all().iter().find(|metric| metric.name == name.as_bytes())?;
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
        let (shared, vm_id) = (self.host.lock(), &vm.state().options.vm_id);
        shared.data(vm_id, key.as_ref()).map(|(value, _)| value)
    }

    /// The size of the VM's memory in bytes. It only grows.
    pub fn memory_size(&self) -> usize {
        self.vm().memory_size()
    }

    /// The first failure of the plugin, after which it cannot be used, if any.
    pub fn failure(&self) -> Option<String> {
        self.vm().failure().map(str::to_owned)
    }

    pub(crate) fn set_property(&self, stream: u32, path: &[&str], value: Vec<u8>) {
        if let Some(stream) = self.vm().state_mut().streams.get_mut(&stream) {
            stream.host_properties.insert(property_path(path), value);
        }
    }

    /// Runs callbacks, and then what follows from them in the event loop.
    pub(crate) fn run_in_vm<T>(
        &self,
        run: impl FnOnce(&mut Vm) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = run(&mut self.vm())?;
        self.host.settle(&self.vm)?;
        Ok(result)
    }

    /// The VM. No lock outlives one method of this crate, so there is never a second one.
    pub(crate) fn vm(&self) -> MutexGuard<'_, Vm> {
        lock(&self.vm)
    }
}

impl<H: Into<HeaderMap>> From<H> for Message {
    fn from(headers: H) -> Self {
        Self::new(headers)
    }
}

fn start_root(vm: &mut Vm, configuration: &[u8]) -> Result<u32, Error> {
    let root = vm.create_root(configuration)?;
    let size = size_argument(&vm.state().options.vm_configuration);
    match vm.call(root, abi::ON_VM_START, &[root, size])? {
        Some(0) => Err(vm.refused(ErrorKind::StartRefused)),
        _ => Ok(root),
    }
}

fn configure_root(vm: &mut Vm, root: u32, configuration: &[u8]) -> Result<bool, Error> {
    vm.state_mut().plugin_configuration = Some(configuration.to_vec());
    let result = vm.call(root, abi::ON_CONFIGURE, &[root, size_argument(configuration)]);
    vm.state_mut().plugin_configuration = None;
    Ok(result? != Some(0))
}

/// A length as an argument of a callback. A module's memory has less than 4 GiB.
pub(crate) fn size_argument(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
