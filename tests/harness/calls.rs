//! The calls of the public API that apps make, by name.

use http::Method;
use serde_json::{Value, json};
use tomato_shared::cell::LatLng;
use tomato_shared::id::{DeliveryId, DriverId, OfferId, OrderId, RestaurantId};
use tomato_shared::order::OrderState;

use crate::client::{Api, ApiError, Request};
use crate::request::{Change, Fix, NewOrder, NewQuote, Proof, PutRestaurant};
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

    /// Agrees to a proposed change, or not.
    pub async fn answer_change(&self, id: OrderId, agreed: bool) -> Result<Order> {
        let word = if agreed { "accept" } else { "decline" };
        self.command(Method::POST, &format!("/v1/orders/{id}/change/{word}"), &json!({}))
            .await
    }

    /// Rates a delivered order.
    pub async fn rate(&self, id: OrderId, restaurant_stars: u8, driver_stars: Option<u8>) -> Result<Order> {
        let stars = json!({ "restaurant_stars": restaurant_stars, "driver_stars": driver_stars });
        self.command(Method::POST, &format!("/v1/orders/{id}/rating"), &stars)
            .await
    }

    /// Gives the driver something more.
    pub async fn tip(&self, id: OrderId, amount_minor: i64) -> Result<Order> {
        self.command(
            Method::POST,
            &format!("/v1/orders/{id}/tip"),
            &json!({ "amount_minor": amount_minor }),
        )
        .await
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

    /// Does not take an order on, for a reason such as `too_busy`.
    pub async fn reject(&self, id: RestaurantId, order: OrderId, reason: &str) -> Result<Order> {
        let path = format!("/v1/restaurants/{id}/orders/{order}/reject");
        self.command(Method::POST, &path, &json!({ "reason": reason })).await
    }

    /// Will be ready at another time than was said.
    pub async fn delay(&self, id: RestaurantId, order: OrderId, ready_in_min: u32) -> Result<Order> {
        let path = format!("/v1/restaurants/{id}/orders/{order}/delay");
        self.command(Method::POST, &path, &json!({ "ready_in_min": ready_in_min }))
            .await
    }

    /// Asks the customer for something else instead.
    pub async fn propose(&self, id: RestaurantId, order: OrderId, change: &Change) -> Result<Order> {
        let path = format!("/v1/restaurants/{id}/orders/{order}/changes");
        self.command(Method::POST, &path, change).await
    }

    /// Opens, closes or pauses, or says that it is busy.
    pub async fn set_restaurant_status(&self, id: RestaurantId, status: &Value) -> Result<Restaurant> {
        self.command(Method::PUT, &format!("/v1/restaurants/{id}/status"), status)
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

/// Cards.
impl Api {
    /// Pays with another card after one was declined.
    pub async fn pay(&self, id: OrderId, card: &str) -> Result<Order> {
        self.command(
            Method::POST,
            &format!("/v1/orders/{id}/payment"),
            &json!({ "card": card }),
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

    /// Has brought back what could not be handed over.
    pub async fn bring_back(&self, id: DeliveryId) -> Result<Order> {
        self.command(Method::POST, &format!("/v1/deliveries/{id}/return"), &json!({}))
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

    /// Sends some of an order's money back.
    pub async fn refund(&self, id: OrderId, amount_minor: i64, reason: &str) -> Result<Order> {
        let refund = json!({ "amount_minor": amount_minor, "reason": reason, "borne_by": "platform" });
        self.command(Method::POST, &format!("/v1/orders/{id}/refunds"), &refund)
            .await
    }

    /// Takes in cash from a driver.
    pub async fn deposit_cash(&self, id: DriverId, amount_minor: i64) -> Result<Driver> {
        self.command(
            Method::POST,
            &format!("/v1/drivers/{id}/cash-deposits"),
            &json!({ "amount_minor": amount_minor }),
        )
        .await
    }

    /// Writes a promotion.
    pub async fn put_promotion(&self, code: &str, promotion: &Value) -> Result<Value> {
        self.command(Method::PUT, &format!("/v1/promotions/{code}"), promotion)
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
