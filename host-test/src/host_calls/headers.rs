//! Maps of headers and trailers.

use super::call::{Call, CallResult};
use crate::abi::{AbiVersion, MapType, Status};
use crate::headers::HeaderMap;
use crate::stream::Phase;

/// The map with this number, which is recorded as the target of the call.
fn map_type(call: &mut Call<'_>, number: u32) -> Result<MapType, Status> {
    let map = MapType::from_number(number).ok_or(Status::BadArgument)?;
    call.note_target(map.name());
    Ok(map)
}

/// The bytes of all names and values. The specification says "the number of pairs"; this is what
/// Envoy does.
pub(super) fn size(call: &mut Call<'_>, map: u32, to: u32) -> CallResult {
    let map = map_type(call, map)?;
    let size = call.state().map_mut(map).ok_or(Status::BadArgument)?.byte_size();
    let size = u32::try_from(size).map_err(|_| Status::InternalFailure)?;
    Ok(call.write_u32(to, size)?)
}

/// For a map that is empty or absent, Envoy returns zero bytes, not a count of 0.
pub(super) fn get_pairs(call: &mut Call<'_>, map: u32, to_data: u32, to_size: u32) -> CallResult {
    let map = map_type(call, map)?;
    let headers = call.state().map(map).filter(|headers| !headers.is_empty());
    let pairs = headers.map_or(Some(Vec::new()), HeaderMap::to_pairs);
    call.give(&pairs.ok_or(Status::SerializationFailure)?, to_data, to_size)
}

pub(super) fn set_pairs(call: &mut Call<'_>, map: u32, data: u32, size: u32) -> CallResult {
    let map = map_type(call, map)?;
    let pairs = call.read_pairs(data, size)?;
    let headers = call.state().map_mut(map).ok_or(Status::BadArgument)?;
    *headers = HeaderMap::new();
    for (name, value) in pairs.iter() {
        headers.add_like_envoy(map, canonical(map, name), value);
    }
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
    let map_type = map_type(call, map)?;
    let name = call.read_key(name, name_size)?;
    let state = call.state();
    let is_first_version = state.version == AbiVersion::V0_1_0;
    let is_logging = state.stream().is_some_and(|stream| stream.phase == Phase::Logging);
    let value = match state.map(map_type) {
        Some(headers) => headers.get(canonical(map_type, &name)).map(<[u8]>::to_vec),
        // In the access log, maps may be missing.
        None if is_logging => None,
        None => return Err(Status::BadArgument.into()),
    };
    match value {
        Some(value) => call.give(&value, to_data, to_size),
        None if is_first_version => call.give(&[], to_data, to_size),
        None => Err(Status::NotFound.into()),
    }
}

pub(super) fn add(
    call: &mut Call<'_>,
    map: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> CallResult {
    let (map, name) = (map_type(call, map)?, call.read_key(name, name_size)?);
    let value = call.read(value, value_size)?;
    let headers = call.state().map_mut(map).ok_or(Status::BadArgument)?;
    headers.add_like_envoy(map, canonical(map, &name), &value);
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
    let (map, name) = (map_type(call, map)?, call.read_key(name, name_size)?);
    let value = call.read(value, value_size)?;
    let headers = call.state().map_mut(map).ok_or(Status::BadArgument)?;
    headers.replace(canonical(map, &name), value);
    Ok(())
}

pub(super) fn remove(call: &mut Call<'_>, map: u32, name: u32, name_size: u32) -> CallResult {
    let (map, name) = (map_type(call, map)?, call.read_key(name, name_size)?);
    let headers = call.state().map_mut(map).ok_or(Status::BadArgument)?;
    headers.remove(canonical(map, &name));
    Ok(())
}

/// Envoy keeps the header `host` of a request as `:authority`.
fn canonical(map: MapType, name: &[u8]) -> &[u8] {
    if map == MapType::RequestHeaders && name.eq_ignore_ascii_case(b"host") {
        return b":authority";
    }
    name
}
