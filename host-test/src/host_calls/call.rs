//! One host call: access to the module's memory, its result, and its record.

use wasmtime::{AsContextMut, Caller, Extern, Memory};

use crate::abi::{ALLOCATORS, Status};
use crate::error::Abort;
use crate::headers::HeaderMap;
use crate::imports::is_allowed_early;
use crate::record::HostCall;
use crate::state::State;

/// A host call in progress.
pub(crate) struct Call<'c> {
    caller: Caller<'c, State>,
    /// The index of its record.
    index: usize,
}

/// The reason why a host call does not return 0. `C` is the type of its result: [`Status`], or the
/// `errno` of WASI.
pub(crate) enum Fault<C> {
    /// It returns this instead.
    Answer(C),
    /// It does not return: the callback ends here.
    Abort(wasmtime::Error),
}

/// The result of a host call of the ABI.
pub(crate) type CallResult = Result<(), Fault<Status>>;

/// A pointer or length of the module is outside its memory.
pub(crate) struct OutOfBounds;

impl From<OutOfBounds> for Status {
    fn from(OutOfBounds: OutOfBounds) -> Self {
        Self::InvalidMemoryAccess
    }
}

impl From<Status> for Fault<Status> {
    fn from(status: Status) -> Self {
        Self::Answer(status)
    }
}

impl<C: From<OutOfBounds>> From<OutOfBounds> for Fault<C> {
    fn from(fault: OutOfBounds) -> Self {
        Self::Answer(fault.into())
    }
}

impl<C> From<Abort> for Fault<C> {
    fn from(abort: Abort) -> Self {
        Self::Abort(wasmtime::Error::new(abort))
    }
}

impl<'c> Call<'c> {
    /// Runs and records a host call, and returns its result as a number.
    pub(crate) fn run<C: Into<u32>>(
        mut caller: Caller<'c, State>,
        name: &'static str,
        body: impl FnOnce(&mut Self) -> Result<(), Fault<C>>,
    ) -> wasmtime::Result<u32> {
        let state = caller.data_mut();
        if state.is_initializing && !is_allowed_early(name) {
            return Err(wasmtime::Error::new(Abort::Restricted(name)));
        }
        let left = state.host_calls_left.checked_sub(1);
        state.host_calls_left =
            left.ok_or_else(|| wasmtime::Error::new(Abort::TooManyHostCalls))?;
        let calls = &mut state.activity().host_calls;
        let index = calls.len();
        // Recorded first, so that calls of the module's allocator come after it.
        calls.push(HostCall { name, target: "", key: Vec::new(), result: 0 });

        let mut call = Self { caller, index };
        let answer = match body(&mut call) {
            Ok(()) => 0,
            Err(Fault::Answer(answer)) => answer.into(),
            Err(Fault::Abort(error)) => return Err(error),
        };
        call.entry().result = answer;
        Ok(answer)
    }

    /// Records the map, buffer or stream of the call.
    pub(crate) fn note_target(&mut self, target: &'static str) {
        self.entry().target = target;
    }

    /// Records the header, property or other key of the call.
    pub(crate) fn note_key(&mut self, key: &[u8]) {
        self.entry().key = key.to_vec();
    }

    fn entry(&mut self) -> &mut HostCall {
        let index = self.index;
        &mut self.state().activity().host_calls[index]
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.caller.data_mut()
    }

    /// Reads bytes of the module.
    pub(crate) fn read(&mut self, pointer: u32, size: u32) -> Result<Vec<u8>, OutOfBounds> {
        let memory = self.memory()?;
        let data = memory.data(&self.caller).get(pointer as usize..).ok_or(OutOfBounds)?;
        data.get(..size as usize).map(<[u8]>::to_vec).ok_or(OutOfBounds)
    }

    /// Reads the key of the call, and records it.
    pub(crate) fn read_key(&mut self, pointer: u32, size: u32) -> Result<Vec<u8>, OutOfBounds> {
        let key = self.read(pointer, size)?;
        self.note_key(&key);
        Ok(key)
    }

    /// The bytes of the module at this address, to be changed.
    pub(crate) fn bytes_mut(&mut self, pointer: u32, size: u32) -> Result<&mut [u8], OutOfBounds> {
        Ok(self.bytes_and_state_mut(pointer, size)?.0)
    }

    /// The bytes of the module at this address, together with the state of the host.
    pub(crate) fn bytes_and_state_mut(
        &mut self,
        pointer: u32,
        size: u32,
    ) -> Result<(&mut [u8], &mut State), OutOfBounds> {
        let memory = self.memory()?;
        let (data, state) = memory.data_and_store_mut(&mut self.caller);
        let bytes = data.get_mut(pointer as usize..).ok_or(OutOfBounds)?;
        Ok((bytes.get_mut(..size as usize).ok_or(OutOfBounds)?, state))
    }

    pub(crate) fn write_u32(&mut self, pointer: u32, value: u32) -> Result<(), OutOfBounds> {
        self.bytes_mut(pointer, 4)?.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    pub(crate) fn write_u64(&mut self, pointer: u32, value: u64) -> Result<(), OutOfBounds> {
        self.bytes_mut(pointer, 8)?.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Passes bytes to the module: allocates memory in it, and writes their address and length. For
    /// zero bytes nothing is allocated; then both are 0.
    pub(crate) fn give(&mut self, bytes: &[u8], to_data: u32, to_size: u32) -> CallResult {
        let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
        let address = self.place(bytes)?;
        self.write_u32(to_data, address)?;
        Ok(self.write_u32(to_size, size)?)
    }

    /// Copies bytes into memory that the module allocates, and returns their address.
    pub(crate) fn place(&mut self, bytes: &[u8]) -> Result<u32, Fault<Status>> {
        let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
        if size == 0 {
            return Ok(0);
        }
        let address = self.allocate(size)?;
        self.bytes_mut(address, size)?.copy_from_slice(bytes);
        Ok(address)
    }

    /// Reads pairs of the module. As in Envoy, pairs that are malformed or too many are none.
    pub(crate) fn read_pairs(&mut self, pointer: u32, size: u32) -> Result<HeaderMap, OutOfBounds> {
        let bytes = self.read(pointer, size)?;
        Ok(HeaderMap::from_pairs(&bytes).unwrap_or_default())
    }

    /// Calls the module's allocator.
    fn allocate(&mut self, size: u32) -> Result<u32, Fault<Status>> {
        let allocator = ALLOCATORS
            .iter()
            .find_map(|allocator| self.caller.get_export(allocator.name))
            .and_then(Extern::into_func)
            .ok_or(Status::InternalFailure)?;
        let allocator = allocator.typed::<u32, u32>(&self.caller).map_err(Fault::Abort)?;
        match allocator.call(self.caller.as_context_mut(), size).map_err(Fault::Abort)? {
            0 => Err(Abort::AllocationFailed(size).into()),
            address => Ok(address),
        }
    }

    fn memory(&mut self) -> Result<Memory, OutOfBounds> {
        // Looked up by name each time: a start section may call before the instance is ready.
        self.caller.get_export("memory").and_then(Extern::into_memory).ok_or(OutOfBounds)
    }
}
