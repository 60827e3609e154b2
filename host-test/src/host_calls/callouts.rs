//! HTTP and gRPC callouts. They belong to the root context, whichever context makes them.

use std::time::Duration;

use super::call::{Call, CallResult, Fault};
use crate::abi::Status;
use crate::callouts::{Delivered, GrpcCall, HttpCall, Kind, Pending};
use crate::record::Message;

/// The headers without which Envoy makes no call.
const REQUIRED: [&str; 3] = [":method", ":path", ":authority"];

#[expect(clippy::too_many_arguments, reason = "the ABI gives it ten")]
pub(super) fn http_call(
    call: &mut Call<'_>,
    cluster: u32,
    cluster_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    trailers: u32,
    trailers_size: u32,
    timeout: u32,
    to_token: u32,
) -> CallResult {
    let cluster = call.read_key(cluster, cluster_size)?;
    let body = call.read(body, body_size)?;
    let headers = call.read_pairs(headers, headers_size)?;
    let trailers = call.read_pairs(trailers, trailers_size)?;
    call.write_u32(to_token, 0)?;
    let has_all = REQUIRED.iter().all(|name| headers.contains(name));
    if timeout.cast_signed() < 0 || !has_cluster(call, &cluster) || !has_all {
        return Err(Status::BadArgument.into());
    }
    let mut request = Message::new(headers);
    if !body.is_empty() {
        request.headers.replace("content-length", body.len().to_string());
        request.body = body;
    }
    request.trailers = Some(trailers).filter(|trailers| !trailers.is_empty());

    let state = call.state();
    let (context, root) = (state.effective, state.root_id());
    let timeout = duration(timeout);
    let deadline = timeout.map(|timeout| state.ahead().saturating_add(timeout));
    let token = state.callouts.next_token(Kind::Http);
    let pending = HttpCall { token, context, cluster, request, timeout };
    let pending = Pending {
        call: pending,
        root,
        deadline,
        is_postponed: false,
        delivered: Delivered::Nothing,
    };
    state.callouts.http.insert(token, pending);
    Ok(call.write_u32(to_token, token)?)
}

#[expect(clippy::too_many_arguments, reason = "the ABI gives it twelve")]
pub(super) fn grpc_call(
    call: &mut Call<'_>,
    upstream: u32,
    upstream_size: u32,
    service: u32,
    service_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    message: u32,
    message_size: u32,
    timeout: u32,
    to_token: u32,
) -> CallResult {
    let begun = begin(
        call,
        (upstream, upstream_size),
        (service, service_size),
        (method, method_size),
        (metadata, metadata_size),
    )?;
    let message = call.read(message, message_size)?;
    let grpc =
        GrpcCall { messages: vec![message], is_ended: true, timeout: duration(timeout), ..begun };
    start(call, grpc, Kind::GrpcCall, to_token)
}

#[expect(clippy::too_many_arguments, reason = "the ABI gives it nine")]
pub(super) fn grpc_stream(
    call: &mut Call<'_>,
    upstream: u32,
    upstream_size: u32,
    service: u32,
    service_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    to_token: u32,
) -> CallResult {
    let begun = begin(
        call,
        (upstream, upstream_size),
        (service, service_size),
        (method, method_size),
        (metadata, metadata_size),
    )?;
    let grpc = GrpcCall { is_stream: true, ..begun };
    start(call, grpc, Kind::GrpcStream, to_token)
}

pub(super) fn grpc_send(
    call: &mut Call<'_>,
    token: u32,
    message: u32,
    message_size: u32,
    ends: u32,
) -> CallResult {
    let message = call.read(message, message_size)?;
    let Some(Kind::GrpcStream) = Kind::of(token) else { return Err(Status::BadArgument.into()) };
    let pending = call.state().callouts.grpc.get_mut(&token).ok_or(Status::NotFound)?;
    pending.call.messages.push(message);
    pending.call.is_ended |= ends != 0;
    Ok(())
}

pub(super) fn grpc_cancel(call: &mut Call<'_>, token: u32) -> CallResult {
    known_kind(token)?;
    call.state().callouts.grpc.remove(&token).ok_or(Status::NotFound)?;
    Ok(())
}

/// Ends a call like [`grpc_cancel`], and a stream in the direction of the upstream, or altogether if
/// the upstream has ended it.
pub(super) fn grpc_close(call: &mut Call<'_>, token: u32) -> CallResult {
    if let Kind::GrpcCall = known_kind(token)? {
        return grpc_cancel(call, token);
    }
    let pending = call.state().callouts.grpc.get_mut(&token).ok_or(Status::NotFound)?;
    pending.call.is_ended = true;
    if pending.delivered == Delivered::All {
        call.state().callouts.grpc.remove(&token);
    }
    Ok(())
}

fn known_kind(token: u32) -> Result<Kind, Status> {
    Kind::of(token).filter(|kind| !matches!(kind, Kind::Http)).ok_or(Status::BadArgument)
}

fn has_cluster(call: &mut Call<'_>, name: &[u8]) -> bool {
    let clusters = call.state().options.clusters.as_ref();
    clusters.is_none_or(|clusters| clusters.iter().any(|cluster| cluster == name))
}

/// Reads what calls and streams have in common, each by its address and length. Envoy takes an
/// upstream that is not an encoded `GrpcService` for the name of a cluster.
fn begin(
    call: &mut Call<'_>,
    upstream: (u32, u32),
    service: (u32, u32),
    method: (u32, u32),
    metadata: (u32, u32),
) -> Result<GrpcCall, Fault<Status>> {
    let upstream = call.read_key(upstream.0, upstream.1)?;
    if !has_cluster(call, &upstream) {
        return Err(Status::ParseFailure.into());
    }
    Ok(GrpcCall {
        token: 0,
        context: 0,
        upstream,
        service: call.read(service.0, service.1)?,
        method: call.read(method.0, method.1)?,
        initial_metadata: call.read_pairs(metadata.0, metadata.1)?,
        is_stream: false,
        messages: Vec::new(),
        is_ended: false,
        timeout: None,
    })
}

fn start(call: &mut Call<'_>, grpc: GrpcCall, kind: Kind, to_token: u32) -> CallResult {
    let state = call.state();
    let (context, root) = (state.effective, state.root_id());
    let deadline = grpc.timeout.map(|timeout| state.ahead().saturating_add(timeout));
    let token = state.callouts.next_token(kind);
    let grpc = GrpcCall { token, context, ..grpc };
    let pending =
        Pending { call: grpc, root, deadline, is_postponed: false, delivered: Delivered::Nothing };
    state.callouts.grpc.insert(token, pending);
    Ok(call.write_u32(to_token, token)?)
}

/// A timeout of 0 is none.
fn duration(milliseconds: u32) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()))
}
