//! Fault injection (`httpFault`).

use ingress_filter::table::{Abort, AbortStatus, Delay, Fault};

use super::values::{duration, integer, override_header, percent};
use crate::finding::{Code, quote};
use crate::objects::Cursor;

/// The statuses of gRPC, by their number.
const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const LAST_GRPC_STATUS: u8 = 16;

/// Also `None` if it applies to no request.
pub(super) fn read(cursor: &Cursor<'_>) -> Option<Fault> {
    cursor.only(&["delay", "abort"]);
    if cursor.field("delay").is_none() && cursor.field("abort").is_none() {
        cursor.report(
            Code::FieldMissing,
            "has neither delay nor abort; add one of them, or remove this",
        );
    }
    let delay = cursor
        .mapping_as("delay", "{percent: 10, fixedDelay: 5s}")
        .and_then(|field| read_delay(&field));
    let abort = cursor
        .mapping_as("abort", "{percent: 10, httpStatus: 503}")
        .and_then(|field| read_abort(&field));
    (delay.is_some() || abort.is_some()).then_some(Fault { delay, abort })
}

fn read_delay(cursor: &Cursor<'_>) -> Option<Delay> {
    cursor.only(&["percent", "fixedDelay", "exponentialDelay", "overrideHeaderName"]);
    let per_million = read_percent(cursor);
    let override_header = override_header(cursor);
    if let Some(exponential) = cursor.field("exponentialDelay") {
        exponential.report(Code::FieldNotSupported, "is not supported; use fixedDelay");
        return None;
    }
    let fixed = cursor.required("fixedDelay", "say how long requests wait, as in 5s")?;
    let ms = duration(&fixed)?;
    let override_limit_ms = None;
    per_million.map(|per_million| Delay { per_million, ms, override_header, override_limit_ms })
}

fn read_abort(cursor: &Cursor<'_>) -> Option<Abort> {
    cursor.only(&["percent", "httpStatus", "grpcStatus", "http2Error", "overrideHeaderName"]);
    let per_million = read_percent(cursor);
    let override_header = override_header(cursor);
    if let Some(error) = cursor.field("http2Error") {
        let message =
            "is not supported, because Envoy cannot reset streams as a fault; use httpStatus";
        error.report(Code::FieldNotSupported, message);
        return None;
    }
    let http = cursor.field("httpStatus");
    let grpc = cursor.field("grpcStatus");
    let status = match (&http, &grpc) {
        (Some(http), None) => AbortStatus::Http(integer(http, &(200..=599))?),
        (None, Some(grpc)) => AbortStatus::Grpc(read_grpc_status(grpc)?),
        (Some(_), Some(grpc)) => {
            let message = "cannot be combined with httpStatus; remove one of the two";
            grpc.report(Code::ConflictingFields, message);
            return None;
        }
        (None, None) => {
            let message = "has neither httpStatus nor grpcStatus; add one of them";
            cursor.report(Code::FieldMissing, message);
            return None;
        }
    };
    per_million.map(|per_million| Abort { per_million, status, override_header })
}

/// The number of requests per million; `None` for 0.
fn read_percent(cursor: &Cursor<'_>) -> Option<u32> {
    let Some(field) = cursor.field("percent") else {
        let message = "is missing, so this applies to no request; set a percentage, 0 to 100";
        cursor.report_in("percent", Code::PolicyWithoutEffect, message);
        return None;
    };
    percent(&field).filter(|per_million| *per_million > 0)
}

/// A status, by its name, or its number with or without quotes.
fn read_grpc_status(cursor: &Cursor<'_>) -> Option<u8> {
    let Some(text) = cursor.node().as_str() else {
        return integer(cursor, &(0..=LAST_GRPC_STATUS));
    };
    let by_name = (0..).zip(GRPC_STATUSES).find(|(_, name)| *name == text);
    let by_number = || text.parse().ok().filter(|number| *number <= LAST_GRPC_STATUS);
    let status = by_name.map(|(number, _)| number).or_else(by_number);
    if status.is_none() {
        let message = format!(
            "{} is not a gRPC status; write its name, as in UNAVAILABLE, or its number, 0 to {LAST_GRPC_STATUS}",
            quote(text)
        );
        cursor.report(Code::FaultNotValid, message);
    }
    status
}
