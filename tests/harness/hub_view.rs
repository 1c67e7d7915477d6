//! The bodies of the hub's API, as far as comparisons need them.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tomato_shared::cell::RegionId;
use tomato_shared::id::OrderId;
use tomato_shared::order::OrderState;

use crate::client::{Api, ApiError};

/// `GET /v1/overview`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HubOverview {
    pub sum: Totals,
    pub regions: Vec<RegionTotals>,
}

/// A region's totals.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RegionTotals {
    pub region: RegionId,
    #[serde(flatten)]
    pub totals: Totals,
}

/// Orders by state, and money.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Totals {
    pub placed: u64,
    pub delivered: u64,
    pub cancelled: u64,
    pub payment_failed: u64,
    pub active: u64,
    pub money: Vec<Money>,
}

/// Money of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Money {
    pub currency: String,
    pub revenue_minor: i64,
    pub refunded_minor: i64,
}

/// A row of `GET /v1/orders`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HubOrder {
    pub id: OrderId,
    pub region: RegionId,
    pub status: OrderState,
    pub version: u32,
    pub total_minor: i64,
}

/// A row of `GET /v1/regions`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HubRegion {
    pub region: RegionId,
    pub link: String,
    pub incarnation: u32,
    pub head_seq: u64,
    pub applied_seq: u64,
    pub missing_events: u64,
    pub oldest_unsynced_age_ms: Option<i64>,
    pub map_version: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Regions {
    regions: Vec<HubRegion>,
}

#[derive(Debug, Deserialize)]
struct Orders {
    orders: Vec<HubOrder>,
    next_cursor: Option<String>,
}

/// Central operators.
impl Api {
    /// Counts and money over all regions.
    pub async fn hub_overview(&self) -> Result<HubOverview, ApiError> {
        self.get("/v1/overview").await
    }

    /// How far the hub is behind each region.
    pub async fn hub_regions(&self) -> Result<Vec<HubRegion>, ApiError> {
        let regions: Regions = self.get("/v1/regions").await?;
        Ok(regions.regions)
    }

    /// One region as the hub sees it, once it knows it.
    pub async fn hub_region(&self, region: &RegionId) -> Result<Option<HubRegion>, ApiError> {
        Ok(self.hub_regions().await?.into_iter().find(|row| row.region == *region))
    }

    /// One order with its timeline, as it comes.
    pub async fn hub_order<T: DeserializeOwned>(&self, id: OrderId) -> Result<T, ApiError> {
        self.get(&format!("/v1/orders/{id}")).await
    }

    /// Every order of a region, over all pages, newest first.
    pub async fn hub_orders(&self, region: &RegionId) -> Result<Vec<HubOrder>, ApiError> {
        let mut orders = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: Orders = self
                .get(&format!("/v1/orders?region={region}&limit=100{cursor}"))
                .await?;
            orders.extend(page.orders);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(orders),
            }
        }
    }
}
