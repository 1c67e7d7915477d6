//! The headers of requests and answers.

use serde_json::{Value, json};

use crate::http::idempotency::KEY_MAX;

/// Headers of answers.
pub(super) fn headers() -> Value {
    let header = |about: &str, schema: Value| json!({"description": about, "schema": schema});
    let text = || json!({"type": "string"});
    json!({
        "X-Request-ID": header("Under which the request stands in the log; the caller's own where it sent one.", text()),
        "X-Trace-ID": header("Of which trace the request is a part; absent where it was refused at the door.", text()),
        "WWW-Authenticate": header("RFC 6750.", text()),
        "RateLimit-Policy": header("The caller's budget: `q` requests in `w` seconds. Absent without a limit.", text()),
        "RateLimit": header("What is left of it: `r` requests, and `t` seconds until it is full again.", text()),
        "Allow": header("The methods that the path has.", text()),
        "ETag": header("The version of what was read, where an edit can be made from it: send it as If-Match.", text()),
        "Tomato-Region": header("The region that has answered, where that is another one.", region()),
        "Location": header("The path of what was made.", text()),
        "Retry-After": header("Seconds to wait before the next attempt.", json!({"type": "integer", "minimum": 0})),
    })
}

/// Headers of requests.
pub(super) fn parameters() -> Value {
    let header = |name: &str, required: bool, about: &str, schema: Value| json!({"name": name, "in": "header", "required": required, "description": about, "schema": schema});
    let key = |required| {
        header(
            "Idempotency-Key",
            required,
            "A new one for each command, the same for each repetition of it; X-Idempotency-Key is read, too.",
            json!({"type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[!-~]+$"}),
        )
    };
    json!({
        "IdempotencyKey": key(false),
        "IdempotencyKeyRequired": key(true),
        "DeviceTime": header(
            "X-Device-Time", false,
            "When it happened by the device's clock, where it was cut off and tells of it later; at most 7 days ago.",
            json!({"type": "string", "format": "date-time"}),
        ),
        // Any text is taken; what does not fit is replaced or left aside, never refused.
        "RequestId": header(
            "X-Request-ID", false, "Comes back with the answer where it is 1 to 128 of A-Z a-z 0-9 - _ . and :, else a new one.",
            json!({"type": "string"}),
        ),
        "TomatoRegion": header(
            "Tomato-Region", false, "The region that shall answer; without it whoever it belongs to, as far as that is known here.",
            region(),
        ),
        "TraceParent": header(
            "traceparent", false, "W3C trace context to continue; X-Trace-ID (32 hex digits) is read, too.",
            json!({"type": "string"}),
        ),
    })
}

fn region() -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9]{1,15}$"})
}
