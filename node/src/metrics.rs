//! Every number that the node tells Prometheus, declared once: name, type, unit, labels, help.
//!
//! Kept by hand, in atomics of this struct: there is one per node (tests run several in a process), nothing is looked up
//! by name when something is counted, and one file says all there is. No label is an id, so the number of series is
//! bounded by the route table. What is a fact of memory or of the file is asked for when the page is read.

mod instruments;

use tomato_shared::cell::RegionId;
use tomato_shared::event::Event;
use tomato_shared::money::Currency;
use tomato_shared::order::OrderState;

use crate::engine::model::Order;
use crate::engine::task::TaskKind;
use crate::feed::Committed;
use crate::http::table::{Class, ROUTES, Route};
use crate::push::model::{Channel, Lane, State};
pub use instruments::{Counter, Declared, Family, Gauge, Histogram, Instrument, Page, SecondsGauge, Summary};

/// Bounds of what a machine does, in microseconds.
const MACHINE_US: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];
/// Bounds of what somebody outside does, in microseconds.
const OUTSIDE_US: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];
/// Bounds of what people do: 10 s to 2 h, in microseconds.
const PEOPLE_US: &[u64] = &[
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
    900_000_000,
    1_200_000_000,
    1_500_000_000,
    1_800_000_000,
    2_400_000_000,
    3_600_000_000,
    5_400_000_000,
    7_200_000_000,
];
const BATCH: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// What becomes of an offer.
const OFFERS: [&str; 4] = ["made", "accepted", "declined", "ran_out"];
const WRITER_CLASSES: [&str; 3] = ["in_flight", "new", "other"];
const HTTP_CLASSES: [Class; 5] = [Class::P0, Class::P1, Class::P2, Class::P3, Class::P4];
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

