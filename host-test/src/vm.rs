//! One instance of a module, and calls into it.

use std::time::Duration;

use wasmtime::{Extern, Instance, Store, Trap, Val, WasmBacktrace};

use crate::abi::{self, Callback};
use crate::error::{Abort, Error, ErrorKind, Failure};
use crate::module::Module;
use crate::options::Options;
use crate::record::CallbackRun;
use crate::shared::Host;
use crate::state::{Deferred, Root, State};
use crate::stream::{Kind, Stream};

pub(crate) struct Vm {
    store: Store<State>,
    instance: Instance,
    /// The failure after which nothing may run in this VM.
    failure: Option<String>,
    last_context: u32,
    /// The root context that new streams belong to.
    pub(crate) root: u32,
}

impl Vm {
    /// Creates the instance and initializes it.
    pub(crate) fn new(
        module: &Module,
        options: Options,
        host: Host,
        place: usize,
    ) -> Result<Self, Error> {
        let pre = module.instance_pre();
        let state = State::new(options, module.abi_version(), host, place);
        let mut store = Store::new(pre.module().engine(), state);
        store.limiter(|state| &mut state.limits);
        store.data_mut().enter(0);
        store.data_mut().is_initializing = true;
        let fuel = refuel(&mut store);
        // Most modules have no start section. If there is one, it can fail like a callback.
        let instance = match pre.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) if error.is::<Trap>() || error.is::<Abort>() => {
                return Err(failed("the start section", fuel, &mut store, &error));
            }
            Err(error) => {
                return Err(ErrorKind::Instantiate { message: format!("{error:#}") }.into());
            }
        };
        let mut vm = Self { store, instance, failure: None, last_context: 0, root: 0 };
        if vm.exports(abi::INITIALIZE) {
            vm.call(0, abi::INITIALIZE, &[])?;
            let main = if vm.exports(abi::MAIN) { abi::MAIN } else { abi::MAIN_VOID };
            vm.call(0, main, &[0, 0][..main.parameters])?;
        } else {
            vm.call(0, abi::START, &[])?;
        }
        vm.state_mut().is_initializing = false;
        Ok(vm)
    }

    pub(crate) fn state(&self) -> &State {
        self.store.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        self.store.data_mut()
    }

    pub(crate) fn memory_size(&mut self) -> usize {
        let memory =
            self.instance.get_export(&mut self.store, "memory").and_then(Extern::into_memory);
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(crate) fn create_root(&mut self, configuration: &[u8]) -> Result<u32, Error> {
        self.last_context += 1;
        let id = self.last_context;
        self.state_mut().roots.insert(id, Root::default());
        self.state_mut().plugin_configuration = Some(configuration.to_vec());
        let result = self.call(id, abi::ON_CONTEXT_CREATE, &[id, 0]);
        self.state_mut().plugin_configuration = None;
        result?;
        Ok(id)
    }

    pub(crate) fn create_stream(&mut self, kind: Kind) -> Result<u32, Error> {
        self.last_context += 1;
        let (id, root) = (self.last_context, self.root);
        self.state_mut().streams.insert(id, Stream::new(root, kind));
        self.call(id, abi::ON_CONTEXT_CREATE, &[id, root])?;
        Ok(id)
    }

    /// Runs a callback in a context, and then what its host calls have asked for. `None` if the
    /// module does not export it, or it returns no value.
    pub(crate) fn call(
        &mut self,
        context: u32,
        callback: Callback,
        arguments: &[u32],
    ) -> Result<Option<u32>, Error> {
        if let Some(cause) = &self.failure {
            return Err(ErrorKind::Poisoned { cause: cause.clone() }.into());
        }
        let Some(function) = self.instance.get_func(&mut self.store, callback.name) else {
            return Ok(None);
        };
        let arguments: Vec<Val> =
            arguments.iter().map(|argument| Val::I32(argument.cast_signed())).collect();
        let mut result = [Val::I32(0)];
        let results = &mut result[..usize::from(callback.returns)];

        self.store.data_mut().enter(context);
        let fuel = refuel(&mut self.store);
        let outcome = function.call(&mut self.store, &arguments, results);
        let used = fuel - self.store.get_fuel().unwrap_or(0);
        let run = CallbackRun { name: callback.name, fuel: used };
        self.store.data_mut().activity().callbacks.push(run);

        if let Err(error) = outcome {
            let error = failed(callback.name, fuel, &mut self.store, &error);
            return Err(self.fail(error));
        }
        let result = results.first().and_then(Val::i32).map(i32::cast_unsigned);
        self.run_deferred(callback)?;
        Ok(result)
    }

    /// Remembers a failure, after which the VM cannot be used.
    fn fail(&mut self, error: Error) -> Error {
        self.failure = Some(error.kind().to_string());
        error
    }

    /// The error of a module that returned false.
    pub(crate) fn refused(&mut self, kind: ErrorKind) -> Error {
        let failure = failure(&mut self.store, Vec::new());
        Error::with_failure(kind, failure)
    }

    /// An error for what makes Envoy crash.
    pub(crate) fn crash(&mut self, callback: Callback, cause: &'static str) -> Error {
        self.misused(ErrorKind::EnvoyCrash { callback: callback.name, cause })
    }

    /// An error for what the callback that has just run must not do.
    pub(crate) fn misused(&mut self, kind: ErrorKind) -> Error {
        let failure = failure(&mut self.store, Vec::new());
        self.fail(Error::with_failure(kind, failure))
    }

    fn run_deferred(&mut self, callback: Callback) -> Result<(), Error> {
        for action in std::mem::take(&mut self.state_mut().deferred) {
            match action {
                // Envoy replies after the next callback, that for the headers of the request.
                Deferred::Reply(..) if callback == abi::ON_CONTEXT_CREATE => {
                    self.state_mut().deferred.push(action);
                }
                Deferred::Continue(stream, stream_type) => {
                    self.resume(stream, stream_type, callback)?;
                }
                Deferred::Close(stream) => self.close(stream, callback)?,
                Deferred::Reply(stream, reply) => self.reply(stream, reply, callback)?,
            }
        }
        Ok(())
    }

    pub(crate) fn exports(&mut self, callback: Callback) -> bool {
        self.instance.get_func(&mut self.store, callback.name).is_some()
    }

    /// The time of the next timer or timeout.
    pub(crate) fn next_event(&self) -> Option<Duration> {
        if self.failure.is_some() {
            return None;
        }
        let state = self.state();
        let ticks = state.roots.values().filter_map(|root| root.next_tick);
        ticks.chain(state.callouts.next_deadline().map(|(at, _)| at)).min()
    }

    /// Runs the timer or timeout that is due at this time.
    pub(crate) fn run_event(&mut self, at: Duration) -> Result<(), Error> {
        let due = |root: &Root| root.next_tick == Some(at);
        let root = self.state().roots.iter().find(|(_, root)| due(root)).map(|(id, _)| *id);
        match root {
            Some(root) => self.tick(root, at),
            None => self.time_out(at),
        }
    }

    /// Runs the timer of a root context, and starts it again.
    pub(crate) fn tick(&mut self, id: u32, at: Duration) -> Result<(), Error> {
        self.call(id, abi::ON_TICK, &[id])?;
        if let Some(root) = self.state_mut().roots.get_mut(&id) {
            root.next_tick = root.tick_period.map(|period| at.saturating_add(period));
        }
        Ok(())
    }

    pub(crate) fn queue_ready(&mut self, root: u32, token: u32) -> Result<(), Error> {
        if self.failure.is_some() || !self.state().roots.contains_key(&root) {
            return Ok(());
        }
        self.call(root, abi::ON_QUEUE_READY, &[root, token])?;
        Ok(())
    }

    /// Deletes replaced root contexts without streams.
    pub(crate) fn delete_replaced_roots(&mut self) -> Result<(), Error> {
        let state = self.state();
        let in_use = |id: u32| state.streams.values().any(|stream| stream.root == id);
        let replaced: Vec<u32> = state
            .roots
            .iter()
            .filter(|(id, root)| root.replaced && !in_use(**id))
            .map(|(id, _)| *id)
            .collect();
        for id in replaced {
            self.delete_root(id)?;
        }
        Ok(())
    }

    fn delete_root(&mut self, id: u32) -> Result<(), Error> {
        let done = |vm: &Self| vm.state().roots.get(&id).and_then(|root| root.done);
        if done(self).is_none() {
            let result = self.call(id, abi::ON_DONE, &[id])? != Some(0);
            if let Some(root) = self.state_mut().roots.get_mut(&id) {
                root.done = Some(result);
            }
        }
        if done(self) == Some(true) {
            self.call(id, abi::ON_DELETE, &[id])?;
            self.state_mut().roots.remove(&id);
            self.state_mut().callouts.forget(id);
        }
        Ok(())
    }
}

