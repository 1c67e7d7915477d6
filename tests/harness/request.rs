//! The bodies that apps send.

use serde::Serialize;
use tomato_shared::cell::LatLng;
use tomato_shared::event::PaymentMethod;
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::time::UnixMs;

use crate::view::Address;

/// Some of one menu item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    pub item_id: ItemId,
    pub quantity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<ChosenOption>,
}

impl Item {
    /// As it is, without a choice.
    pub const fn plain(item_id: ItemId, quantity: u32) -> Self {
        Self {
            item_id,
            quantity,
            variant: None,
            options: Vec::new(),
        }
    }
}

/// One chosen option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChosenOption {
    pub group: String,
    pub key: String,
}

/// `POST /v1/quotes`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewQuote {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restaurant_id: Option<RestaurantId>,
    pub items: Vec<Item>,
    pub deliver_to: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver_at: Option<UnixMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promo_code: Option<String>,
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
    pub deliver_at: Option<UnixMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promo_code: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    pub menu: Vec<PutMenuItem>,
}

/// When a restaurant is open; the days by their first three letters, the times as `09:30`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Hours {
    pub week: Vec<Opening>,
}

/// One span of a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opening {
    pub day: &'static str,
    pub from: &'static str,
    pub to: &'static str,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Choice>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<OptionGroup>,
}

/// A variant, or an option of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    pub key: String,
    pub name: String,
    pub price_minor: i64,
    pub available: bool,
}

/// Options of which so many are to be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OptionGroup {
    pub key: String,
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub choices: Vec<Choice>,
}

/// What a restaurant would cook instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Place of a line, and how many of it are left.
    pub lines: Vec<LineLeft>,
    pub add: Vec<Item>,
}

/// How many of a line are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LineLeft {
    pub line: usize,
    pub quantity: u32,
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
