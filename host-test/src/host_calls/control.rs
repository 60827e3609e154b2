//! Log, clock, contexts, and the control of streams.

use std::time::Duration;

use super::call::{Call, CallResult};
use crate::abi::{LogLevel, Status, StreamType};
use crate::record::{LocalReply, LogLine};
use crate::state::{Deferred, Root};

/// The greatest status of gRPC, `UNAUTHENTICATED`.
const LAST_GRPC_STATUS: u32 = 16;

pub(super) fn log(call: &mut Call<'_>, level: u32, data: u32, size: u32) -> CallResult {
    let level = LogLevel::from_number(level).ok_or(Status::BadArgument)?;
    call.note_target(level.name());
    let message = call.read(data, size)?;
    write_log(call, level, message);
    Ok(())
}

/// Records a log line, unless its level is below the limit.
pub(crate) fn write_log(call: &mut Call<'_>, level: LogLevel, message: Vec<u8>) {
    let state = call.state();
    if level >= state.options.log_level {
        state.activity().log.push(LogLine { level, message });
    }
}

pub(super) fn log_level(call: &mut Call<'_>, to: u32) -> CallResult {
    let level = call.state().options.log_level;
    Ok(call.write_u32(to, level.into())?)
}

pub(super) fn current_time(call: &mut Call<'_>, to: u32) -> CallResult {
    let now = call.state().now();
    Ok(call.write_u64(to, now)?)
}

/// Starts the timer, unless it is running already; then the new period begins with the next tick.
pub(super) fn set_tick_period(call: &mut Call<'_>, period: u32) -> CallResult {
    let state = call.state();
    let (id, now) = (state.root_id(), state.ahead());
    let root = state.roots.get_mut(&id).ok_or(Status::BadArgument)?;
    let period = (period > 0).then(|| Duration::from_millis(period.into()));
    if root.tick_period.is_none() {
        root.next_tick = period.map(|period| now.saturating_add(period)).or(root.next_tick);
    }
    root.tick_period = period;
    Ok(())
}

pub(super) fn set_effective_context(call: &mut Call<'_>, context: u32) -> CallResult {
    let state = call.state();
    if !state.has_context(context) {
        return Err(Status::BadArgument.into());
    }
    state.effective = context;
    Ok(())
}

/// Ends the wait of a root context that returned false from `proxy_on_done`.
pub(super) fn done(call: &mut Call<'_>) -> CallResult {
    let state = call.state();
    let id = state.root_id();
    let waits = |root: &&mut Root| root.done == Some(false);
    let root = state.roots.get_mut(&id).filter(waits).ok_or(Status::NotFound)?;
    root.done = Some(true);
    Ok(())
}

pub(super) fn call_foreign_function(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    arguments: u32,
    arguments_size: u32,
    to_data: u32,
    to_size: u32,
) -> CallResult {
    let name = call.read_key(name, name_size)?;
    let arguments = call.read(arguments, arguments_size)?;
    let result = match call.state().options.foreign_functions.get(&name).cloned() {
        Some(function) => function.call(&arguments),
        None if name == b"clear_route_cache" => Ok(Vec::new()),
        None => return Err(Status::NotFound.into()),
    };
    let (status, bytes) = match result {
        Ok(bytes) => (Status::Ok, bytes),
        Err(status) => (status, Vec::new()),
    };
    // A module that wants no result gives no place for it.
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
    if to_data != 0 {
        let address = call.place(&bytes)?;
        call.write_u32(to_data, address)?;
    }
    if to_size != 0 {
        call.write_u32(to_size, size)?;
    }
    match status {
        Status::Ok => Ok(()),
        status => Err(status.into()),
    }
}

/// The status of the last callout, or of the answer whose callback is running.
pub(super) fn get_status(
    call: &mut Call<'_>,
    to_code: u32,
    to_data: u32,
    to_size: u32,
) -> CallResult {
    let (code, message) = call.state().callouts.status.clone();
    call.write_u32(to_code, code)?;
    call.give(&message, to_data, to_size)
}

/// The stream with this number, which is recorded as the target of the call.
fn stream_type(call: &mut Call<'_>, number: u32) -> Result<StreamType, Status> {
    let stream = StreamType::from_number(number).ok_or(Status::BadArgument)?;
    call.note_target(stream.name());
    Ok(stream)
}

/// Takes effect after the callback, as in Envoy, but what belongs to the request is gone at once.
pub(super) fn continue_stream(call: &mut Call<'_>, stream: u32) -> CallResult {
    let stream_type = stream_type(call, stream)?;
    if stream_type == StreamType::Upstream {
        return Err(Status::Unimplemented.into());
    }
    let state = call.state();
    let id = state.effective;
    if let Some(stream) = state.stream()
        && (stream.http().is_some() || stream_type == StreamType::Downstream)
    {
        state.deferred.push(Deferred::Continue(id, stream_type));
    }
    if let Some(http) = state.http() {
        let request = &mut http.request;
        request.headers_open = false;
        request.trailers_open = false;
    }
    Ok(())
}

pub(super) fn continue_request(call: &mut Call<'_>) -> CallResult {
    continue_stream(call, StreamType::HttpRequest.into())
}

pub(super) fn continue_response(call: &mut Call<'_>) -> CallResult {
    continue_stream(call, StreamType::HttpResponse.into())
}

/// There are no routes, so there is nothing to clear.
#[expect(clippy::unnecessary_wraps, reason = "all host calls have this type")]
pub(super) fn clear_route_cache(_: &mut Call<'_>) -> CallResult {
    Ok(())
}

/// A stream is closed as a whole, whichever of its sides is named. The sides of the other kind of
/// stream do nothing.
pub(super) fn close_stream(call: &mut Call<'_>, stream: u32) -> CallResult {
    let stream_type = stream_type(call, stream)?;
    let is_of_http = matches!(stream_type, StreamType::HttpRequest | StreamType::HttpResponse);
    let state = call.state();
    let id = state.effective;
    if state.stream().is_some_and(|stream| stream.http().is_some() == is_of_http) {
        state.deferred.push(Deferred::Close(id));
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI gives it eight")]
pub(super) fn send_local_response(
    call: &mut Call<'_>,
    status: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc_status: i32,
) -> CallResult {
    let details = call.read(details, details_size)?;
    let body = call.read(body, body_size)?;
    let headers = call.read_pairs(headers, headers_size)?;
    let reply = LocalReply {
        status,
        // Envoy replaces white space, because the details are one field of an access log.
        details: details
            .iter()
            .map(|byte| if byte.is_ascii_whitespace() { b'_' } else { *byte })
            .collect(),
        headers,
        body,
        // SDKs pass -1 for no status.
        grpc_status: u32::try_from(grpc_status).ok().filter(|status| *status <= LAST_GRPC_STATUS),
    };
    let state = call.state();
    let id = state.effective;
    if state.http().is_some() {
        state.deferred.push(Deferred::Reply(id, reply));
    }
    Ok(())
}