macro_rules! metrics {
    ($setting:ident; $($field:ident: $instrument:ty = $name:literal [$($label:literal),*] $unit:literal $help:literal, $new:expr;)*) => {
        /// All metrics of a node.
        #[derive(Debug)]
        pub struct Metrics {
            region: String,
            $(#[doc = $help] pub $field: $instrument,)*
        }

        /// What there is, in the order of the page.
        pub const DECLARED: &[Declared] = &[$(Declared {
            name: $name,
            kind: <$instrument as Instrument>::KIND,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        }),*];

        impl Metrics {
            fn zero($setting: &Setting) -> Self {
                Self { region: $setting.region.clone(), $($field: $new,)* }
            }

            fn instruments(&self) -> Vec<&dyn Written> {
                vec![$(&self.$field),*]
            }
        }
    };
}

metrics! { setting;
    orders_created: Counter = "tomato_orders_created_total" [] "orders"
        "Orders taken in.", Counter::default();
    orders_confirmed: Counter = "tomato_orders_confirmed_total" [] "orders"
        "Orders that were paid for.", Counter::default();
    orders_delivered: Counter = "tomato_orders_delivered_total" [] "orders"
        "Orders that were handed over.", Counter::default();
    orders_cancelled: Counter = "tomato_orders_cancelled_total" [] "orders"
        "Orders that were given up.", Counter::default();
    orders_payment_failed: Counter = "tomato_orders_payment_failed_total" [] "orders"
        "Orders that ended because the payment was declined.", Counter::default();
    orders_active: Gauge = "tomato_orders_active" [] "orders"
        "Orders that are not over.", Gauge::default();
    orders_waiting: Gauge = "tomato_orders_waiting_for_driver" [] "orders"
        "Orders that are ready and have neither driver nor offer.", Gauge::default();
    order_creation: Histogram = "tomato_order_creation_latency_seconds" [] "seconds"
        "From the request for a new order to its commit, in real time.", Histogram::seconds(MACHINE_US);
    order_total: Histogram = "tomato_order_total_seconds" [] "seconds"
        "From click to door, in region time; orders for later are left out.", Histogram::seconds(PEOPLE_US);
    order_value: Family<Summary> = "tomato_order_value_minor" ["currency"] "minor units"
        "Totals of delivered orders; sum by count is the average.", setting.of_currency(Summary::default);
    revenue: Family<Counter> = "tomato_order_revenue_minor_total" ["currency"] "minor units"
        "Totals of delivered orders, added up.", setting.of_currency(Counter::default);
    payment_processing: Family<Histogram> = "tomato_payment_processing_seconds" ["kind"] "seconds"
        "From the first call to the provider to its answer, repetitions included, in real time.",
        Family::new(task_kinds(), || Histogram::seconds(OUTSIDE_US));
    payment_failures: Family<Counter> = "tomato_payment_failures_total" ["kind"] "calls"
        "What the provider would not do.", Family::new(task_kinds(), Counter::default);
    inventory_failures: Counter = "tomato_inventory_failures_total" [] "orders"
        "Orders refused because counted stock was short.", Counter::default();
    assignment_failures: Counter = "tomato_restaurant_assignment_failures_total" [] "orders"
        "Orders that no restaurant took on.", Counter::default();
    dispatch_wait: Histogram = "tomato_dispatch_wait_seconds" [] "seconds"
        "From readiness to a driver's yes, in region time.", Histogram::seconds(PEOPLE_US);
    dispatch_cycle: Histogram = "tomato_dispatch_cycle_seconds" [] "seconds"
        "What a round of dispatch takes, in real time.", Histogram::seconds(MACHINE_US);
    dispatch_degraded: Counter = "tomato_dispatch_degraded_total" [] "rounds"
        "Rounds whose plan could not be improved for lack of time.", Counter::default();
    dispatch_done: Counter = "tomato_dispatch_intents_done_total" [] "intents"
        "Planned steps that were carried out.", Counter::default();
    dispatch_lost: Counter = "tomato_dispatch_intents_lost_total" [] "intents"
        "Planned steps that came too late: somebody was faster.", Counter::default();
    router_there: Gauge = "tomato_router_there" [] "0 or 1"
        "Whether the external router gave travel times when it was last asked; 0 where there is none.", Gauge::default();
    offers: Family<Counter> = "tomato_offers_total" ["outcome"] "orders"
        "Orders that drivers were asked to take, and what became of it.",
        Family::new(OFFERS.map(|outcome| format!("outcome=\"{outcome}\"")), Counter::default);
    driver_waits: Histogram = "tomato_driver_wait_at_restaurant_seconds" [] "seconds"
        "From a driver's arrival at the restaurant to the pickup, in region time.", Histogram::seconds(PEOPLE_US);
    drivers_busy: Gauge = "tomato_drivers_busy" [] "drivers"
        "Signed-on drivers who are bound to an order or asked to take one; by those signed on it is the utilisation.",
        Gauge::default();
    drivers_online: Gauge = "tomato_drivers_signed_on" [] "drivers"
        "Drivers who are signed on.", Gauge::default();
    positions_received: Counter = "tomato_positions_received_total" [] "positions"
        "Positions that drivers sent.", Counter::default();
    positions_accepted: Counter = "tomato_positions_accepted_total" [] "positions"
        "Positions that were plausible and new.", Counter::default();
    writer_depth: Family<Gauge> = "tomato_writer_queue_entries" ["class"] "commands"
        "Commands that wait for the writer.",
        Family::new(WRITER_CLASSES.map(|class| format!("class=\"{class}\"")), Gauge::default);
    writer_batch: Histogram = "tomato_writer_batch_entries" [] "commands"
        "Commands of one transaction.", Histogram::counts(BATCH);
    writer_commit: Histogram = "tomato_writer_commit_seconds" [] "seconds"
        "How long a commit takes, the disk's part of it included.", Histogram::seconds(MACHINE_US);
    readers_depth: Gauge = "tomato_reader_queue_entries" [] "reads"
        "Reads that wait for a connection to the file.", Gauge::default();
    outbox_depth: Gauge = "tomato_outbox_entries" [] "events"
        "Events that the hub does not have yet.", Gauge::default();
    outbox_age: SecondsGauge = "tomato_outbox_oldest_age_seconds" [] "seconds"
        "Age of the oldest event that the hub does not have yet, in region time.", SecondsGauge::default();
    relay_lag: Gauge = "tomato_relay_lag_entries" [] "events"
        "Events that are not in the region's stream yet.", Gauge::default();
    broker_connected: Gauge = "tomato_broker_connected" [] "0 or 1"
        "Whether the region's broker is there.", Gauge::default();
    control_refused: Gauge = "tomato_control_refused" [] "0 or 1"
        "Whether the last document that the hub gave was not taken in.", Gauge::default();
    region_paused: Gauge = "tomato_region_paused" [] "0 or 1"
        "Whether the region takes no orders, by its operators or by the hub.", Gauge::default();
    tasks_open: Family<Gauge> = "tomato_task_backlog_entries" ["kind"] "calls"
        "Committed calls to the outside that have no outcome yet.", Family::new(task_kinds(), Gauge::default);
    notified: Family<Counter> = "tomato_notifications_total" ["channel", "outcome"] "tries"
        "Tries to tell a device or a partner's program.",
        Family::new(channels_by_outcome(), Counter::default);
    notify_duration: Family<Histogram> = "tomato_notification_seconds" ["channel"] "seconds"
        "How long such a try takes, in real time.", Family::new(channels(), || Histogram::seconds(OUTSIDE_US));
    notify_waiting: Family<Gauge> = "tomato_notification_backlog_entries" ["channel"] "messages"
        "Messages that wait to be sent, or sent again.", Family::new(channels(), Gauge::default);
    notify_dead: Family<Gauge> = "tomato_notification_dead_entries" ["channel"] "messages"
        "Messages that were given up and are still kept.", Family::new(channels(), Gauge::default);
    notify_lag: Gauge = "tomato_notification_lag_entries" [] "events"
        "Events of which nobody was told yet.", Gauge::default();
    notify_missed: Counter = "tomato_notification_missed_total" [] "events"
        "Events that a webhook was not told of because its queue was full.", Counter::default();
    sockets_open: Gauge = "tomato_sockets_open" [] "sockets"
        "Live sockets.", Gauge::default();
    frames_dropped: Counter = "tomato_frames_dropped_total" [] "frames"
        "Live messages that found no room; their readers start anew from a snapshot.", Counter::default();
    http_requests: Family<Counter> = "tomato_http_requests_total" ["method", "route", "status"] "requests"
        "Answered requests.", Family::new(routes_by_status(), Counter::default).sparse();
    http_duration: Family<Histogram> = "tomato_http_request_duration_seconds" ["method", "route"] "seconds"
        "From a request's head to its answer's.",
        Family::new(routes(), || Histogram::seconds(MACHINE_US)).sparse();
    http_shed: Family<Counter> = "tomato_http_requests_shed_total" ["class"] "requests"
        "Requests refused because there was too much to do.",
        Family::new(HTTP_CLASSES.map(|class| format!("class=\"{class:?}\"")), Counter::default);
    http_rate_limited: Counter = "tomato_http_requests_rate_limited_total" [] "requests"
        "Requests refused because the caller's budget was used up.", Counter::default();
    spans_dropped: Counter = "tomato_spans_dropped_total" [] "spans"
        "Spans of traces that found no room, or no collector.", Counter::default();
    file_readable: Gauge = "tomato_file_readable" [] "0 or 1"
        "Whether the region's file could be read for this page; where not, what comes from it is old.", Gauge::default();
}

/// [`Instrument`] without its type.
trait Written {
    fn write_as(&self, metric: &Declared, page: &mut Page);
}

impl<I: Instrument> Written for I {
    fn write_as(&self, metric: &Declared, page: &mut Page) {
        page.open(metric);
        self.write(metric.name, "", page);
    }
}

/// What labels are made of.
struct Setting {
    region: String,
    currency: String,
}

impl Setting {
    fn of_currency<I>(&self, make: impl Fn() -> I) -> Family<I> {
        Family::new([format!("currency=\"{}\"", self.currency)], make)
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(region: &RegionId, currency: Currency) -> Self {
        Self::zero(&Setting {
            region: region.to_string(),
            currency: currency.code().to_owned(),
        })
    }

    /// The page as it is now.
    pub fn page(&self) -> String {
        let mut page = Page::new(&self.region);
        for (metric, instrument) in DECLARED.iter().zip(self.instruments()) {
            instrument.write_as(metric, &mut page);
        }
        page.finish()
    }

    /// A request was answered; without a route where no path fitted.
    pub fn answered(&self, route: Option<&'static Route>, status: http::StatusCode, took: std::time::Duration) {
        let known = route.and_then(|route| ROUTES.iter().position(|other| std::ptr::eq(other, route)));
        let nth = known.unwrap_or(ROUTES.len());
        let status = usize::from(status.as_u16() / 100).clamp(1, STATUSES.len()) - 1;
        if let Some(count) = self.http_requests.get(nth * STATUSES.len() + status) {
            count.one();
        }
        if let Some(duration) = self.http_duration.get(nth) {
            duration.took(took);
        }
    }

    /// Events were committed.
    pub fn committed(&self, batch: &[Committed]) {
        for committed in batch {
            self.event(&committed.envelope.event);
            if let Some(order) = committed.order.as_deref() {
                self.order(&committed.envelope.event, order, committed.envelope.at);
            }
        }
    }

    fn event(&self, event: &Event) {
        let failed = |kind: TaskKind| {
            if let Some(count) = self.payment_failures.get(nth_of(kind)) {
                count.one();
            }
        };
        if let Event::OrderCreated { .. } = event {
            self.orders_created.one();
        } else if let Event::OrderConfirmed { .. } = event {
            self.orders_confirmed.one();
        } else if let Event::OrderDelivered { .. } = event {
            self.orders_delivered.one();
        } else if let Event::OrderCancelled { .. } = event {
            self.orders_cancelled.one();
        } else if let Event::PaymentFailed { .. } = event {
            self.orders_payment_failed.one();
            failed(TaskKind::Authorise);
        } else if let Event::CaptureFailed { .. } = event {
            failed(TaskKind::Capture);
        } else if let Event::RefundFailed { .. } = event {
            failed(TaskKind::Refund);
        } else if let Event::TipFailed { .. } = event {
            failed(TaskKind::Tip);
        } else if let Event::InventoryReservationFailed { .. } = event {
            self.inventory_failures.one();
        } else if let Event::RestaurantAssignmentFailed { .. } = event {
            self.assignment_failures.one();
        } else if let Some(offers) = offer_outcome(event).and_then(|nth| self.offers.get(nth)) {
            offers.one();
        }
    }

    fn order(&self, event: &Event, order: &Order, at: tomato_shared::time::UnixMs) {
        if let Event::OrderDelivered { .. } = event {
            let total = u64::try_from(order.price.total_minor).unwrap_or(0);
            if let (Some(revenue), Some(value)) = (self.revenue.get(0), self.order_value.get(0)) {
                revenue.add(total);
                value.observe(total);
            }
            if order.deliver_at.is_none() {
                self.order_total.lasted(at - order.placed_at);
            }
        } else if let Event::OrderPickedUp { .. } = event
            && let Some(arrived_at) = order.delivery.arrived_at
        {
            self.driver_waits.lasted(at - arrived_at);
        } else if let Event::DriverAssigned { .. } = event
            && order.state == OrderState::ReadyForPickup
            && let Some(ready_at) = order.ready_at
        {
            self.dispatch_wait.lasted(at - ready_at);
        }
    }

    /// The provider answered a call.
    pub fn paid(&self, kind: TaskKind, took: std::time::Duration) {
        if let Some(histogram) = self.payment_processing.get(nth_of(kind)) {
            histogram.took(took);
        }
    }

    /// Somebody was told, or not; `took` where they were called.
    pub fn notified(&self, channel: Channel, outcome: &str, took: Option<std::time::Duration>) {
        let nth = channel as usize;
        let outcome = OUTCOMES.iter().position(|known| *known == outcome).unwrap_or(0);
        if let Some(count) = self.notified.get(nth * OUTCOMES.len() + outcome) {
            count.one();
        }
        if let Some((histogram, took)) = self.notify_duration.get(nth).zip(took) {
            histogram.took(took);
        }
    }

    /// How many messages of each lane wait, or are dead.
    pub fn messages(&self, counts: &[(Lane, State, u32)]) {
        for (nth, channel) in Channel::ALL.into_iter().enumerate() {
            for (family, wanted) in [(&self.notify_waiting, State::Waiting), (&self.notify_dead, State::Dead)] {
                let mine = counts
                    .iter()
                    .filter(|(lane, state, _)| lane.channel() == channel && *state == wanted);
                if let Some(gauge) = family.get(nth) {
                    let sum: u32 = mine.map(|(.., count)| count).sum();
                    gauge.set(usize::try_from(sum).unwrap_or(usize::MAX));
                }
            }
        }
    }

    /// How many calls of each kind, by its stored number, have no outcome yet.
    pub fn tasks(&self, open: &[(i64, u32)]) {
        for (nth, kind) in TaskKind::ALL.iter().enumerate() {
            let found = open.iter().find(|(stored, _)| *stored == kind.to_stored());
            if let Some(gauge) = self.tasks_open.get(nth) {
                gauge.set(found.map_or(0, |(_, count)| usize::try_from(*count).unwrap_or(usize::MAX)));
            }
        }
    }
}

/// Place in [`OFFERS`]. Where a region does not ask, its assignments count as accepted.
fn offer_outcome(event: &Event) -> Option<usize> {
    if let Event::DriverOffered { .. } = event {
        Some(0)
    } else if let Event::DriverAssigned { .. } = event {
        Some(1)
    } else if let Event::DriverOfferEnded { declined, .. } = event {
        Some(if *declined { 2 } else { 3 })
    } else {
        None
    }
}

const OUTCOMES: [&str; 4] = ["delivered", "retried", "dead", "gone"];

fn channels() -> impl Iterator<Item = String> {
    Channel::ALL
        .iter()
        .map(|channel| format!("channel=\"{}\"", channel.name()))
}

fn channels_by_outcome() -> impl Iterator<Item = String> {
    channels().flat_map(|channel| OUTCOMES.map(|outcome| format!("{channel},outcome=\"{outcome}\"")))
}

fn nth_of(kind: TaskKind) -> usize {
    TaskKind::ALL.iter().position(|other| *other == kind).unwrap_or(0)
}

fn task_kinds() -> impl Iterator<Item = String> {
    TaskKind::ALL.iter().map(|kind| format!("kind=\"{}\"", kind.name()))
}

/// Every route, and one more for paths that none has.
fn routes() -> impl Iterator<Item = String> {
    let known = ROUTES
        .iter()
        .map(|route| format!("method=\"{}\",route=\"{}\"", route.method.names()[0], route.path));
    known.chain(["method=\"\",route=\"\"".to_owned()])
}

fn routes_by_status() -> impl Iterator<Item = String> {
    routes().flat_map(|route| STATUSES.map(|status| format!("{route},status=\"{status}\"")))
}

#[cfg(test)]
pub(crate) mod tests;
