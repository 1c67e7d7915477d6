//! The region at a glance.

use std::sync::atomic::Ordering;

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use tomato_shared::cell::RegionId;
use tomato_shared::money::Currency;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::time::UnixMs;

use super::call::{Call, ok};
use super::error;
use crate::store::reads;

/// The region in numbers, from its first day on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    region: RegionId,
    /// Region time.
    now: UnixMs,
    placed: u64,
    delivered: u64,
    cancelled: u64,
    payment_failed: u64,
    active: u64,
    revenue_minor: i64,
    refunded_minor: i64,
    currency: Currency,
    drivers_online: usize,
    waiting_for_driver: u64,
    outbox: Outbox,
}

/// How far the region's events have come.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outbox {
    /// Newest event.
    head_seq: u64,
    /// Newest event that the region's stream has.
    published_seq: u64,
    /// Newest event that the hub has.
    watermark_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_unsynced_at: Option<UnixMs>,
}

/// Counts from the feed's running totals; only the age of the oldest unsynced event is asked of the file, by its key.
pub async fn overview(call: Call) -> Result<Response, Problem> {
    let app = &call.app;
    let watermark_seq = app.head.borrow().watermark_seq;
    let oldest = app
        .reads
        .read(move |connection| reads::oldest_after(connection, watermark_seq))
        .await;
    let oldest_unsynced_at = oldest.map_err(error::from_read)?;
    let counts = app.feed.totals();
    ok(&Overview {
        region: app.policy.region.clone(),
        now: app.clock.now(),
        placed: counts.placed,
        delivered: counts.delivered,
        cancelled: counts.cancelled,
        payment_failed: counts.payment_failed,
        active: counts.active,
        revenue_minor: counts.revenue_minor,
        refunded_minor: counts.refunded_minor,
        currency: app.policy.currency,
        drivers_online: app.fleet.online(),
        waiting_for_driver: counts.waiting_for_driver,
        outbox: Outbox {
            head_seq: app.feed.head_seq(),
            published_seq: app.published.load(Ordering::Relaxed),
            watermark_seq,
            oldest_unsynced_at,
        },
    })
}
