//! One order of many: what shall become of it, and what did.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tomato_shared::id::OrderId;
use tomato_tests::client::ApiError;
use tomato_tests::till::Till;
use tomato_tests::wait::poll_until;

/// What its people want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Deliver,
    DeliverAndRefund,
    CancelAtOnce,
    CancelLate,
    Reject,
    NobodyDrives,
}

/// Its card, and what its people want.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    card: &'static str,
    want: Want,
    /// Whether the customer confirms where the bank asks.
    confirms: bool,
}

/// How it ended, as far as its people know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Delivered,
    DeliveredAndRefunded,
    GivenUp,
    NotPaid,
    /// The region had ended it by then: its hold or the restaurant's time was over, or the capture was refused.
    EndedMeanwhile,
    /// The region did not take it.
    Refused,
}

impl Fate {
    pub(crate) fn draw(rng: &mut StdRng) -> Self {
        let card = match rng.random_range(0..100) {
            0..5 => "pm_card_visa_chargeDeclined",
            5..8 => "pm_card_visa_chargeDeclinedInsufficientFunds",
            8..18 => "pm_card_authenticationRequired",
            18..22 => "pm_card_captureFails",
            22..26 => "pm_card_refundFail",
            26..32 => "pm_card_pendingRefund",
            32..40 => "",
            _ => "pm_card_visa",
        };
        let want = match rng.random_range(0..100) {
            0..8 => Want::CancelAtOnce,
            8..18 => Want::CancelLate,
            18..26 => Want::Reject,
            26..30 => Want::NobodyDrives,
            30..45 => Want::DeliverAndRefund,
            _ => Want::Deliver,
        };
        Self {
            card,
            want,
            confirms: rng.random_bool(0.8),
        }
    }
}

/// Lives one order. `nth`: its number; `driver`: who would drive it.
pub(crate) async fn live(till: &Till, nth: usize, (driver, fate): (usize, Fate)) -> Outcome {
    let id = match till.place(nth, fate.card).await {
        Ok(id) => id,
        Err(error) if error.status().is_some() => return Outcome::Refused,
        Err(error) => panic!("placing: {error}"),
    };
    match further(till, nth, (id, driver, fate)).await {
        Ok(outcome) => outcome,
        // Somebody else was faster: a deadline, or the provider.
        Err(error) if error.status().is_some_and(|status| status < 500) => Outcome::EndedMeanwhile,
        Err(error) => panic!("{id}: {error}"),
    }
}

async fn further(till: &Till, nth: usize, (id, driver, fate): (OrderId, usize, Fate)) -> Result<Outcome, ApiError> {
    if fate.want == Want::CancelAtOnce {
        till.customer(nth).cancel(id).await?;
        return Ok(Outcome::GivenUp);
    }
    let mut acted = false;
    let paid = poll_until("the payment's outcome", Duration::from_secs(120), async || {
        let order = till.operator().get::<Value>(&format!("/v1/orders/{id}")).await.ok()?;
        if !acted && order["state"] == "PENDING" {
            acted = till.fake.customer_acts(&id.to_string(), fate.confirms);
        }
        match order["state"].as_str() {
            Some("PENDING") | None => None,
            Some("CONFIRMED") => Some(true),
            Some(_) => Some(false),
        }
    });
    match paid.await {
        Ok(true) => {}
        Ok(false) => return Ok(Outcome::NotPaid),
        Err(fault) => panic!("{id}: {fault}"),
    }
    match fate.want {
        Want::Reject => {
            till.kitchen(id, "reject", &json!({})).await?;
            Ok(Outcome::GivenUp)
        }
        Want::CancelLate => {
            till.kitchen(id, "accept", &json!({"ready_in_min": 5})).await?;
            till.operator().cancel(id).await?;
            Ok(Outcome::GivenUp)
        }
        Want::NobodyDrives => {
            till.kitchen(id, "accept", &json!({"ready_in_min": 5})).await?;
            till.kitchen(id, "ready", &json!({})).await?;
            for _ in 0..3 {
                till.assign(id, driver).await?;
                till.delivery(id, driver, "cancel", &json!({})).await?;
            }
            Ok(Outcome::GivenUp)
        }
        Want::Deliver | Want::DeliverAndRefund | Want::CancelAtOnce => {
            till.deliver(id, driver).await?;
            if fate.want == Want::Deliver {
                return Ok(Outcome::Delivered);
            }
            let body = json!({"amount_minor": 150, "reason": "quality", "borne_by": "platform"});
            let path = format!("/v1/orders/{id}/refunds");
            till.operator()
                .command::<Value>(http::Method::POST, &path, &body)
                .await?;
            Ok(Outcome::DeliveredAndRefunded)
        }
    }
}

/// Operators give up what is still under way, or deliver what a driver carries.
pub(crate) async fn end_all(till: &Till) {
    let ended = poll_until("every order to end", Duration::from_secs(300), async || {
        let mut open = 0;
        for order in till.operator().all_orders().await.ok()? {
            if order.state.is_final() {
                continue;
            }
            open += 1;
            drop(till.operator().cancel(order.id).await);
        }
        (open == 0).then_some(())
    });
    ended.await.expect("every order ends");
}

/// Every order is over, and every penny of those that were not delivered is back, less the fees for cancelling late.
pub(crate) async fn check_final(till: &Till) {
    let statement = till.fake.ledger().statement();
    let mut spent: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for row in &statement {
        *spent.entry(row.order.clone()).or_default() += row.amount_minor;
    }
    let (mut kept, mut orders) = (0, 0);
    for order in till.operator().all_orders().await.expect("orders can be listed") {
        orders += 1;
        assert!(order.state.is_final(), "{} is {}", order.id, order.state.name());
        let left = spent.get(&order.id.to_string()).copied().unwrap_or(0);
        let cash = order.payment.method == tomato_shared::event::PaymentMethod::Cash;
        let delivered = order.state == tomato_shared::order::OrderState::Delivered;
        let lost = order.payment.state == "DECLINED";
        match (delivered, cash) {
            (_, true) => assert_eq!(left, 0, "{}", order.id),
            (true, false) if lost => kept += 1,
            (true, false) => assert!(
                [0, 150].contains(&(order.price.total_minor - left)),
                "{}: {left} of {}",
                order.id,
                order.price.total_minor
            ),
            (false, false) => assert_eq!(left, 0, "{} was {} and cost {left}", order.id, order.state.name()),
        }
    }
    println!("{orders} orders are over; {kept} were delivered although the bank took its promise back");
}
