//! What all plugins of one host share: the clock, shared data and queues.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use crate::abi::Status;
use crate::error::{Error, ErrorKind};
use crate::module::Module;
use crate::options::Options;
use crate::plugin::Plugin;
use crate::vm::Vm;

/// The most events that may follow from one another. A module that puts an item into its own queue
/// for each item never ends.
const MAX_EVENTS: usize = 100_000;

/// A proxy: the plugins in it have one clock, and share data and queues by the id of their VM.
///
/// A test with one plugin needs none, as [`Plugin::new`] makes it.
///
/// ```
/// use std::time::Duration;
/// use proxy_wasm_test::{Host, Module, Options};
///
/// // Each tick, which is every second, puts an item into its queue.
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (import "env" "proxy_set_tick_period_milliseconds" (func $every (param i32) (result i32)))
///         (import "env" "proxy_register_shared_queue"
///             (func $register (param i32 i32 i32) (result i32)))
///         (import "env" "proxy_enqueue_shared_queue"
///             (func $enqueue (param i32 i32 i32) (result i32)))
///         (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
///         (memory (export "memory") 1)
///         (data (i32.const 16) "jobs")
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024)
///         (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
///             (drop (call $register (i32.const 16) (i32.const 4) (i32.const 0)))
///             (drop (call $every (i32.const 1000)))
///             i32.const 1)
///         (func (export "proxy_on_tick") (param i32)
///             (drop (call $enqueue (i32.load (i32.const 0)) (i32.const 16) (i32.const 4))))
///         (func (export "proxy_on_queue_ready") (param i32 i32)
///             (drop (call $log (i32.const 2) (i32.const 16) (i32.const 4)))))"#,
/// )?)?;
/// let host = Host::new();
/// let producer = host.plugin(&module, Options::default().vm_id("jobs"))?;
/// // It registers the same queue later, so it gets the events.
/// let consumer = host.plugin(&module, Options::default().vm_id("jobs"))?;
/// producer.tick()?;
/// assert_eq!(consumer.activity().log.len(), 1);
/// host.advance(Duration::from_secs(3))?;
/// assert_eq!(consumer.activity().log.len(), 7, "both tick three times");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Host {
    shared: Arc<Mutex<Shared>>,
}

/// The state of a host.
#[derive(Default)]
pub(crate) struct Shared {
    /// The time by which the test has advanced the clock.
    ahead: Duration,
    data: BTreeMap<(Vec<u8>, Vec<u8>), SharedValue>,
    last_cas: u32,
    queues: Vec<Queue>,
    /// Queues with a new item: their position.
    ready: VecDeque<usize>,
    vms: Vec<Weak<Mutex<Vm>>>,
}

struct SharedValue {
    value: Vec<u8>,
    cas: u32,
}

struct Queue {
    vm_id: Vec<u8>,
    name: Vec<u8>,
    items: VecDeque<Vec<u8>>,
    /// The root context that registered it last, which gets `proxy_on_queue_ready`.
    vm: usize,
    root: u32,
}

impl Host {
    /// A host without plugins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a plugin in this host, like [`Plugin::with_options`].
    ///
    /// # Errors
    ///
    /// If the module fails, or `proxy_on_vm_start` returns false.
    pub fn plugin(&self, module: &Module, options: Options) -> Result<Plugin, Error> {
        Plugin::start(self, module, options)
    }

    /// Advances the clock. Timers and timeouts of callouts that expire meanwhile run at their time
    /// and in their order.
    ///
    /// # Errors
    ///
    /// If a module fails.
    pub fn advance(&self, by: Duration) -> Result<(), Error> {
        let end = self.lock().ahead.saturating_add(by);
        loop {
            let vms = self.vms();
            // The first of several that are due at the same time.
            let mut next: Option<(Duration, &Arc<Mutex<Vm>>)> = None;
            for vm in &vms {
                let at = lock(vm).next_event().filter(|at| *at <= end);
                if let Some(at) = at
                    && next.is_none_or(|(first, _)| at < first)
                {
                    next = Some((at, vm));
                }
            }
            let Some((at, vm)) = next else { break };
            {
                let mut shared = self.lock();
                shared.ahead = shared.ahead.max(at);
            }
            lock(vm).run_event(at)?;
            self.settle(vm)?;
        }
        self.lock().ahead = end;
        Ok(())
    }

    /// Runs what follows from the last callback in the event loop of a proxy: events of queues, and
    /// the answers that handlers give to callouts. An error of another plugin is left to that one.
    pub(crate) fn settle(&self, own: &Arc<Mutex<Vm>>) -> Result<(), Error> {
        for _ in 0..MAX_EVENTS {
            if !self.run_next(own)? {
                return Ok(());
            }
        }
        Err(ErrorKind::TooManyEvents { limit: MAX_EVENTS }.into())
    }

