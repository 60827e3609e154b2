//! Timeouts and retries (`httpReqTimeout` and `httpReqRetries`).

use ingress_filter::table::{Retries, Timeout};

use super::values::{duration, integer, override_header};
use crate::finding::Code;
use crate::objects::Cursor;

pub(super) fn timeout(spec: &Cursor<'_>) -> Option<Timeout> {
    let field = spec.mapping_as("httpReqTimeout", "{simpleTimeout: {timeout: 4s}}")?;
    let simple = one_policy(&field, "simpleTimeout", "{timeout: 4s}")?;
    simple.only(&["timeout", "overrideHeaderName"]);
    let override_header = override_header(&simple);
    let timeout = simple.required("timeout", "say how long a request may take, as in 4s")?;
    Some(Timeout { ms: duration(&timeout)?, override_header, override_limit_ms: None })
}

pub(super) fn retries(spec: &Cursor<'_>) -> Option<Retries> {
    let field = spec.mapping_as("httpReqRetries", "{simpleRetry: {attempts: 3}}")?;
    let simple = one_policy(&field, "simpleRetry", "{attempts: 3}")?;
    simple.only(&["attempts", "perTryTimeout", "overrideHeaderName"]);
    let attempts = simple.field("attempts");
    let attempts = attempts.map(|field| integer(&field, &(0..=i32::MAX.unsigned_abs())));
    let per_try_timeout_ms = simple.field("perTryTimeout").and_then(|field| duration(&field));
    let override_header = override_header(&simple);
    // As in protobuf, a missing number is 0.
    let attempts = attempts.unwrap_or(Some(0))?;
    let is_effective = attempts > 0 || override_header.is_some();
    if !is_effective {
        simple.report(
            Code::PolicyWithoutEffect,
            "never retries, because attempts is missing or 0; set attempts, or remove this",
        );
    }
    let override_limit = None;
    is_effective.then_some(Retries {
        attempts,
        per_try_timeout_ms,
        override_header,
        override_limit,
    })
}

/// The policy `name` of `field`, which may also have one for another proxy.
fn one_policy<'a>(field: &'a Cursor<'a>, name: &'a str, example: &str) -> Option<Cursor<'a>> {
    field.only(&[name, "custom"]);
    let custom = field.field("custom");
    if let Some(custom) = &custom {
        let message = format!("is ignored, because custom policies are not supported; use {name}");
        custom.report(Code::FieldIgnored, message);
    }
    if custom.is_none() && field.field(name).is_none() {
        let message = format!("has no effect without {name}; add it, or remove this");
        field.report(Code::PolicyWithoutEffect, message);
    }
    field.mapping_as(name, example)
}
