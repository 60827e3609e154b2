//! Properties.

use super::call::{Call, CallResult};
use crate::abi::Status;

pub(super) fn get(
    call: &mut Call<'_>,
    path: u32,
    path_size: u32,
    to_data: u32,
    to_size: u32,
) -> CallResult {
    let path = call.read_key(path, path_size)?;
    let value = call.state().property(&path)?;
    call.give(&value, to_data, to_size)
}

/// Properties are state of a stream. As in Envoy, a root context cannot set them.
pub(super) fn set(
    call: &mut Call<'_>,
    path: u32,
    path_size: u32,
    value: u32,
    value_size: u32,
) -> CallResult {
    let path = call.read_key(path, path_size)?;
    let value = call.read(value, value_size)?;
    call.state().stream().ok_or(Status::NotFound)?.properties.insert(path, value);
    Ok(())
}
