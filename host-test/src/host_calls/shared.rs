//! Data and queues that the contexts of a VM share.

use std::collections::VecDeque;

use super::call::{Call, CallResult};
use crate::abi::Status;
use crate::state::{Queue, SharedValue};

pub(super) fn get_data(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    to_data: u32,
    to_size: u32,
    to_cas: u32,
) -> CallResult {
    let key = call.read_key(key, key_size)?;
    let shared = call.state().shared_data.get(&key).ok_or(Status::NotFound)?;
    let (value, cas) = (shared.value.clone(), shared.cas);
    call.give(&value, to_data, to_size)?;
    Ok(call.write_u32(to_cas, cas)?)
}

/// Sets a value if it has not changed since `cas` was read. A `cas` of 0 sets it in any case.
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
    if state.shared_data.get(&key).is_some_and(|shared| cas != 0 && cas != shared.cas) {
        return Err(Status::CasMismatch.into());
    }
    state.last_cas += 1;
    state.shared_data.insert(key, SharedValue { value, cas: state.last_cas });
    Ok(())
}

pub(super) fn register_queue(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    to: u32,
) -> CallResult {
    let name = call.read_key(name, name_size)?;
    let token = find_queue(call, &name).unwrap_or_else(|| {
        let queues = &mut call.state().queues;
        queues.push(Queue { name, items: VecDeque::new() });
        queues.len()
    });
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
    // There is only one VM, so the queues of all others are unknown.
    if vm_id != call.state().options.vm_id {
        return Err(Status::NotFound.into());
    }
    let token = find_queue(call, &name).ok_or(Status::NotFound)?;
    give_token(call, token, to)
}

/// Does not run `proxy_on_queue_ready`: the module has to poll the queue.
pub(super) fn enqueue(call: &mut Call<'_>, queue: u32, data: u32, size: u32) -> CallResult {
    let item = call.read(data, size)?;
    let queue = call.state().queue(queue).ok_or(Status::NotFound)?;
    queue.items.push_back(item);
    let name = queue.name.clone();
    call.note_key(&name);
    Ok(())
}

pub(super) fn dequeue(call: &mut Call<'_>, queue: u32, to_data: u32, to_size: u32) -> CallResult {
    let queue = call.state().queue(queue).ok_or(Status::NotFound)?;
    let (name, item) = (queue.name.clone(), queue.items.pop_front());
    call.note_key(&name);
    call.give(&item.ok_or(Status::Empty)?, to_data, to_size)
}

fn find_queue(call: &mut Call<'_>, name: &[u8]) -> Option<usize> {
    Some(call.state().queues.iter().position(|queue| queue.name == name)? + 1)
}

fn give_token(call: &mut Call<'_>, token: usize, to: u32) -> CallResult {
    let token = u32::try_from(token).map_err(|_| Status::InternalFailure)?;
    Ok(call.write_u32(to, token)?)
}
