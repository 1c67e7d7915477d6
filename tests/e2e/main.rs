//! Real processes: `tomato-hub`, `tomato-node` and their nats-servers, driven only by what people can do: HTTP,
//! WebSocket, and kill -9.
//!
//! | module | shows |
//! |---|---|
//! | [`smoke`] | thirty orders by simulated people, and the hub knows them |
//! | [`kills`] | every process killed again and again under traffic: nothing acknowledged is lost, hub equals region |
//! | [`alone`] | a region that sells without a hub, which catches up when it appears |
//! | [`money`] | every failure of a payment, with the node killed at every step of it |
//! | [`money_provider`] | the provider away, late, unknown; Razorpay; `reconcile` |
//! | [`once`] | one Idempotency-Key, one order, the same bytes, also after a kill |
//! | [`order`] | an order from the menu to the rating, one story a promise |
//! | [`hub_page`] | the hub in a browser: its numbers, its looks, no foreign request |
//! | [`telemetry`] | one trace from the request to the stream, and nobody's address in the log |
//! | [`bad_input`] | what is wrong is refused with the right problem, and changes nothing |

mod alone;
mod bad_input;
mod hub_page;
mod kills;
mod money;
mod money_provider;
mod once;
mod order;
mod smoke;
mod telemetry;

use std::sync::Arc;
use std::time::Duration;

use tomato_tests::city::habits::Habits;
use tomato_tests::city::tracker::{Counts, Tracker};
use tomato_tests::city::traffic::{Quota, Traffic};
use tomato_tests::city::world::Size;
use tomato_tests::city::{City, Staff};
use tomato_tests::compare::settle;
use tomato_tests::stack::Stack;

/// A city at work, whose orders are counted.
struct Town {
    city: Arc<City>,
    tracker: Arc<Tracker>,
    staff: Staff,
}

impl Town {
    /// People in a region that runs.
    async fn open(stack: &Stack, region: &str, seed: u64) -> Self {
        let tracker = Arc::new(Tracker::default());
        let size = Size {
            restaurants: 6,
            drivers: 20,
            customers: 60,
        };
        let habits = Habits {
            orders_per_min: 4.0,
            // Nobody waits for an hour in a test; scheduled orders have tests of their own.
            scheduled: 0.0,
            ..Habits::default()
        };
        let city = stack.city(region, (seed, size), habits, &tracker).await;
        let staff = Staff::start(&city);
        Self { city, tracker, staff }
    }

    fn counts(&self) -> Counts {
        self.tracker.counts(&self.city.world.ground.region)
    }

    /// Runs until `orders` are final, while `meanwhile` happens.
    async fn serve(&self, orders: u64, meanwhile: impl Future<Output = ()>) {
        let traffic = Traffic::run(self.city.clone(), Quota::Orders(orders));
        let both = async { tokio::join!(traffic, meanwhile) };
        if tokio::time::timeout(Duration::from_secs(240), both).await.is_err() {
            panic!(
                "orders do not end: {:?}, complaints {:#?}",
                self.counts(),
                self.tracker.complaints()
            );
        }
    }

    /// Everybody goes home; hub and region have to agree, order by order, and every placed order has to be final.
    async fn close(self, stack: &Stack, orders: u64) {
        let (counts, tracker) = (self.counts(), self.tracker);
        drop(self.staff);
        let found = settle(stack, &tracker, Duration::from_secs(60)).await.unwrap();
        assert_eq!(found.differences, Vec::<String>::new());
        assert_eq!((counts.placed, counts.ended()), (orders, orders));
        assert!(counts.delivered >= orders / 2, "{counts:?}");
    }
}