/// Sets the fuel for one callback, and returns it.
fn refuel(store: &mut Store<State>) -> u64 {
    let fuel = store.data().options.fuel;
    // The engine rejects fuel only if it is not enabled, and `Module` enables it.
    store.set_fuel(fuel).map_or(0, |()| fuel)
}

/// The reason why a callback did not return.
fn failed(
    callback: &'static str,
    fuel: u64,
    store: &mut Store<State>,
    error: &wasmtime::Error,
) -> Error {
    let stack = error.downcast_ref::<WasmBacktrace>().map_or_else(Vec::new, stack);
    let kind = match error.downcast_ref::<Abort>() {
        Some(&Abort::AllocationFailed(size)) => ErrorKind::AllocationFailed { callback, size },
        Some(&Abort::Restricted(function)) => ErrorKind::Restricted { callback, function },
        Some(Abort::TooManyHostCalls) => {
            let limit = store.data().options.max_host_calls;
            ErrorKind::TooManyHostCalls { callback, limit }
        }
        None => match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => ErrorKind::OutOfFuel { callback, limit: fuel },
            Some(trap) => ErrorKind::Trap { callback, message: trap.to_string() },
            None => ErrorKind::Trap { callback, message: error.root_cause().to_string() },
        },
    };
    let failure = failure(store, stack);
    Error::with_failure(kind, failure)
}

/// The context that was running, as it is now.
fn failure(store: &mut Store<State>, stack: Vec<String>) -> Failure {
    let state = store.data_mut();
    let activity = state.activity().clone();
    let record = state.streams.get(&state.current).and_then(Stream::exchange_record);
    Failure { log: activity.log, host_calls: activity.host_calls, stack, record }
}

/// The names of the functions that were running, innermost first.
fn stack(backtrace: &WasmBacktrace) -> Vec<String> {
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("function {} (the module has no names)", frame.func_index()),
    };
    backtrace.frames().iter().map(name).collect()
}
