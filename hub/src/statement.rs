//! Reads what payment providers say of themselves: Stripe's balance transactions, Razorpay's settlement recon, and the
//! simulated provider's own list. All as JSON, the way their APIs give it.

use serde::Deserialize;
use tomato_shared::time::UnixMs;

use crate::store::settle::StatementLine;

/// Whose statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    Stripe,
    Razorpay,
    Simulated,
}

impl Provider {
    /// As it is stored.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Razorpay => "razorpay",
            Self::Simulated => "simulated",
        }
    }
}

/// `GET /v1/balance_transactions` of Stripe, with `expand[]=data.source`.
#[derive(Debug, Deserialize)]
struct Stripe {
    data: Vec<StripeTransaction>,
}

#[derive(Debug, Deserialize)]
struct StripeTransaction {
    id: String,
    /// Minor units; negative for what leaves.
    amount: i64,
    currency: String,
    created: i64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    source: Option<StripeSource>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum StripeSource {
    Id(String),
    Object { id: String, payment_intent: Option<String> },
}

/// `GET /v1/settlements/recon/combined` of Razorpay.
#[derive(Debug, Deserialize)]
struct Razorpay {
    items: Vec<RazorpayItem>,
}

#[derive(Debug, Deserialize)]
struct RazorpayItem {
    entity_id: String,
    #[serde(rename = "type")]
    kind: String,
    /// Minor units.
    amount: i64,
    currency: String,
    created_at: i64,
    /// Of a refund: the payment that it gives back.
    #[serde(default)]
    payment_id: Option<String>,
}

/// Of the simulated provider.
#[derive(Debug, Deserialize)]
struct Simulated {
    lines: Vec<SimulatedLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SimulatedLine {
    id: String,
    transaction_id: String,
    kind: SimulatedKind,
    amount_minor: i64,
    currency: String,
    at: UnixMs,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SimulatedKind {
    Charge,
    Refund,
}

/// The charges and refunds of a statement; payouts, fees and whatever else moves at the provider are left out.
///
/// # Errors
/// The statement is not what the provider sends.
pub(crate) fn read(provider: Provider, body: &[u8]) -> Result<Vec<StatementLine>, serde_json::Error> {
    Ok(match provider {
        Provider::Stripe => {
            let statement: Stripe = serde_json::from_slice(body)?;
            statement.data.into_iter().filter_map(stripe).collect()
        }
        Provider::Razorpay => {
            let statement: Razorpay = serde_json::from_slice(body)?;
            statement.items.into_iter().filter_map(razorpay).collect()
        }
        Provider::Simulated => {
            let statement: Simulated = serde_json::from_slice(body)?;
            statement.lines.into_iter().map(simulated).collect()
        }
    })
}

fn stripe(entry: StripeTransaction) -> Option<StatementLine> {
    let kind = match entry.kind.as_str() {
        "charge" | "payment" => "charge",
        "refund" | "payment_refund" => "refund",
        _ => return None,
    };
    let transaction_id = match entry.source? {
        StripeSource::Object {
            payment_intent: Some(intent),
            ..
        } => intent,
        StripeSource::Id(id) | StripeSource::Object { id, .. } => id,
    };
    Some(StatementLine {
        id: entry.id,
        transaction_id,
        kind,
        amount_minor: entry.amount.saturating_abs(),
        currency: entry.currency.to_ascii_uppercase(),
        at: UnixMs(entry.created.saturating_mul(1_000)),
    })
}

fn razorpay(item: RazorpayItem) -> Option<StatementLine> {
    let (kind, transaction_id) = match item.kind.as_str() {
        "payment" => ("charge", item.entity_id.clone()),
        "refund" => ("refund", item.payment_id?),
        _ => return None,
    };
    Some(StatementLine {
        id: item.entity_id,
        transaction_id,
        kind,
        amount_minor: item.amount.saturating_abs(),
        currency: item.currency,
        at: UnixMs(item.created_at.saturating_mul(1_000)),
    })
}

fn simulated(line: SimulatedLine) -> StatementLine {
    StatementLine {
        id: line.id,
        transaction_id: line.transaction_id,
        kind: match line.kind {
            SimulatedKind::Charge => "charge",
            SimulatedKind::Refund => "refund",
        },
        amount_minor: line.amount_minor.saturating_abs(),
        currency: line.currency,
        at: line.at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(provider: Provider, body: &str, expected: &[(&str, &str, &str, i64)]) {
        let found = read(provider, body.as_bytes()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|line| {
                (
                    line.id.as_str(),
                    line.transaction_id.as_str(),
                    line.kind,
                    line.amount_minor,
                )
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn charges_and_refunds_are_read_and_the_rest_is_left_out() {
        let stripe = r#"{"object":"list","data":[
            {"id":"txn_1","amount":24465,"currency":"inr","created":1763886600,"type":"charge","fee":700,
             "source":{"id":"ch_1","object":"charge","payment_intent":"pi_1"}},
            {"id":"txn_2","amount":-500,"currency":"inr","created":1763886700,"type":"refund",
             "source":{"id":"re_1","object":"refund","payment_intent":"pi_1"}},
            {"id":"txn_3","amount":100,"currency":"inr","created":1763886700,"type":"payment","source":"py_9"},
            {"id":"txn_4","amount":-9000,"currency":"inr","created":1763886800,"type":"payout","source":"po_1"}]}"#;
        let expected = [
            ("txn_1", "pi_1", "charge", 24_465),
            ("txn_2", "pi_1", "refund", 500),
            ("txn_3", "py_9", "charge", 100),
        ];
        check(Provider::Stripe, stripe, &expected);
        let razorpay = r#"{"entity":"collection","count":3,"items":[
            {"entity_id":"pay_1","type":"payment","debit":0,"credit":23000,"amount":24465,"currency":"INR","created_at":1763886600},
            {"entity_id":"rfnd_1","type":"refund","amount":500,"currency":"INR","created_at":1763886700,"payment_id":"pay_1"},
            {"entity_id":"setl_1","type":"settlement","amount":5,"currency":"INR","created_at":1763886900}]}"#;
        let expected = [("pay_1", "pay_1", "charge", 24_465), ("rfnd_1", "pay_1", "refund", 500)];
        check(Provider::Razorpay, razorpay, &expected);
        let own = r#"{"lines":[{"id":"1","transaction_id":"sim_1","kind":"charge","amount_minor":7,"currency":"INR",
            "at":"2026-11-23T08:00:00Z"}]}"#;
        check(Provider::Simulated, own, &[("1", "sim_1", "charge", 7)]);
        assert!(read(Provider::Stripe, b"{}").is_err());
    }
}
