//! Whether a webhook is the provider's: an HMAC-SHA-256 over the bytes as they came, before anything reads them.
//!
//! Sources: <https://docs.stripe.com/webhooks#verify-manually>, <https://razorpay.com/docs/webhooks/validate-test>.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::Secret;

/// Oldest signed message that is believed, and by how much a clock may be ahead, in seconds.
pub const AGE_MAX_S: i64 = 300;

/// Why a webhook is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// This region has no such provider.
    #[error("this region is not served by that provider")]
    OtherProvider,
    /// No header, or not in its form.
    #[error("the signature is missing or malformed")]
    Missing,
    /// Signed too long ago.
    #[error("the signature is older than {AGE_MAX_S} s")]
    Old,
    /// Signed with another key, or over other bytes.
    #[error("the signature does not match the body")]
    Wrong,
    /// Signed, and not an event.
    #[error("the body is not an event of the provider")]
    Unreadable,
}

/// Whether `signature` (hex) is that of `parts`, one after the other, with any of the secrets. Takes the same time
/// whatever is wrong.
fn matches(secrets: &[Secret], parts: &[&[u8]], signature: &str) -> bool {
    let Some(signature) = unhex(signature) else {
        return false;
    };
    secrets.iter().any(|secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
            return false;
        };
        parts.iter().for_each(|part| mac.update(part));
        mac.verify_slice(&signature).is_ok()
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok())
        .collect()
}

/// Checks `Stripe-Signature: t=1700000000,v1=hex,v1=hex` against the body. `now_s`: wall time.
///
/// # Errors
/// [`Unsigned::Missing`], [`Unsigned::Wrong`] or [`Unsigned::Old`], in this order.
pub fn stripe(secrets: &[Secret], header: Option<&str>, body: &[u8], now_s: i64) -> Result<(), Unsigned> {
    let header = header.ok_or(Unsigned::Missing)?;
    let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
    let at = fields().find(|(name, _)| *name == "t").map(|(_, value)| value);
    let at = at.ok_or(Unsigned::Missing)?;
    let at_s: i64 = at.parse().map_err(|_| Unsigned::Missing)?;
    let mut signatures = fields().filter(|(name, _)| *name == "v1").map(|(_, value)| value);
    if !signatures.any(|signature| matches(secrets, &[at.as_bytes(), b".", body], signature)) {
        return Err(Unsigned::Wrong);
    }
    if now_s.saturating_sub(at_s).saturating_abs() > AGE_MAX_S {
        return Err(Unsigned::Old);
    }
    Ok(())
}

/// Checks `X-Razorpay-Signature: hex` against the body. Razorpay signs no time, so a message that was recorded stays signed:
/// that it is taken in once rests on its id, and that an old one does no harm on our asking Razorpay what is true.
///
/// # Errors
/// [`Unsigned::Missing`] or [`Unsigned::Wrong`].
pub fn razorpay(secrets: &[Secret], header: Option<&str>, body: &[u8]) -> Result<(), Unsigned> {
    let signature = header.ok_or(Unsigned::Missing)?;
    if matches(secrets, &[body], signature) {
        Ok(())
    } else {
        Err(Unsigned::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(secret: &str, parts: &[&[u8]]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    #[test]
    fn only_the_providers_own_recent_bytes_are_believed() {
        let secrets = [Secret::new("whsec_old"), Secret::new("whsec_new")];
        let body = br#"{"id": "evt_1"}"#;
        let good = sign("whsec_new", &[b"1000", b".", body]);
        let other = sign("whsec_old", &[b"1000", b".", body]);
        let forged = sign("whsec_guess", &[b"1000", b".", body]);
        let cases: [(String, &[u8], i64, _); 12] = [
            (format!("t=1000,v1={good}"), body, 1_000, Ok(())),
            (format!("t=1000,v1={forged},v1={other},v0=x"), body, 1_300, Ok(())),
            (format!("t=1000,v1={good}"), body, 1_301, Err(Unsigned::Old)),
            (format!("t=1000,v1={good}"), body, 699, Err(Unsigned::Old)),
            (format!("t=1001,v1={good}"), body, 1_000, Err(Unsigned::Wrong)),
            (
                format!("t=1000,v1={good}"),
                br#"{"id":"evt_1"}"#,
                1_000,
                Err(Unsigned::Wrong),
            ),
            (format!("t=1000,v1={forged}"), body, 1_000, Err(Unsigned::Wrong)),
            ("t=1000,v1=xyz".to_owned(), body, 1_000, Err(Unsigned::Wrong)),
            ("t=1000".to_owned(), body, 1_000, Err(Unsigned::Wrong)),
            (format!("v1={good}"), body, 1_000, Err(Unsigned::Missing)),
            (format!("t=now,v1={good}"), body, 1_000, Err(Unsigned::Missing)),
            (String::new(), body, 1_000, Err(Unsigned::Missing)),
        ];
        for (header, body, now_s, want) in cases {
            assert_eq!(
                stripe(&secrets, Some(&header), body, now_s),
                want,
                "{header} at {now_s}"
            );
        }
        assert_eq!(stripe(&secrets, None, body, 1_000), Err(Unsigned::Missing));
    }

    #[test]
    fn razorpay_signs_the_body_alone() {
        let secrets = [Secret::new("a-secret")];
        let good = sign("a-secret", &[b"{}"]);
        assert_eq!(razorpay(&secrets, Some(&good), b"{}"), Ok(()));
        assert_eq!(razorpay(&secrets, Some(&good), b"{ }"), Err(Unsigned::Wrong));
        assert_eq!(razorpay(&secrets, Some("00"), b"{}"), Err(Unsigned::Wrong));
        assert_eq!(razorpay(&secrets, None, b"{}"), Err(Unsigned::Missing));
    }
}
