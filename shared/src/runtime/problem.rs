//! Errors as HTTP shows them: RFC 9457 `application/problem+json`.
//!
//! A [`Problem`] is made where a request is refused and is itself the response. Its `detail` is read by strangers:
//! internal text belongs in the log, not here.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands before the code in `type`. The URN never changes, so clients may compare it.
pub const TYPE_PREFIX: &str = "urn:tomato:problem:";

/// One wrong part of a request.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request body, such as `/items/0/quantity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of a query parameter, path parameter or header, when the fault is not in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong with it, one sentence for the caller.
    pub message: String,
}

/// The JSON document of a problem: RFC 9457.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Problem")]
pub struct ProblemBody {
    /// `urn:tomato:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem with this code.
    pub title: Cow<'static, str>,
    /// HTTP status, repeated so that the document is complete without its response.
    pub status: u16,
    /// Stable snake_case code that programs act on.
    pub code: Cow<'static, str>,
    /// What happened to this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Path of the request or resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Every wrong field, not just the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Id of the request in the log of the node that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Seconds to wait before an identical request may succeed; also sent as `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
    /// The region whose affair it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Where apps reach that region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_url: Option<String>,
}

/// A refused request. Cheap to move (two words and a pointer), so it can be the error of every handler.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    body: Box<ProblemBody>,
    status: StatusCode,
    header: Option<Box<(header::HeaderName, HeaderValue)>>,
}

impl Problem {
    /// A problem with `status` and a stable snake_case `code`; `title` is the same sentence for every use of the code.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>) -> Self {
        let code = code.into();
        let body = ProblemBody {
            kind: format!("{TYPE_PREFIX}{code}"),
            title: title.into(),
            status: status.as_u16(),
            code,
            detail: None,
            instance: None,
            errors: Vec::new(),
            request_id: None,
            retry_after_s: None,
            region: None,
            region_url: None,
        };
        Self {
            body: Box::new(body),
            status,
            header: None,
        }
    }

    /// 400: the request cannot be read. `detail` says what is malformed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "The request cannot be read").detail(detail)
    }

    /// 401 with `WWW-Authenticate: Bearer`. `code` comes from the token check, such as `token_expired`; RFC 6750's
    /// `error` parameter is sent unless no token was given at all (`code` = `token_missing`).
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        let challenge = if code == "token_missing" {
            HeaderValue::from_static("Bearer realm=\"tomato\"")
        } else {
            HeaderValue::from_static("Bearer realm=\"tomato\", error=\"invalid_token\"")
        };
        Self::new(StatusCode::UNAUTHORIZED, code, "A valid token is needed")
            .detail(detail)
            .header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403: the caller is known and may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The caller may not do this").detail(detail)
    }

    /// 404. Also for things that exist but that the caller may not know of.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such thing here").detail(detail)
    }

    /// 405 with `Allow`. `allow`: comma-separated methods, such as `GET, POST`.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "The path does not take this method",
        )
        .detail(format!("allowed: {allow}"))
        .header(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// 413. `limit_bytes`: the largest body that is accepted.
    pub fn payload_too_large(limit_bytes: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "The body is too large",
        )
        .detail(format!("the limit is {limit_bytes} bytes"))
    }

    /// 415. `expected`: the media type to send.
    pub fn unsupported_media_type(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body has an unknown media type",
        )
        .detail(format!("send Content-Type: {expected}"))
    }

    /// 409: the request contradicts the present state. `code` says which rule, such as `order_already_accepted`.
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "The request contradicts the present state").detail(detail)
    }

    /// 422: readable, but not acceptable. `code` says which rule; add the fields with [`Problem::at`].
    pub fn unprocessable(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "The request is not acceptable").detail(detail)
    }

    /// 429 with `Retry-After` in seconds.
    pub fn too_many_requests(retry_after_s: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests").retry_after(retry_after_s)
    }

    /// 503 with `Retry-After` in seconds. `code` says what is missing, such as `queue_full` or `region_unreachable`.
    pub fn unavailable(code: impl Into<Cow<'static, str>>, detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            code,
            "The service cannot do this right now",
        )
        .detail(detail)
        .retry_after(retry_after_s)
    }

    /// 500. Carries no detail: whoever makes it writes the cause to the log, under the request id.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The service failed")
    }

    /// Sets what happened to this request.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.body.detail = Some(detail.into());
        self
    }

    /// Sets the path of the request or resource.
    #[must_use]
    pub fn instance(mut self, path: impl Into<String>) -> Self {
        self.body.instance = Some(path.into());
        self
    }

    /// Sets the id under which the request stands in the log.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.body.request_id = Some(id.into());
        self
    }

    /// Sets the seconds to wait, in the document and as `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.body.retry_after_s = Some(seconds);
        self
    }

    /// Adds a wrong part of the body. `pointer`: RFC 6901, such as `/items/0/quantity`.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.body.errors.push(FieldError {
            pointer: Some(pointer.into()),
            field: None,
            message: message.into(),
        });
        self
    }

    /// Adds a wrong query parameter, path parameter or header.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, message: impl Into<String>) -> Self {
        self.body.errors.push(FieldError {
            pointer: None,
            field: Some(name.into()),
            message: message.into(),
        });
        self
    }

    /// Names the region whose affair it is, and where apps reach it, where that is known.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>, url: Option<String>) -> Self {
        self.body.region = Some(region.into());
        self.body.region_url = url;
        self
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.body.code
    }

    /// The whole document.
    pub fn body(&self) -> &ProblemBody {
        &self.body
    }

    fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.body.status, self.body.code)?;
        match &self.body.detail {
            Some(detail) => write!(out, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A document of strings and numbers cannot fail to serialise; an empty body would still carry the status.
        let json = serde_json::to_vec(&self.body).unwrap_or_default();
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        // An answer about this moment must not be replayed by a cache.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.body.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(extra) = self.header {
            headers.insert(extra.0, extra.1);
        }
        response
    }
}

#[cfg(test)]
mod tests;
