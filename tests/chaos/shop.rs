//! Customers who only order, each once, as fast as they are answered, and remember what they were told. A wish without an
//! answer is tried again with its key until it has one, as any app must.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tomato_shared::id::{OrderId, UserId};

use super::report::Report;
use crate::city::habits::Habits;
use crate::city::tracker::Tracker;
use crate::city::world::Size;
use crate::client::{Api, Request, new_key};
use crate::stack::Stack;
use crate::tokens::Issuer;

/// How long one who got no answer waits.
const PAUSE: Duration = Duration::from_millis(50);

/// What somebody wants, under its key.
#[derive(Debug, Clone)]
struct Wish {
    customer: UserId,
    basket: usize,
}

#[derive(Debug, Default)]
struct Book {
    /// Keys that were answered 201.
    answered: BTreeMap<String, OrderId>,
    /// Keys that were sent, and may or may not have had an effect.
    unknown: BTreeMap<String, Wish>,
    complaints: Vec<String>,
}

/// A region's customers.
#[derive(Debug)]
pub struct Shop {
    api: Api,
    issuer: Arc<Issuer>,
    baskets: Vec<Value>,
    book: Mutex<Book>,
}

impl Shop {
    /// Writes a small city into a region that runs; nobody works there.
    pub async fn open(stack: &Stack, region: &str) -> Arc<Self> {
        let size = Size {
            restaurants: 4,
            drivers: 1,
            customers: 1,
        };
        let city = stack
            .city(region, (61, size), Habits::flawless(), &Arc::<Tracker>::default())
            .await;
        let baskets = city.world.restaurants.iter().filter_map(|restaurant| {
            let plain = restaurant.put.menu.iter().find(|item| {
                item.available && item.capacity.is_none() && item.variants.is_empty() && item.options.is_empty()
            })?;
            Some(json!({
                "restaurant_id": restaurant.id,
                "items": [{"item_id": plain.id, "quantity": 1}],
                "deliver_to": {"place": restaurant.put.place, "line": "12 Church Street"},
                "payment": {"method": "card", "card": "card_ok"},
            }))
        });
        let baskets: Vec<_> = baskets.collect();
        assert!(!baskets.is_empty(), "every dish of the city is counted or has a choice");
        Arc::new(Self {
            api: city.api.clone(),
            issuer: stack.issuer.clone(),
            baskets,
            book: Mutex::default(),
        })
    }

    /// So many customers at a time, until the set is dropped.
    pub fn start(self: &Arc<Self>, at_once: usize) -> JoinSet<()> {
        let mut customers = JoinSet::new();
        for _ in 0..at_once {
            let shop = self.clone();
            customers.spawn(async move {
                loop {
                    shop.wish().await;
                }
            });
        }
        customers
    }

    async fn wish(&self) {
        let key = new_key();
        let wish = Wish {
            customer: UserId::from_bytes(rand::random()),
            basket: rand::random_range(0..self.baskets.len()),
        };
        // Before it is sent: a task that is dropped meanwhile must not forget it.
        self.book().unknown.insert(key.clone(), wish.clone());
        if !self.send(&key, &wish).await {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// True if there was an answer.
    async fn send(&self, key: &str, wish: &Wish) -> bool {
        let api = self.api.with_token(&self.issuer.customer(wish.customer));
        let request = Request::new(Method::POST, "/v1/orders")
            .header("idempotency-key", key)
            .json(&self.baskets[wish.basket]);
        let Ok(answer) = api.send(&request).await else {
            return false;
        };
        if answer.status.is_server_error() {
            return false;
        }
        let id = serde_json::from_value::<OrderId>(answer.json()["id"].clone());
        let mut book = self.book();
        book.unknown.remove(key);
        match id {
            Ok(id) if answer.status == 201 => {
                book.answered.insert(key.to_owned(), id);
            }
            Ok(_) | Err(_) => book.complaints.push(format!("{}: {}", answer.status, answer.json())),
        }
        true
    }

    /// Tries every wish without an answer again, with its key, until all have one; the node must run.
    pub async fn ask_again(&self) {
        let unknown: Vec<_> = self.book().unknown.clone().into_iter().collect();
        let again = futures_util::stream::iter(unknown).for_each_concurrent(8, async |(key, wish)| {
            while !self.send(&key, &wish).await {
                tokio::time::sleep(PAUSE).await;
            }
        });
        again.await;
    }

    /// Orders that were answered 201 so far.
    pub fn answered(&self) -> Vec<OrderId> {
        self.book().answered.values().copied().collect()
    }

    /// How many were.
    pub fn count(&self) -> u64 {
        self.book().answered.len() as u64
    }

    /// Compares what was answered with the orders that are `there`. `lost`: what the row of the missing ones is called.
    pub fn compare(&self, there: &BTreeSet<OrderId>, lost: &str, report: &mut Report) {
        let answered: BTreeSet<OrderId> = self.answered().into_iter().collect();
        report.none(lost, answered.difference(there).count() as u64);
        report.none("orders nobody was told of", there.difference(&answered).count() as u64);
        report.none("keys that share an order", self.count() - answered.len() as u64);
    }

    /// Answers that nobody expected.
    pub fn complaints(&self) -> Vec<String> {
        self.book().complaints.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
