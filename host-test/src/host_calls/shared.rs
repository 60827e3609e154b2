//! Data and queues that the plugins of a host share.

use super::call::{Call, CallResult};
use crate::abi::Status;

pub(super) fn get_data(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    to_data: u32,
    to_size: u32,
    to_cas: u32,
) -> CallResult {
    let key = call.read_key(key, key_size)?;
    let state = call.state();
    let (value, cas) =
        state.host.lock().data(&state.options.vm_id, &key).ok_or(Status::NotFound)?;
    call.give(&value, to_data, to_size)?;
    Ok(call.write_u32(to_cas, cas)?)
}

pub(super) fn set_data(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
    cas: u32,
) -> CallResult {
    let key = call.read_key(key, key_size)?;
    let value = call.read(value, value_size)?;
    let state = call.state();
    Ok(state.host.lock().set_data(&state.options.vm_id, key, value, cas)?)
}

pub(super) fn register_queue(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    to: u32,
) -> CallResult {
    let name = call.read_key(name, name_size)?;
    let state = call.state();
    let (place, root) = (state.place, state.root_id());
    let token = state.host.lock().register_queue(&state.options.vm_id, name, place, root);
    give_token(call, token, to)
}

pub(super) fn resolve_queue(
    call: &mut Call<'_>,
    vm_id: u32,
    vm_id_size: u32,
    name: u32,
    name_size: u32,
    to: u32,
) -> CallResult {
    let vm_id = call.read(vm_id, vm_id_size)?;
    let name = call.read_key(name, name_size)?;
    let state = call.state();
    // Without an id, it is the module's own VM.
    let vm_id = if vm_id.is_empty() { &state.options.vm_id } else { &vm_id };
    let token = state.host.lock().find_queue(vm_id, &name).ok_or(Status::NotFound)?;
    give_token(call, token, to)
}

/// The context that registered the queue gets `proxy_on_queue_ready` after the running callback.
pub(super) fn enqueue(call: &mut Call<'_>, queue: u32, data: u32, size: u32) -> CallResult {
    let item = call.read(data, size)?;
    let name = call.state().host.lock().enqueue(queue, item)?;
    call.note_key(&name);
    Ok(())
}

pub(super) fn dequeue(call: &mut Call<'_>, queue: u32, to_data: u32, to_size: u32) -> CallResult {
    let (name, item) = call.state().host.lock().dequeue(queue)?;
    call.note_key(&name);
    call.give(&item.ok_or(Status::Empty)?, to_data, to_size)
}

fn give_token(call: &mut Call<'_>, token: usize, to: u32) -> CallResult {
    let token = u32::try_from(token).map_err(|_| Status::InternalFailure)?;
    Ok(call.write_u32(to, token)?)
}
