//! The calls of the public API that apps make, by name.

use http::Method;
use serde_json::{Value, json};
use tomato_shared::cell::LatLng;
use tomato_shared::id::{DeliveryId, DriverId, OfferId, OrderId, RestaurantId};
use tomato_shared::order::OrderState;

use crate::client::{Api, ApiError, Request};
use crate::request::{Fix, NewOrder, NewQuote, Proof, PutRestaurant};
use crate::view::{
    Driver, DriverHome, HistoryEntry, NearbyRestaurant, Order, Overview, Page, Quote, Restaurant, Version,
};

type Result<T> = std::result::Result<T, ApiError>;

/// Anybody.
impl Api {
    /// Version and clock of the node.
    pub async fn version(&self) -> Result<Version> {
        self.get("/version").await
    }

    /// Restaurants that deliver to a place, nearest first; one page.
    pub async fn restaurants_near(&self, place: LatLng, limit: u32) -> Result<Page<NearbyRestaurant>> {
        self.get(&format!(
            "/v1/restaurants?lat={}&lng={}&limit={limit}",
            place.lat(),
            place.lng()
        ))
        .await
    }

    /// A restaurant and its menu.
    pub async fn restaurant(&self, id: RestaurantId) -> Result<Restaurant> {
        self.get(&format!("/v1/restaurants/{id}")).await
    }

    /// An order that the caller may see.
    pub async fn order(&self, id: OrderId) -> Result<Order> {
        self.get(&format!("/v1/orders/{id}")).await
    }

    /// History of an order after a version.
    pub async fn history(&self, id: OrderId, after: u32) -> Result<Page<HistoryEntry>> {
        self.get(&format!("/v1/orders/{id}/events?after={after}")).await
    }
}

/// Customers.
impl Api {
    /// Prices a basket.
    pub async fn quote(&self, quote: &NewQuote) -> Result<Quote> {
        self.command(Method::POST, "/v1/quotes", quote).await
    }

    /// Orders; the key is the caller's, for it stands for the wish.
    pub async fn place(&self, key: &str, order: &NewOrder) -> Result<Order> {
        let request = Request::new(Method::POST, "/v1/orders")
            .json(order)
            .header("idempotency-key", key);
        self.call(&request).await
    }

    /// Gives an order up.
    pub async fn cancel(&self, id: OrderId) -> Result<Order> {
        self.command(Method::POST, &format!("/v1/orders/{id}/cancel"), &json!({}))
            .await
    }
}

/// Restaurants.
impl Api {
    /// The restaurant's orders in a state; one page.
    pub async fn restaurant_orders(&self, id: RestaurantId, state: OrderState) -> Result<Page<Order>> {
        self.get(&format!("/v1/restaurants/{id}/orders?state={}&limit=100", state.name()))
            .await
    }

    /// Takes an order on.
    pub async fn accept(&self, id: RestaurantId, order: OrderId, ready_in_min: u32) -> Result<Order> {
        let path = format!("/v1/restaurants/{id}/orders/{order}/accept");
        self.command(Method::POST, &path, &json!({ "ready_in_min": ready_in_min }))
            .await
    }

    /// Does not take an order on.
    pub async fn reject(&self, id: RestaurantId, order: OrderId) -> Result<Order> {
        self.command(
            Method::POST,
            &format!("/v1/restaurants/{id}/orders/{order}/reject"),
            &json!({}),
        )
        .await
    }

    /// Has cooked.
    pub async fn ready(&self, id: RestaurantId, order: OrderId) -> Result<Order> {
        self.command(
            Method::POST,
            &format!("/v1/restaurants/{id}/orders/{order}/ready"),
            &json!({}),
        )
        .await
    }
}

/// Drivers.
impl Api {
    /// Own state, offers and delivery.
    pub async fn driver_home(&self) -> Result<DriverHome> {
        self.get("/v1/drivers/me").await
    }

    /// Signs on or off.
    pub async fn set_online(&self, online: bool) -> Result<Driver> {
        self.command(Method::PUT, "/v1/drivers/me/status", &json!({ "online": online }))
            .await
    }

    /// Tells where the driver was, oldest first.
    pub async fn locations(&self, fixes: &[Fix]) -> Result<Value> {
        self.call(&Request::new(Method::POST, "/v1/drivers/me/locations").json(&fixes))
            .await
    }

    /// Takes an offer.
    pub async fn accept_offer(&self, id: OfferId) -> Result<Order> {
        self.command(Method::POST, &format!("/v1/offers/{id}/accept"), &json!({}))
            .await
    }

    /// Refuses an offer.
    pub async fn decline_offer(&self, id: OfferId) -> Result<Order> {
        self.command(Method::POST, &format!("/v1/offers/{id}/decline"), &json!({}))
            .await
    }

    /// Is at the restaurant.
    pub async fn arrive(&self, id: DeliveryId) -> Result<Order> {
        self.command(Method::POST, &format!("/v1/deliveries/{id}/arrive"), &json!({}))
            .await
    }

    /// Has the order.
    pub async fn pick_up(&self, id: DeliveryId) -> Result<Order> {
        self.command(Method::POST, &format!("/v1/deliveries/{id}/pickup"), &json!({}))
            .await
    }

    /// Has handed it over.
    pub async fn complete(&self, id: DeliveryId, proof: &Proof) -> Result<Order> {
        self.command(
            Method::POST,
            &format!("/v1/deliveries/{id}/complete"),
            &json!({ "proof": proof }),
        )
        .await
    }

    /// Could not hand it over.
    pub async fn fail_delivery(&self, id: DeliveryId, reason: &str) -> Result<Order> {
        self.command(
            Method::POST,
            &format!("/v1/deliveries/{id}/fail"),
            &json!({ "reason": reason }),
        )
        .await
    }

    /// Gives the delivery back before pickup.
    pub async fn give_back(&self, id: DeliveryId) -> Result<Order> {
        self.command(Method::POST, &format!("/v1/deliveries/{id}/cancel"), &json!({}))
            .await
    }
}

/// Operators.
impl Api {
    /// The region in numbers.
    pub async fn overview(&self) -> Result<Overview> {
        self.get("/v1/overview").await
    }

    /// Writes a restaurant.
    pub async fn put_restaurant(&self, id: RestaurantId, restaurant: &PutRestaurant) -> Result<Restaurant> {
        self.command(Method::PUT, &format!("/v1/restaurants/{id}"), restaurant)
            .await
    }

    /// Writes a driver.
    pub async fn put_driver(&self, id: DriverId, name: &str, phone: &str) -> Result<Driver> {
        self.command(
            Method::PUT,
            &format!("/v1/drivers/{id}"),
            &json!({ "name": name, "phone": phone }),
        )
        .await
    }

    /// Every order that the caller may list, over all pages, newest first.
    pub async fn all_orders(&self) -> Result<Vec<Order>> {
        let mut orders = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: Page<Order> = self.get(&format!("/v1/orders?limit=100{cursor}")).await?;
            orders.extend(page.data);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(orders),
            }
        }
    }
}
