//! Who orders what: restaurants, customers with their tokens, and the requests they send. All of it made from a seed,
//! so that both sides of a comparison see the same orders.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use rand::Rng as _;
use rand::rngs::StdRng;
use tomato_shared::cell::LatLng;
use tomato_shared::id::{ItemId, RestaurantId, UserId};
use tomato_tests::city::chance;
use tomato_tests::request::{Item, NewOrder, Payment, PutMenuItem, PutRestaurant};
use tomato_tests::tokens::Issuer;
use tomato_tests::view::Address;

pub(crate) const RESTAURANTS: u32 = 100;
pub(crate) const ITEMS: u32 = 20;
/// The first so many items of each menu are counted.
pub(crate) const COUNTED: u32 = 8;
/// Never sold out within a run.
pub(crate) const CAPACITY: u32 = 1_000_000;
pub(crate) const CUSTOMERS: usize = 20_000;
/// Most lines of an order; 1 to this many are equally likely.
pub(crate) const LINES_MAX: usize = 3;
/// Different bodies; prime, so that customers and bodies meet in ever new pairs.
const BODIES: usize = 4_093;
const SEED: u64 = 2;

/// A restaurant by number.
pub(crate) fn restaurant_id(number: u32) -> RestaurantId {
    RestaurantId::from_bytes(bytes(1, number, 0))
}

/// An item of a restaurant's menu by numbers.
pub(crate) fn item_id(restaurant: u32, number: u32) -> ItemId {
    ItemId::from_bytes(bytes(2, restaurant, number))
}

/// Whether the stock of an item is counted: its number is the end of its id.
pub(crate) fn is_counted(item: &ItemId) -> bool {
    let [.., a, b, c, d] = *item.bytes();
    u32::from_be_bytes([a, b, c, d]) < COUNTED
}

fn bytes(kind: u8, restaurant: u32, item: u32) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[8..12].copy_from_slice(&restaurant.to_be_bytes());
    bytes[12..].copy_from_slice(&item.to_be_bytes());
    bytes
}

/// Every customer's id, in the order in which they order.
pub(crate) fn customers() -> Vec<UserId> {
    let mut rng = chance::stream(SEED, "bench customers", 0);
    (0..CUSTOMERS).map(|_| chance::id(&mut rng)).collect()
}

/// Every restaurant, to be written by an operator.
pub(crate) fn restaurants(centre: LatLng) -> Vec<(RestaurantId, PutRestaurant)> {
    (0..RESTAURANTS)
        .map(|number| {
            let menu = (0..ITEMS).map(|item| PutMenuItem {
                id: item_id(number, item),
                name: format!("Dish {item} of kitchen {number}"),
                category: "Mains".into(),
                price_minor: 9_900 + i64::from(item) * 700,
                available: true,
                capacity: (item < COUNTED).then_some(CAPACITY),
                variants: Vec::new(),
                options: Vec::new(),
            });
            let put = PutRestaurant {
                name: format!("Kitchen {number}, Indiranagar"),
                place: place(centre, number),
                open: true,
                delivery_radius_m: 5_000,
                preparation_min: 12,
                hours: None,
                menu: menu.collect(),
            };
            (restaurant_id(number), put)
        })
        .collect()
}

/// Ten by ten restaurants, 400 m apart.
fn place(centre: LatLng, number: u32) -> LatLng {
    let step = |of: u32| f64::from(of) * 400.0 - 1_800.0;
    centre.offset_m(step(number % 10), step(number / 10))
}

/// Requests to place orders, numbered without end; no two have the same key.
pub(crate) struct Market {
    tokens: Vec<HeaderValue>,
    bodies: Vec<Bytes>,
    host: HeaderValue,
    run: u64,
}

impl Market {
    /// Mints a token for each customer and writes the bodies.
    pub(crate) fn open(issuer: &Issuer, centre: LatLng) -> Result<Self, String> {
        let bearer = |id: UserId| HeaderValue::from_str(&format!("Bearer {}", issuer.customer(id)));
        let tokens = customers().into_iter().map(bearer).collect::<Result<_, _>>();
        let mut rng = chance::stream(SEED, "bench bodies", 0);
        let bodies = (0..BODIES).map(|_| serde_json::to_vec(&order(&mut rng, centre)).map(Bytes::from));
        Ok(Self {
            tokens: tokens.map_err(|error| format!("a token does not fit into a header: {error}"))?,
            bodies: bodies
                .collect::<Result<_, _>>()
                .map_err(|error| format!("an order does not serialise: {error}"))?,
            host: HeaderValue::from_static("localhost"),
            run: rand::rng().random(),
        })
    }

    /// The n-th request.
    pub(crate) fn request(&self, n: u64) -> Request<Full<Bytes>> {
        let at = |len: usize| usize::try_from(n % len as u64).unwrap_or(0);
        let key = format!("{:016x}{n:016x}", self.run);
        let mut request = Request::new(Full::new(self.bodies[at(self.bodies.len())].clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static("/v1/orders");
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::AUTHORIZATION, self.tokens[at(self.tokens.len())].clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(key) = HeaderValue::from_maybe_shared(Bytes::from(key)) {
            headers.insert("idempotency-key", key);
        }
        request
    }
}

/// One to three lines, the first of them counted, delivered within a kilometre or so of the restaurant.
fn order(rng: &mut StdRng, centre: LatLng) -> NewOrder {
    let restaurant = rng.random_range(0..RESTAURANTS);
    let mut numbers = vec![rng.random_range(0..COUNTED)];
    for _ in 1..rng.random_range(1..=LINES_MAX) {
        let number = rng.random_range(0..ITEMS);
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    let items = numbers
        .into_iter()
        .map(|number| Item::plain(item_id(restaurant, number), rng.random_range(1..=3)));
    let items = items.collect();
    let mut metres = || rng.random_range(-800.0..800.0);
    NewOrder {
        quote: None,
        restaurant_id: Some(restaurant_id(restaurant)),
        items: Some(items),
        deliver_to: Address {
            place: place(centre, restaurant).offset_m(metres(), metres()),
            line: format!(
                "{} 12th Main Road, flat {}",
                rng.random_range(1..900),
                rng.random_range(1..40)
            ),
            note: String::new(),
            phone: None,
        },
        payment: Payment::card("card_ok"),
        deliver_at: None,
        promo_code: None,
        tip_minor: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_name_items_of_their_restaurant_and_at_least_one_counted() {
        let centre = LatLng::new(12.9716, 77.5946).unwrap();
        let mut rng = chance::stream(SEED, "test", 0);
        let mut lines = [0; LINES_MAX];
        for _ in 0..1_000 {
            let order = order(&mut rng, centre);
            let items = order.items.unwrap();
            assert!(items.iter().any(|item| is_counted(&item.item_id)));
            let restaurant = order.restaurant_id.unwrap();
            assert!(
                items
                    .iter()
                    .all(|item| item.item_id.bytes()[8..12] == restaurant.bytes()[8..12])
            );
            lines[items.len() - 1] += 1;
        }
        assert!(lines.iter().all(|count| *count > 200), "{lines:?}");
    }

    #[test]
    fn counted_is_read_from_the_id() {
        assert!(is_counted(&item_id(99, COUNTED - 1)) && !is_counted(&item_id(0, COUNTED)));
    }
}
