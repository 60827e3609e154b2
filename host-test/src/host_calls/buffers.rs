//! Bodies and configurations.

use super::call::{Call, CallResult};
use crate::abi::{BufferType, Status};

/// The buffer with this number, which is recorded as the target of the call.
fn buffer_type(call: &mut Call<'_>, number: u32) -> Result<BufferType, Status> {
    let buffer = BufferType::from_number(number).ok_or(Status::BadArgument)?;
    call.note_target(buffer.name());
    Ok(buffer)
}

pub(super) fn get(
    call: &mut Call<'_>,
    buffer: u32,
    start: u32,
    length: u32,
    to_data: u32,
    to_size: u32,
) -> CallResult {
    let buffer = buffer_type(call, buffer)?;
    let bytes = call.state().buffer(buffer).ok_or(Status::NotFound)?;
    // A larger length means the whole buffer, because SDKs pass the greatest number.
    let rest = bytes.get(start as usize..).unwrap_or_default();
    let part = rest.get(..length as usize).unwrap_or(rest).to_vec();
    call.give(&part, to_data, to_size)
}

pub(super) fn status(
    call: &mut Call<'_>,
    buffer: u32,
    to_length: u32,
    to_flags: u32,
) -> CallResult {
    let buffer = buffer_type(call, buffer)?;
    let length = call.state().buffer(buffer).ok_or(Status::NotFound)?.len();
    let length = u32::try_from(length).map_err(|_| Status::InternalFailure)?;
    call.write_u32(to_length, length)?;
    Ok(call.write_u32(to_flags, 0)?)
}

/// As in Envoy, the beginning of a body can be replaced, and a body can be prepended to and appended
/// to, but not changed in the middle. A configuration cannot be changed.
pub(super) fn set(
    call: &mut Call<'_>,
    buffer: u32,
    start: u32,
    length: u32,
    data: u32,
    size: u32,
) -> CallResult {
    let buffer = buffer_type(call, buffer)?;
    if call.state().buffer(buffer).is_none() {
        return Err(Status::NotFound.into());
    }
    let data = call.read(data, size)?;
    let body = call.state().body(buffer).ok_or(Status::BadArgument)?;
    let (start, length) = (start as usize, length as usize);
    if start == 0 {
        body.splice(..length.min(body.len()), data);
    } else if start >= body.len() {
        body.extend_from_slice(&data);
    } else {
        return Err(Status::BadArgument.into());
    }
    Ok(())
}

/// The configuration of the plugin while the root context gets it, and then that of the VM.
pub(super) fn get_configuration(call: &mut Call<'_>, to_data: u32, to_size: u32) -> CallResult {
    let state = call.state();
    let configuration = state.plugin_configuration.as_ref();
    let configuration = configuration.unwrap_or(&state.options.vm_configuration).clone();
    call.give(&configuration, to_data, to_size)
}
