//! One instance of a module, and calls into it.

use wasmtime::{Extern, Instance, Store, Trap, Val, WasmBacktrace};

use crate::abi::{self, Callback};
use crate::error::{Abort, Error};
use crate::module::Module;
use crate::options::Options;
use crate::record::CallbackRun;
use crate::state::{Root, State, Stream};

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
    pub(crate) fn new(module: &Module, options: Options) -> Result<Self, Error> {
        let pre = module.instance_pre();
        let mut store = Store::new(pre.module().engine(), State::new(options));
        store.limiter(|state| &mut state.limits);
        store.data_mut().enter(0);
        let fuel = refuel(&mut store);
        // Most modules have no start section. If there is one, it can fail like a callback.
        let instance = match pre.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) if error.is::<Trap>() || error.is::<Abort>() => {
                return Err(failure("the start section", fuel, &store, &error));
            }
            Err(error) => return Err(Error::Instantiate { message: format!("{error:#}") }),
        };
        let mut vm = Self { store, instance, failure: None, last_context: 0, root: 0 };
        if vm.exports(abi::INITIALIZE) {
            vm.call(0, abi::INITIALIZE, &[])?;
            vm.call(0, abi::MAIN, &[0, 0])?;
        } else {
            vm.call(0, abi::START, &[])?;
        }
        Ok(vm)
    }

    pub(crate) fn state(&self) -> &State {
        self.store.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// The stream of an exchange. It exists as long as the exchange.
    pub(crate) fn stream(&mut self, id: u32) -> &mut Stream {
        self.state_mut().streams.entry(id).or_default()
    }

    pub(crate) fn memory_size(&mut self) -> usize {
        let memory =
            self.instance.get_export(&mut self.store, "memory").and_then(Extern::into_memory);
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(crate) fn create_root(&mut self) -> Result<u32, Error> {
        self.last_context += 1;
        let id = self.last_context;
        self.state_mut().roots.insert(id, Root::default());
        self.call(id, abi::ON_CONTEXT_CREATE, &[id, 0])?;
        Ok(id)
    }

    pub(crate) fn create_stream(&mut self) -> Result<u32, Error> {
        self.last_context += 1;
        let (id, root) = (self.last_context, self.root);
        self.state_mut().streams.insert(id, Stream { root, ..Stream::default() });
        self.call(id, abi::ON_CONTEXT_CREATE, &[id, root])?;
        Ok(id)
    }

    /// Runs a callback in a context. `None` if the module does not export it, or it returns no
    /// value.
    pub(crate) fn call(
        &mut self,
        context: u32,
        callback: Callback,
        arguments: &[u32],
    ) -> Result<Option<u32>, Error> {
        if let Some(cause) = &self.failure {
            return Err(Error::Poisoned { cause: cause.clone() });
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
            let error = failure(callback.name, fuel, &self.store, &error);
            self.failure = Some(error.to_string());
            return Err(error);
        }
        Ok(results.first().and_then(Val::i32).map(i32::cast_unsigned))
    }

    fn exports(&mut self, callback: Callback) -> bool {
        self.instance.get_func(&mut self.store, callback.name).is_some()
    }
}

/// Sets the fuel for one callback, and returns it.
fn refuel(store: &mut Store<State>) -> u64 {
    let fuel = store.data().options.fuel;
    // The engine rejects fuel only if it is not enabled, and `Module` enables it.
    store.set_fuel(fuel).map_or(0, |()| fuel)
}

/// The reason why a callback did not return.
fn failure(
    callback: &'static str,
    fuel: u64,
    store: &Store<State>,
    error: &wasmtime::Error,
) -> Error {
    match error.downcast_ref::<Abort>() {
        Some(&Abort::ProcExit(code)) => return Error::ProcExit { callback, code },
        Some(&Abort::AllocationFailed(size)) => return Error::AllocationFailed { callback, size },
        Some(Abort::TooManyHostCalls) => {
            let limit = store.data().options.max_host_calls;
            return Error::TooManyHostCalls { callback, limit };
        }
        None => {}
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        return Error::OutOfFuel { callback, limit: fuel };
    }
    Error::Trap {
        callback,
        message: trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string),
        backtrace: error
            .downcast_ref::<WasmBacktrace>()
            .map_or_else(String::new, ToString::to_string),
    }
}
