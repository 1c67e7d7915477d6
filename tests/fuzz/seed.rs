//! People and orders in every state, and what the tool has to know of them: addresses, tokens, ids.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tomato_shared::cell::LatLng;
use tomato_shared::id::{ItemId, OfferId, OrderId};
use tomato_tests::city::clock::real_now;
use tomato_tests::city::habits::Habits;
use tomato_tests::city::tracker::Tracker;
use tomato_tests::city::world::{SeededRestaurant, Size};
use tomato_tests::client::{Api, ApiError, Request, new_key};
use tomato_tests::request::PutMenuItem;
use tomato_tests::stack::Stack;
use tomato_tests::wait::poll_until;

/// The hooks of the tool; see there.
const HOOKS: &str = include_str!("hooks.py");

/// What the tool has to know.
pub(crate) struct Town {
    pub(crate) url: String,
    /// Role and token; no token for nobody.
    pub(crate) callers: Vec<(&'static str, Option<String>)>,
    /// What stands for each path parameter, and where the region is.
    facts: Value,
}

/// Fills the region.
pub(crate) async fn town(stack: &Stack) -> Result<Town, String> {
    let size = Size {
        restaurants: 3,
        drivers: 3,
        customers: 3,
    };
    let tracker = Arc::new(Tracker::default());
    let city = stack.city("blr", (5, size), Habits::flawless(), &tracker).await;
    let (restaurant, driver) = (&city.world.restaurants[0], &city.world.drivers[0]);
    let tokens = [
        stack.issuer.customer(city.world.customers[0]),
        stack.issuer.restaurant(restaurant.staff, restaurant.id),
        stack.issuer.driver(driver.id),
        stack.issuer.operator(),
    ];
    let [customer, kitchen, rider, _] = tokens.each_ref().map(|token| city.api.with_token(token));
    rider.set_online(true).await.map_err(text)?;
    let orders = orders(&customer, &kitchen, restaurant).await?;
    let offer = offer(&rider, restaurant.put.place).await?;
    let ids: Vec<String> = orders.iter().map(OrderId::to_string).collect();
    let deliveries: Vec<String> = ids.iter().map(|id| id.replace("ord_", "del_")).collect();
    let facts = json!({
        "place": restaurant.put.place, "item": dish(restaurant)?,
        "ids": {
            "rst": [restaurant.id], "drv": [driver.id], "ord": ids, "del": deliveries, "ofr": [offer],
            "itm": [dish(restaurant)?],
        },
    });
    let names = ["customer", "restaurant", "driver", "operator"];
    let callers = names.into_iter().zip(tokens.map(Some));
    Ok(Town {
        url: city.api.base().to_owned(),
        callers: callers.chain([("nobody", None)]).collect(),
        facts,
    })
}

/// Something that there is enough of, and that needs no choice.
fn dish(restaurant: &SeededRestaurant) -> Result<ItemId, String> {
    let plain = |item: &&PutMenuItem| item.variants.is_empty() && item.options.is_empty() && item.capacity.is_none();
    let found = restaurant.put.menu.iter().find(plain);
    Ok(found.ok_or("the menu has nothing plain")?.id)
}

/// Eight orders: two ready, two being cooked, three not answered, one given up.
async fn orders(customer: &Api, kitchen: &Api, restaurant: &SeededRestaurant) -> Result<Vec<OrderId>, String> {
    let item = dish(restaurant)?;
    let order = json!({
        "restaurant_id": restaurant.id, "items": [{"item_id": item, "quantity": 1}],
        "deliver_to": {"place": restaurant.put.place, "line": "12 Church Street"}, "payment": {"method": "cash"},
    });
    let mut orders = Vec::new();
    for number in 0..8 {
        let request = Request::new(Method::POST, "/v1/orders").header("idempotency-key", new_key());
        let placed: Value = customer.call(&request.json(&order)).await.map_err(text)?;
        let id = placed["id"].as_str().and_then(|id| id.parse().ok());
        let id: OrderId = id.ok_or("an order without an id")?;
        if number < 4 {
            kitchen.accept(restaurant.id, id, 10).await.map_err(text)?;
        }
        if number < 2 {
            kitchen.ready(restaurant.id, id).await.map_err(text)?;
        }
        orders.push(id);
    }
    customer.cancel(orders[7]).await.map_err(text)?;
    Ok(orders)
}

/// Waits for an offer to the driver, who says where they are again and again, as a device does.
async fn offer(rider: &Api, place: LatLng) -> Result<OfferId, String> {
    let offered = async || {
        report(rider, place).await.ok()?;
        let home = rider.driver_home().await.ok()?;
        home.offers.first()?.delivery.offer.as_ref().map(|offer| offer.id)
    };
    poll_until("an offer", Duration::from_secs(60), offered).await
}

fn text(error: ApiError) -> String {
    error.to_string()
}

async fn report(rider: &Api, place: LatLng) -> Result<(), String> {
    let fix = json!([{"lat": place.lat(), "lng": place.lng(), "at": real_now()}]);
    let request = Request::new(Method::POST, "/v1/drivers/me/locations").json(&fix);
    let answer = rider.send(&request).await.map_err(text)?;
    if answer.status == 204 {
        return Ok(());
    }
    Err(format!(
        "the driver's position was answered {}: {}",
        answer.status,
        answer.json()
    ))
}

/// Writes hooks and facts where the tool reads them.
pub(crate) fn write(town: &Town, folder: &Path) -> Result<(), String> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    put("hooks.py", HOOKS)?;
    put("facts.json", &town.facts.to_string())
}
