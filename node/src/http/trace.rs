//! Request ids and trace contexts: what the outside may set, and in which characters.

use http::HeaderMap;

const REQUEST_ID_MAX: usize = 128;

/// The caller's `X-Request-ID`, or a new one where it has none that can stand in a log line.
pub fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    match given.filter(|id| (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(plain)) {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", rand::random::<u128>()),
    }
}

/// The W3C trace context to continue: `traceparent`, or one made from `X-Trace-ID` where that is 32 hex digits.
pub fn of(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(parent) = text("traceparent").filter(|parent| is_traceparent(parent)) {
        return Some(parent.to_owned());
    }
    let id = text("x-trace-id").filter(|id| is_hex(id, 32))?;
    // The caller named the trace but no span of it; a random parent keeps the context well-formed.
    Some(format!("00-{id}-{:016x}-01", rand::random::<u64>() | 1))
}

/// A new trace that is exported nowhere: it ties lines of logs and events together.
pub fn fresh() -> String {
    let (trace, span) = (rand::random::<u128>() | 1, rand::random::<u64>() | 1);
    format!("00-{trace:032x}-{span:016x}-00")
}

/// The trace of a W3C trace context, for the log.
pub fn id_of(context: Option<&str>) -> Option<&str> {
    context?.split('-').nth(1)
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        ["00", trace, span, flags] => {
            is_hex(trace, 32) && is_hex(span, 16) && flags.len() == 2 && flags.bytes().all(is_lower_hex)
        }
        _ => false,
    }
}

/// Lower-case hex digits that are not all zero, as the W3C wants ids.
fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(is_lower_hex) && text.bytes().any(|byte| byte != b'0')
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        headers
    }

    #[test]
    fn sane_request_ids_are_kept_and_others_replaced() {
        assert_eq!(request_id(&with("x-request-id", "a-B_1.2:3")), "a-B_1.2:3");
        for bad in ["", "a b", "a\"b", "\u{e9}", &"x".repeat(129)] {
            let made = request_id(&with("x-request-id", bad));
            assert!(made.len() == 32 && made != bad, "{bad}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn only_well_formed_contexts_are_continued() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(&with("traceparent", good)).as_deref(), Some(good));
        let zero = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        for bad in ["", "00-1-2-3", &good.to_uppercase(), &format!("{good}-x"), &zero] {
            assert_eq!(of(&with("traceparent", bad)), None, "{bad}");
        }
        let made = of(&with("x-trace-id", "4bf92f3577b34da6a3ce929d0e0e4736")).unwrap();
        assert!(is_traceparent(&made) && made.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert_eq!(of(&with("x-trace-id", "my trace")), None);
    }
}
