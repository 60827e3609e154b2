//! Log, clock, contexts, and the control of streams.

use std::time::Duration;

use super::call::{Call, CallResult};
use crate::abi::{LogLevel, Status, StreamType};
use crate::headers::HeaderMap;
use crate::record::{LocalReply, LogLine};

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

pub(super) fn set_tick_period(call: &mut Call<'_>, period: u32) -> CallResult {
    let root = call.state().root().ok_or(Status::BadArgument)?;
    root.tick_period = (period > 0).then(|| Duration::from_millis(period.into()));
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
    let root = call.state().root().filter(|root| root.replaced).ok_or(Status::NotFound)?;
    root.done = Some(true);
    Ok(())
}

pub(super) fn call_foreign_function(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    arguments: u32,
    arguments_size: u32,
    _to_data: u32,
    _to_size: u32,
) -> CallResult {
    call.read_key(name, name_size)?;
    call.read(arguments, arguments_size)?;
    Err(Status::NotFound.into())
}

/// The status of the last callout. There are no callouts, so it is 0 without a message.
pub(super) fn get_status(
    call: &mut Call<'_>,
    to_code: u32,
    to_data: u32,
    to_size: u32,
) -> CallResult {
    call.write_u32(to_code, 0)?;
    call.give(&[], to_data, to_size)
}

/// The stream with this number, which is recorded as the target of the call.
fn stream_type(call: &mut Call<'_>, number: u32) -> Result<StreamType, Status> {
    let stream = StreamType::from_number(number).ok_or(Status::BadArgument)?;
    call.note_target(stream.name());
    Ok(stream)
}

pub(super) fn continue_stream(call: &mut Call<'_>, stream: u32) -> CallResult {
    let stream_type = stream_type(call, stream)?;
    let stream = call.state().stream().ok_or(Status::BadArgument)?;
    stream.side(stream_type).ok_or(Status::Unimplemented)?.resumed = true;
    Ok(())
}

pub(super) fn close_stream(call: &mut Call<'_>, stream: u32) -> CallResult {
    stream_type(call, stream)?;
    // An HTTP stream is reset as a whole, whichever side is named.
    call.state().stream().ok_or(Status::BadArgument)?.closed = true;
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
    let headers = call.read(headers, headers_size)?;
    let headers = HeaderMap::from_pairs(&headers).ok_or(Status::ParseFailure)?;
    let stream = call.state().stream().ok_or(Status::BadArgument)?;
    stream.reply(LocalReply {
        status,
        details,
        headers,
        body,
        // SDKs pass -1 for no status.
        grpc_status: u32::try_from(grpc_status).ok(),
    });
    Ok(())
}
