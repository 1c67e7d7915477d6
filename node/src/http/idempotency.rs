//! Which call a call repeats: the client's key, within its principal, method, route and ids.

use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use tomato_shared::runtime::problem::Problem;

use super::error;
use crate::writer::IdempotencyKey;

/// Headers that carry the key; the second is for clients that were there first.
pub const HEADERS: [&str; 2] = ["idempotency-key", "x-idempotency-key"];
/// Longest key.
pub const KEY_MAX: usize = 255;

/// Within what a client's key is unique.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Who calls.
    pub principal: String,
    /// `POST`
    pub method: &'a str,
    /// `/v1/orders/{ord}/cancel`
    pub template: &'a str,
    /// What stands in the template's braces.
    pub params: &'a [(String, String)],
}

impl Scope<'_> {
    /// The key as it is stored, with the fingerprint that tells a repetition from another request.
    ///
    /// `condition`: the `If-Match` header; the same body over another version is another request.
    pub fn key(&self, client_key: &str, condition: Option<&[u8]>, body: &[u8]) -> IdempotencyKey {
        let mut hash = Sha256::new();
        let params = self
            .params
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let parts = [self.principal.as_str(), self.method, self.template, client_key];
        for part in parts.into_iter().chain(params) {
            // Lengths first, so that no two lists of parts run into the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        IdempotencyKey {
            key: first_16(&hash.finalize()),
            fingerprint: fingerprint(condition, body),
        }
    }
}

fn fingerprint(condition: Option<&[u8]>, body: &[u8]) -> [u8; 16] {
    let mut hash = Sha256::new();
    if let Some(condition) = condition {
        // No JSON begins with a zero byte, so that this cannot be a body without a condition.
        hash.update([0]);
        hash.update((condition.len() as u64).to_be_bytes());
        hash.update(condition);
    }
    hash.update(body);
    first_16(&hash.finalize())
}

/// The client's key: 1 to 255 visible ASCII characters in one of [`HEADERS`].
pub fn client_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut found: Option<&str> = None;
    for name in HEADERS {
        for value in headers.get_all(name) {
            let text = value.to_str().unwrap_or_default();
            let visible = (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
            if !visible {
                return Err(invalid(name, "want 1 to 255 visible ASCII characters"));
            }
            if found.is_some_and(|other| other != text) {
                return Err(invalid(name, "two different keys"));
            }
            found = Some(text);
        }
    }
    Ok(found)
}

/// 400: this route cannot be called without a key.
pub fn missing() -> Problem {
    let title = "Send an Idempotency-Key: a new one for each order, the same one for each repetition.";
    Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", title).field(HEADERS[0], "is missing")
}

fn invalid(name: &str, message: &str) -> Problem {
    error::invalid_header(name, message)
}

fn first_16(hash: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    first
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn key(principal: &str, template: &str, param: &str, client_key: &str, body: &str) -> IdempotencyKey {
        let scope = Scope {
            principal: principal.into(),
            method: "POST",
            template,
            params: &[("ord".into(), param.into())],
        };
        scope.key(client_key, None, body.as_bytes())
    }

    #[test]
    fn a_key_means_one_thing_per_principal_route_and_object() {
        let first = key("customer usr_1", "/a/{ord}", "1", "k", "{}");
        assert_eq!(first, key("customer usr_1", "/a/{ord}", "1", "k", "{}"));
        let others = [
            key("customer usr_2", "/a/{ord}", "1", "k", "{}"),
            key("customer usr_1", "/b/{ord}", "1", "k", "{}"),
            key("customer usr_1", "/a/{ord}", "2", "k", "{}"),
            key("customer usr_1", "/a/{ord}", "1", "l", "{}"),
            key("customer usr_1", "/a/{ord}k", "1", "", "{}"),
        ];
        assert!(others.iter().all(|other| other.key != first.key));
        let other_body = key("customer usr_1", "/a/{ord}", "1", "k", "{ }");
        assert_eq!(other_body.key, first.key);
        assert_ne!(other_body.fingerprint, first.fingerprint);
    }

    #[test]
    fn another_condition_is_another_request() {
        let conditions = [None, Some(&b"\"1\""[..]), Some(b"\"2\""), Some(b"")];
        let prints = conditions.map(|condition| fingerprint(condition, b"{}"));
        for (at, print) in prints.iter().enumerate() {
            assert!(!prints[..at].contains(print), "{at}");
        }
    }

    #[test]
    fn only_visible_keys_are_taken() {
        let check = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            client_key(&headers)
                .map(|key| key.map(str::to_owned))
                .map_err(|problem| problem.code().to_owned())
        };
        assert_eq!(check(&[]), Ok(None));
        assert_eq!(check(&[(HEADERS[0], "a")]), Ok(Some("a".into())));
        assert_eq!(check(&[(HEADERS[1], "\"a\"")]), Ok(Some("\"a\"".into())));
        assert_eq!(check(&[(HEADERS[0], "a"), (HEADERS[1], "a")]), Ok(Some("a".into())));
        let long = "x".repeat(256);
        for bad in [
            vec![(HEADERS[0], "")],
            vec![(HEADERS[0], "a b")],
            vec![(HEADERS[0], &*long)],
        ] {
            assert_eq!(check(&bad), Err("invalid_header".into()), "{bad:?}");
        }
        assert_eq!(
            check(&[(HEADERS[0], "a"), (HEADERS[1], "b")]),
            Err("invalid_header".into())
        );
    }
}
