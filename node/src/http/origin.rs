//! Where a request comes from: the client's address behind proxies, and the site whose page sent it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tomato_shared::runtime::problem::Problem;

use crate::config::{HttpConfig, Network};

/// What a page of another site may send besides the ordinary.
const HEADERS_IN: &str = "authorization, content-type, idempotency-key, if-match, tomato-region, traceparent, \
    x-idempotency-key, x-request-id, x-trace-id";
/// What it may read.
const HEADERS_OUT: &str = "etag, location, ratelimit, ratelimit-policy, retry-after, tomato-region, \
    www-authenticate, x-request-id, x-trace-id";
/// How long a browser may remember what it may send, in seconds.
const PREFLIGHT_S: &str = "600";

/// The client's address. `X-Forwarded-For` counts only as far as trusted proxies have written it.
pub fn address(parts: &Parts, trusted: &[Network]) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let mut address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
    let values = parts.headers.get_all("x-forwarded-for").iter();
    let mut hops: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .collect();
    // The nearest proxy has written the last entry: walk back while whoever wrote an entry is trusted.
    while trusted.iter().any(|network| network.contains(address)) {
        let Some(hop) = hops.pop().and_then(|text| text.trim().parse().ok()) else {
            break;
        };
        address = hop;
    }
    address
}

/// Whether a page of another site may see the answer; the page's origin where it may.
pub fn allowed<'h>(headers: &'h HeaderMap, config: &HttpConfig) -> Option<&'h HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    config
        .cors
        .origins
        .iter()
        .any(|allowed| origin == allowed)
        .then_some(origin)
}

/// Refuses WebSockets that a page of an unknown site opens: CORS does not cover them. Apps send no `Origin`.
///
/// # Errors
/// 403 `origin_refused`.
pub fn check_socket(headers: &HeaderMap, config: &HttpConfig, public_url: &str) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let text = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own =
        text.split_once("://").is_some_and(|(_, rest)| Some(rest) == host) || text == public_url.trim_end_matches('/');
    if own || allowed(headers, config).is_some() {
        return Ok(());
    }
    let title = "Pages of this site may not open live connections here.";
    Err(Problem::new(StatusCode::FORBIDDEN, "origin_refused", title))
}

/// The answer to a browser that asks what a page of an allowed site may send; `None` where it is something else.
/// `allow`: the methods of the path.
pub fn preflight(parts: &Parts, config: &HttpConfig, allow: &'static str) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let asks = parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if parts.method != http::Method::OPTIONS || !asks {
        return None;
    }
    allowed(&parts.headers, config)?;
    Some(vec![
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allow)),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(HEADERS_IN),
        ),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_S)),
    ])
}

/// Lets the page see the answer. `origin`: what [`allowed`] gave.
pub fn open(origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(HEADERS_OUT),
        );
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(peer: &str, forwarded: &[&str]) -> Parts {
        let mut request = http::Request::builder();
        for value in forwarded {
            request = request.header("X-Forwarded-For", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let peer: SocketAddr = format!("{peer}:1").parse().unwrap();
        parts.extensions.insert(ConnectInfo(peer));
        parts
    }

    #[test]
    fn only_trusted_proxies_say_who_calls() {
        let trusted = ["10.0.0.0/8", "192.168.1.1"].map(|text| text.parse::<Network>().unwrap());
        let of = |peer, forwarded: &[&str]| address(&parts(peer, forwarded), &trusted).to_string();
        for (peer, forwarded, want) in [
            ("203.0.113.9", &["1.2.3.4"][..], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4, 192.168.1.1"], "1.2.3.4"),
            ("10.0.0.1", &["1.2.3.4, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2"], "10.0.0.2"),
        ] {
            assert_eq!(of(peer, forwarded), want, "{peer} {forwarded:?}");
        }
    }
}