    /// Runs one event. Returns whether there was one.
    fn run_next(&self, own: &Arc<Mutex<Vm>>) -> Result<bool, Error> {
        let own_error = |vm: &Arc<Mutex<Vm>>, result: Result<bool, Error>| match result {
            Err(error) if Arc::ptr_eq(vm, own) => Err(error),
            result => Ok(result.unwrap_or(false)),
        };
        for vm in self.vms() {
            let result = lock(&vm).settle();
            if own_error(&vm, result)? {
                return Ok(true);
            }
        }
        let Some((vm, root, token)) = self.lock().next_ready() else { return Ok(false) };
        // Events of a plugin that is gone are lost.
        let Some(vm) = vm.upgrade() else { return Ok(true) };
        let result = lock(&vm).queue_ready(root, token);
        own_error(&vm, result.map(|()| true))?;
        Ok(true)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place for one more VM.
    pub(crate) fn reserve(&self) -> usize {
        let mut shared = self.lock();
        shared.vms.push(Weak::new());
        shared.vms.len() - 1
    }

    pub(crate) fn add(&self, place: usize, vm: &Arc<Mutex<Vm>>) {
        if let Some(entry) = self.lock().vms.get_mut(place) {
            *entry = Arc::downgrade(vm);
        }
    }

    fn vms(&self) -> Vec<Arc<Mutex<Vm>>> {
        self.lock().vms.iter().filter_map(Weak::upgrade).collect()
    }
}

/// A VM, locked. A panic of the test in a handler does not break the VM.
pub(crate) fn lock(vm: &Mutex<Vm>) -> MutexGuard<'_, Vm> {
    vm.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The time by which the clock is ahead.
    pub(crate) fn ahead(&self) -> Duration {
        self.ahead
    }

    /// The time since 1970, on a clock that stands at `fixed` or runs with the machine's.
    pub(crate) fn now(&self, fixed: Option<Duration>) -> Duration {
        let time = fixed.unwrap_or_else(|| {
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
        });
        time.saturating_add(self.ahead)
    }

    pub(crate) fn data(&self, vm_id: &[u8], key: &[u8]) -> Option<(Vec<u8>, u32)> {
        let shared = self.data.get(&(vm_id.to_vec(), key.to_vec()))?;
        Some((shared.value.clone(), shared.cas))
    }

    /// Sets a value if it has not changed since `cas` was read. A `cas` of 0 sets it in any case.
    pub(crate) fn set_data(
        &mut self,
        vm_id: &[u8],
        key: Vec<u8>,
        value: Vec<u8>,
        cas: u32,
    ) -> Result<(), Status> {
        let key = (vm_id.to_vec(), key);
        if self.data.get(&key).is_some_and(|shared| cas != 0 && cas != shared.cas) {
            return Err(Status::CasMismatch);
        }
        self.last_cas += 1;
        self.data.insert(key, SharedValue { value, cas: self.last_cas });
        Ok(())
    }

    /// Makes a queue, or takes over its events from the context that registered it before. Returns
    /// its token. Tokens start at 1.
    pub(crate) fn register_queue(
        &mut self,
        vm_id: &[u8],
        name: Vec<u8>,
        vm: usize,
        root: u32,
    ) -> usize {
        if let Some(token) = self.find_queue(vm_id, &name) {
            let queue = &mut self.queues[token - 1];
            (queue.vm, queue.root) = (vm, root);
            return token;
        }
        let items = VecDeque::new();
        self.queues.push(Queue { vm_id: vm_id.to_vec(), name, items, vm, root });
        self.queues.len()
    }

    pub(crate) fn find_queue(&self, vm_id: &[u8], name: &[u8]) -> Option<usize> {
        let is_it = |queue: &Queue| queue.vm_id == vm_id && queue.name == name;
        Some(self.queues.iter().position(is_it)? + 1)
    }

    /// Adds an item, and returns the queue's name.
    pub(crate) fn enqueue(&mut self, token: u32, item: Vec<u8>) -> Result<Vec<u8>, Status> {
        let place = (token as usize).checked_sub(1).ok_or(Status::NotFound)?;
        let queue = self.queues.get_mut(place).ok_or(Status::NotFound)?;
        queue.items.push_back(item);
        self.ready.push_back(place);
        Ok(queue.name.clone())
    }

    /// Takes an item, and returns the queue's name with it.
    pub(crate) fn dequeue(&mut self, token: u32) -> Result<(Vec<u8>, Option<Vec<u8>>), Status> {
        let place = (token as usize).checked_sub(1).ok_or(Status::NotFound)?;
        let queue = self.queues.get_mut(place).ok_or(Status::NotFound)?;
        Ok((queue.name.clone(), queue.items.pop_front()))
    }

    /// The VM, root context and token of the next event.
    fn next_ready(&mut self) -> Option<(Weak<Mutex<Vm>>, u32, u32)> {
        let place = self.ready.pop_front()?;
        let queue = self.queues.get(place)?;
        let vm = self.vms.get(queue.vm)?.clone();
        Some((vm, queue.root, u32::try_from(place + 1).ok()?))
    }
}
