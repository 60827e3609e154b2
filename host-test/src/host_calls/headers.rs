//! Maps of headers and trailers.

use super::call::{Call, CallResult};
use crate::abi::{MapType, Status};
use crate::headers::HeaderMap;

/// The map with this number, which is recorded as the target of the call.
fn map_type(call: &mut Call<'_>, number: u32) -> Result<MapType, Status> {
    let map = MapType::from_number(number).ok_or(Status::BadArgument)?;
    call.note_target(map.name());
    Ok(map)
}

pub(super) fn size(call: &mut Call<'_>, map: u32, to: u32) -> CallResult {
    let map = map_type(call, map)?;
    let size = call.state().map(map)?.len();
    let size = u32::try_from(size).map_err(|_| Status::InternalFailure)?;
    Ok(call.write_u32(to, size)?)
}

pub(super) fn get_pairs(call: &mut Call<'_>, map: u32, to_data: u32, to_size: u32) -> CallResult {
    let map = map_type(call, map)?;
    let headers = call.state().map(map)?;
    // For an empty map, Envoy returns zero bytes, not a count of 0.
    let pairs = if headers.is_empty() { Some(Vec::new()) } else { headers.to_pairs() };
    call.give(&pairs.ok_or(Status::SerializationFailure)?, to_data, to_size)
}

pub(super) fn set_pairs(call: &mut Call<'_>, map: u32, data: u32, size: u32) -> CallResult {
    let map = map_type(call, map)?;
    let pairs = call.read(data, size)?;
    let headers = call.state().map(map)?;
    // Envoy treats malformed pairs as an empty map; a test should see the mistake.
    *headers = HeaderMap::from_pairs(&pairs).ok_or(Status::ParseFailure)?;
    Ok(())
}

pub(super) fn get(
    call: &mut Call<'_>,
    map: u32,
    name: u32,
    name_size: u32,
    to_data: u32,
    to_size: u32,
) -> CallResult {
    let map = map_type(call, map)?;
    let name = call.read_key(name, name_size)?;
    let value = call.state().map(map)?.get(name).ok_or(Status::NotFound)?.to_vec();
    call.give(&value, to_data, to_size)
}

pub(super) fn add(
    call: &mut Call<'_>,
    map: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> CallResult {
    let map = map_type(call, map)?;
    let name = call.read_key(name, name_size)?;
    let value = call.read(value, value_size)?;
    call.state().map(map)?.add(name, value);
    Ok(())
}

pub(super) fn replace(
    call: &mut Call<'_>,
    map: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> CallResult {
    let map = map_type(call, map)?;
    let name = call.read_key(name, name_size)?;
    let value = call.read(value, value_size)?;
    call.state().map(map)?.replace(name, value);
    Ok(())
}

pub(super) fn remove(call: &mut Call<'_>, map: u32, name: u32, name_size: u32) -> CallResult {
    let map = map_type(call, map)?;
    let name = call.read_key(name, name_size)?;
    call.state().map(map)?.remove(name);
    Ok(())
}
