//! The bodies that apps send.

use serde::Serialize;
use tomato_shared::cell::LatLng;
use tomato_shared::event::PaymentMethod;
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::time::UnixMs;

use crate::view::Address;

/// Some of one menu item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Item {
    pub item_id: ItemId,
    pub quantity: u32,
}

/// `POST /v1/quotes`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewQuote {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restaurant_id: Option<RestaurantId>,
    pub items: Vec<Item>,
    pub deliver_to: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tip_minor: Option<i64>,
}

/// `POST /v1/orders`: with a quote, or with items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewOrder {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restaurant_id: Option<RestaurantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Item>>,
    pub deliver_to: Address,
    pub payment: Payment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tip_minor: Option<i64>,
}

/// How the order is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payment {
    pub method: PaymentMethod,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

impl Payment {
    /// With a card of the simulated provider, as `card_ok`.
    pub fn card(token: &str) -> Self {
        Self {
            method: PaymentMethod::Card,
            card: Some(token.to_owned()),
        }
    }

    /// At the door.
    pub fn cash() -> Self {
        Self {
            method: PaymentMethod::Cash,
            card: None,
        }
    }
}

/// `PUT /v1/restaurants/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PutRestaurant {
    pub name: String,
    pub place: LatLng,
    pub open: bool,
    pub delivery_radius_m: u32,
    pub preparation_min: u32,
    pub menu: Vec<PutMenuItem>,
}

/// An item of a menu; `capacity` where its stock is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PutMenuItem {
    pub id: ItemId,
    pub name: String,
    pub category: String,
    pub price_minor: i64,
    pub available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

/// Where a driver was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fix {
    pub lat: f64,
    pub lng: f64,
    pub at: UnixMs,
}

/// What shows that an order was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Proof {
    Pin { pin: String },
    Photo { reference: String },
    Signature { reference: String },
}
