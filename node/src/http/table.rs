//! The one table of routes. The router is built from it, and so are tests and documents that have to know every route.
//!
//! To add a route:
//! 1. Write the body as a struct in its handler's file: `#[derive(Debug, Deserialize, JsonSchema, Validate)]`,
//!    `#[serde(deny_unknown_fields)]`, limits as `#[garde(..)]` (`skip` where the type says it all, `dive` into structs and
//!    lists of them), and `impl Input`. The limits go into the check and into the schema. What comes back derives
//!    `Serialize, JsonSchema`; lists are [`Page`].
//! 2. Write the handler: `async fn(Call) -> Result<Response, Problem>`, and `async fn(Call, TheInput)` with a body.
//! 3. Add its line to [`ROUTES`], beside those of the same path: method, path, class, who may call, for commands what an
//!    `Idempotency-Key` does, handler, then `"summary": what goes in => status what comes out`. In goes `[LIMIT, CURSOR]`
//!    (parameters of `query.rs`) for reads, `{}` for commands without a body, else the input type.
//! 4. Run `UPDATE=1 cargo test -p tomato-node openapi`, which rewrites `node/openapi.json`, and read the difference.

use tomato_shared::runtime::jwt::Role;

use super::call::Call;
use super::desk::{AssignInput, Board, DeedView, PauseInput, RefundInput};
use super::devices::DeviceInput;
use super::docs::{Html, Script, Style};
use super::drivers::{CompleteInput, DepositInput, DriverInput, FailInput, Me, PlanInput, StatusInput};
use super::endpoints::{ReplayInput, WebhookInput};
use super::events::NewsPage;
use super::feedback::{PayInput, RatingInput, Receipt, TipInput, Tracking};
use super::health::{Health, Jwks, Version};
use super::input::{Input, Page};
use super::kitchen::{AcceptInput, ChangeInput, RejectInput};
use super::locate::Located;
use super::menus::{
    CsvText, HoursInput, ItemStatusInput, KitchenStatusInput, MenuExport, MenuInput, RestaurantInput, SuspensionInput,
};
use super::openapi::Document;
use super::operators::Overview;
use super::orders::{Cancellation, EventView, List, PlaceInput};
use super::positions::{FixesInput, LocationInput, Updated};
use super::promotions::PromotionInput;
use super::query::{
    ACCESS_TOKEN, AFTER_SEQ, AFTER_VERSION, CELL, CURSOR, DELIVERY_STATE, FROM, IF_MATCH, LIMIT, NEAR_LAT, NEAR_LNG,
    OPEN, ORDER, STATE, TO, VERBOSE, WORDS,
};
use super::quotes::QuoteInput;
use super::restaurants::Nearby;
pub use super::route::*;
use super::statements::{Shifts, StatementView};
use super::webhooks::{Heard, ProviderMessage};
use super::{
    asyncapi, console, desk, devices, docs, drivers, endpoints, events, feedback, health, kitchen, live, locate, menus,
    openapi, operators, orders, positions, promotions, quotes, restaurants, statements, webhooks,
};
use crate::engine::model::Promotion;
use crate::engine::quote::QuoteView;
use crate::engine::view::{DriverView, OrderView, RegionView, RestaurantView};
use crate::push::show::{DeviceView, MessageView, Replayed, WebhookMade, WebhookView};

/// Largest body, where nothing else is said.
pub const BODY_MAX: usize = 64 * 1024;
/// Largest restaurant with its menu.
pub const MENU_BODY_MAX: usize = 1024 * 1024;

const ANYBODY: Access = Access::Public;
const CUSTOMER: Access = Access::Roles(&[Role::Customer]);
const DRIVER: Access = Access::Roles(&[Role::Driver]);
const OPERATOR: Access = Access::Roles(&[Role::Operator]);
const CUSTOMER_OPERATOR: Access = Access::Roles(&[Role::Customer, Role::Operator]);
const CUSTOMER_RESTAURANT_OPERATOR: Access = Access::Roles(&[Role::Customer, Role::Restaurant, Role::Operator]);
const RESTAURANT_OPERATOR: Access = Access::Roles(&[Role::Restaurant, Role::Operator]);
/// Who has an app that shows messages.
const APPS: Access = Access::Roles(&[Role::Customer, Role::Restaurant, Role::Driver]);
const DRIVER_OPERATOR: Access = Access::Roles(&[Role::Driver, Role::Operator]);
const EVERYBODY: &[Role] = &[Role::Customer, Role::Restaurant, Role::Driver, Role::Operator];

macro_rules! route {
    // Reads.
    ($method:ident $path:literal $class:ident $access:expr, $handler:path,
     $summary:literal: [$($param:expr),*] => $($status:literal $answer:ty),+) => {
        route!(@ $method $path $class $access, None, $handler, $handler, $summary, [$($param),*], Body::Ignored,
            [$($status $answer),+])
    };
    // Commands that say all with their path.
    ($method:ident $path:literal $class:ident $access:expr, $key:ident, $handler:path,
     $summary:literal: {} => $($status:literal $answer:ty),+) => {
        route!(@ $method $path $class $access, $key, $handler, $handler, $summary, [], Body::Empty,
            [$($status $answer),+])
    };
    // Commands with a table.
    ($method:ident $path:literal $class:ident $access:expr, $key:ident, $handler:path,
     $summary:literal: [$($param:expr),*] csv => $($status:literal $answer:ty),+) => {
        route!(@ $method $path $class $access, $key, $handler, $handler, $summary, [$($param),*],
            Body::Csv { limit: MENU_BODY_MAX }, [$($status $answer),+])
    };
    // Commands with a body, which the handler is given ready.
    ($method:ident $path:literal $class:ident $access:expr, $key:ident, $handler:path,
     $summary:literal: $([$($param:expr),*])? $input:ident => $($status:literal $answer:ty),+) => {
        route!(@ $method $path $class $access, $key, $handler, |call: Call| async move {
            let input = call.input::<$input>()?;
            $handler(call, input).await
        }, $summary, [$($($param),*)?], Body::Json {
            limit: <$input as Input>::BYTES_MAX,
            schema: |generator| generator.subschema_for::<$input>(),
        }, [$($status $answer),+])
    };
    // Messages of others, whose bytes the handler checks itself.
    ($method:ident $path:literal $class:ident $access:expr, $handler:path,
     $summary:literal: raw => $($status:literal $answer:ty),+) => {
        route!(@ $method $path $class $access, None, $handler, $handler, $summary, [], Body::Json {
            limit: BODY_MAX,
            schema: |generator| generator.subschema_for::<ProviderMessage>(),
        }, [$($status $answer),+])
    };
    (@ $method:ident $path:literal $class:ident $access:expr, $key:ident, $name:path, $run:expr, $summary:literal,
     [$($param:expr),*], $body:expr, [$($status:literal $answer:ty),+]) => {
        Route {
            method: Method::$method,
            path: $path,
            class: Class::$class,
            access: $access,
            summary: $summary,
            params: &[$($param),*],
            body: $body,
            key: Key::$key,
            successes: &[$(Success {
                status: $status,
                schema: |generator| generator.subschema_for::<$answer>(),
            }),+],
            name: stringify!($name),
            handler: |call| Box::pin(($run)(call)),
        }
    };
}

/// Every route; those of one path stand together.
pub static ROUTES: &[Route] = &[
    route!(Get "/livez" P0 ANYBODY, health::live, "Whether the process answers": [] => 200 Health),
    route!(Get "/readyz" P0 ANYBODY, health::ready, "Whether orders can be taken": [VERBOSE] => 200 Health, 503 Health),
    route!(Get "/version" P0 ANYBODY, health::version,
        "What runs here, and what time it is in the region": [] => 200 Version),
    route!(Get "/.well-known/jwks.json" P1 ANYBODY, health::jwks, "The public keys of the issuer": [] => 200 Jwks),
    route!(Get "/openapi.json" P3 ANYBODY, openapi::read, "This document": [] => 200 Document),
    route!(Get "/docs" P3 ANYBODY, docs::page, "A page to read and try this": [] => 200 Html),
    route!(Get "/docs/app.js" P3 ANYBODY, docs::script, "What the page does": [] => 200 Script),
    route!(Get "/docs/style.css" P3 ANYBODY, docs::style, "How the page looks": [] => 200 Style),
    route!(Get "/console" P3 ANYBODY, console::page, "A page to run the city with": [] => 200 Html),
    route!(Get "/console/app.js" P3 ANYBODY, console::script, "What the page does": [] => 200 Script),
    route!(Get "/console/style.css" P3 ANYBODY, console::style, "How the page looks": [] => 200 Style),
    route!(Get "/asyncapi.json" P3 ANYBODY, asyncapi::read, "What is sent on NATS and WebSockets": [] => 200 Document),
    route!(Get "/v1/locate" P3 ANYBODY, locate::locate, "Who serves a place": [NEAR_LAT, NEAR_LNG, CELL] => 200 Located),
    route!(Get "/v1/restaurants" P3 ANYBODY, restaurants::list,
        "Restaurants that deliver to a place, nearest first; without a place all of them":
        [NEAR_LAT, NEAR_LNG, WORDS, OPEN, LIMIT, CURSOR] => 200 Page<Nearby>),
    route!(Get "/v1/restaurants/{rst}" P3 ANYBODY, restaurants::read,
        "A restaurant with its menu": [] => 200 RestaurantView),
    route!(Put "/v1/restaurants/{rst}" P3 OPERATOR, Accepted, menus::write,
        "Write a restaurant and its menu as a whole": [IF_MATCH] RestaurantInput => 200 RestaurantView),
    route!(Get "/v1/restaurants/{rst}/menu" P3 RESTAURANT_OPERATOR, menus::read_menu,
        "A menu as it can be written again": [] => 200 MenuExport),
    route!(Put "/v1/restaurants/{rst}/menu" P3 RESTAURANT_OPERATOR, Accepted, menus::write_menu,
        "Write a menu as a whole": [IF_MATCH] MenuInput => 200 RestaurantView),
    route!(Get "/v1/restaurants/{rst}/menu.csv" P3 RESTAURANT_OPERATOR, menus::read_csv,
        "A menu as a table that can be written again": [] => 200 CsvText),
    route!(Put "/v1/restaurants/{rst}/menu.csv" P3 RESTAURANT_OPERATOR, Accepted, menus::write_csv,
        "Write a menu from a table": [IF_MATCH] csv => 200 RestaurantView),
    route!(Put "/v1/restaurants/{rst}/hours" P3 RESTAURANT_OPERATOR, Accepted, menus::write_hours,
        "Write opening hours": [IF_MATCH] HoursInput => 200 RestaurantView),
    route!(Put "/v1/restaurants/{rst}/status" P1 RESTAURANT_OPERATOR, Accepted, menus::status,
        "Open, close or pause a restaurant, or say that it is busy": KitchenStatusInput => 200 RestaurantView),
    route!(Put "/v1/restaurants/{rst}/suspension" P1 OPERATOR, Accepted, menus::suspend,
        "Close a restaurant whatever it says itself": SuspensionInput => 200 RestaurantView),
    route!(Put "/v1/restaurants/{rst}/items/{itm}" P1 RESTAURANT_OPERATOR, Accepted, menus::item_status,
        "Take an item off or put it on again": ItemStatusInput => 200 RestaurantView),
    route!(Get "/v1/restaurants/{rst}/statement" P3 RESTAURANT_OPERATOR, statements::of_restaurant,
        "What a restaurant has earned": [FROM, TO] => 200 StatementView),
    route!(Get "/v1/restaurants/{rst}/orders" P1 RESTAURANT_OPERATOR, orders::of_restaurant,
        "Orders of a restaurant, newest first": [STATE, LIMIT, CURSOR] => 200 Page<OrderView>),
    route!(Post "/v1/restaurants/{rst}/orders/{ord}/accept" P0 RESTAURANT_OPERATOR, Accepted, kitchen::accept,
        "Take an order on": AcceptInput => 200 OrderView),
    route!(Post "/v1/restaurants/{rst}/orders/{ord}/reject" P0 RESTAURANT_OPERATOR, Accepted, kitchen::reject,
        "Do not take an order on": RejectInput => 200 OrderView),
    route!(Post "/v1/restaurants/{rst}/orders/{ord}/delay" P0 RESTAURANT_OPERATOR, Accepted, kitchen::delay,
        "Ready at another time than was said": AcceptInput => 200 OrderView),
    route!(Post "/v1/restaurants/{rst}/orders/{ord}/changes" P0 RESTAURANT_OPERATOR, Accepted, kitchen::propose,
        "Ask the customer for something else instead": ChangeInput => 200 OrderView),
    route!(Post "/v1/restaurants/{rst}/orders/{ord}/ready" P0 RESTAURANT_OPERATOR, Accepted, kitchen::ready,
        "An order is cooked": {} => 200 OrderView),
    route!(Post "/v1/quotes" P2 CUSTOMER, None, quotes::make,
        "What an order would cost, signed": QuoteInput => 200 QuoteView),
    route!(Get "/v1/orders" P3 CUSTOMER_OPERATOR, orders::list,
        "A customer's own orders, or all for an operator, newest first": [STATE, LIMIT, CURSOR] => 200 Page<OrderView>),
    route!(Post "/v1/orders" P2 CUSTOMER, Required, orders::place, "Place an order": PlaceInput => 201 OrderView),
    route!(Get "/v1/orders/{ord}" P1 Access::Roles(EVERYBODY), orders::read, "An order": [] => 200 OrderView),
    route!(Get "/v1/orders/{ord}/events" P1 Access::Roles(EVERYBODY), orders::events,
        "What happened to an order": [AFTER_VERSION] => 200 List<EventView>),
    route!(Post "/v1/orders/{ord}/payment" P0 CUSTOMER, Accepted, feedback::pay,
        "Pay with another card after one was declined": PayInput => 200 OrderView),
    route!(Post "/v1/orders/{ord}/cancel" P0 CUSTOMER_RESTAURANT_OPERATOR, Accepted, orders::cancel,
        "Give an order up": {} => 200 OrderView),
    route!(Get "/v1/orders/{ord}/cancellation" P1 CUSTOMER_OPERATOR, orders::cancellation,
        "What giving an order up would cost now": [] => 200 Cancellation),
    route!(Post "/v1/orders/{ord}/change/accept" P0 CUSTOMER_OPERATOR, Accepted, feedback::agree,
        "Agree to a proposed change": {} => 200 OrderView),
    route!(Post "/v1/orders/{ord}/change/decline" P0 CUSTOMER_OPERATOR, Accepted, feedback::disagree,
        "Do not agree to a proposed change": {} => 200 OrderView),
    route!(Get "/v1/orders/{ord}/tracking" P1 Access::Roles(EVERYBODY), feedback::track,
        "Where an order is": [] => 200 Tracking),
    route!(Post "/v1/orders/{ord}/rating" P3 CUSTOMER, Accepted, feedback::rate,
        "Rate a delivered order": RatingInput => 200 OrderView),
    route!(Post "/v1/orders/{ord}/tip" P2 CUSTOMER, Accepted, feedback::tip,
        "Give the driver something more": TipInput => 200 OrderView),
    route!(Get "/v1/orders/{ord}/receipt" P3 CUSTOMER_OPERATOR, feedback::receipt,
        "What was ordered, paid and given back": [] => 200 Receipt),
    route!(Post "/v1/orders/{ord}/assign" P0 OPERATOR, Accepted, desk::assign,
        "Give a delivery to a driver": AssignInput => 200 OrderView),
    route!(Post "/v1/orders/{ord}/unassign" P0 OPERATOR, Accepted, desk::unassign,
        "Take a delivery from its driver": {} => 200 OrderView),
    route!(Post "/v1/orders/{ord}/refunds" P0 OPERATOR, Accepted, desk::refund,
        "Send money of an order back that is over": RefundInput => 200 OrderView),
    route!(Get "/v1/promotions" P3 OPERATOR, promotions::list, "Every promotion": [] => 200 List<Promotion>),
    route!(Put "/v1/promotions/{code}" P3 OPERATOR, Accepted, promotions::write,
        "Write a promotion": [IF_MATCH] PromotionInput => 200 Promotion),
    route!(Get "/v1/drivers" P3 OPERATOR, drivers::list, "All drivers, by id": [LIMIT, CURSOR] => 200 Page<DriverView>),
    route!(Get "/v1/drivers/me" P1 DRIVER, drivers::me, "The caller with their offers and delivery": [] => 200 Me),
    route!(Put "/v1/drivers/me/status" P0 DRIVER, Accepted, drivers::status,
        "Sign on or off": StatusInput => 200 DriverView),
    route!(Get "/v1/drivers/me/shifts" P3 DRIVER, statements::shifts,
        "The caller's times of work": [] => 200 Shifts),
    route!(Get "/v1/drivers/me/statement" P3 DRIVER, statements::of_me,
        "The caller's earnings and cash": [FROM, TO] => 200 StatementView),
    route!(Post "/v1/drivers/me/locations" P1 DRIVER, None, positions::locations,
        "Where the caller was, oldest first": FixesInput => 204 ()),
    route!(Put "/v1/drivers/{drv}" P3 OPERATOR, Accepted, drivers::write,
        "Write a driver": DriverInput => 200 DriverView),
    route!(Put "/v1/drivers/{drv}/status" P1 OPERATOR, Accepted, drivers::status_of,
        "Sign a driver on or off": StatusInput => 200 DriverView),
    route!(Put "/v1/drivers/{drv}/shifts" P3 OPERATOR, Accepted, drivers::plan,
        "Plan a driver's shifts": PlanInput => 200 DriverView),
    route!(Get "/v1/drivers/{drv}/statement" P3 OPERATOR, statements::of_driver,
        "A driver's earnings and cash": [FROM, TO] => 200 StatementView),
    route!(Post "/v1/drivers/{drv}/cash-deposits" P0 OPERATOR, Accepted, drivers::deposit,
        "Take in cash from a driver": DepositInput => 200 DriverView),
    route!(Post "/v1/drivers/{drv}/location" P1 DRIVER_OPERATOR, None, positions::location,
        "Where a driver is now": LocationInput => 200 Updated),
    route!(Post "/v1/offers/{ofr}/accept" P0 DRIVER, Accepted, drivers::accept, "Take an offer": {} => 200 OrderView),
    route!(Post "/v1/offers/{ofr}/decline" P0 DRIVER, Accepted, drivers::decline,
        "Refuse an offer": {} => 200 OrderView),
    route!(Post "/v1/deliveries/{del}/arrive" P0 DRIVER, Accepted, drivers::arrive,
        "At the restaurant": {} => 200 OrderView),
    route!(Post "/v1/deliveries/{del}/pickup" P0 DRIVER, Accepted, drivers::pick_up,
        "On the way to the customer": {} => 200 OrderView),
    route!(Post "/v1/deliveries/{del}/complete" P0 DRIVER, Accepted, drivers::complete,
        "Handed over": CompleteInput => 200 OrderView),
    route!(Post "/v1/deliveries/{del}/fail" P0 DRIVER, Accepted, drivers::fail,
        "Could not be handed over": FailInput => 200 OrderView),
    route!(Post "/v1/deliveries/{del}/return" P0 Access::Roles(&[Role::Restaurant, Role::Driver, Role::Operator]), Accepted,
        drivers::bring_back, "Brought back to the restaurant": {} => 200 OrderView),
    route!(Post "/v1/deliveries/{del}/cancel" P0 DRIVER, Accepted, drivers::give_back,
        "Given back before pickup": {} => 200 OrderView),
    route!(Post "/v1/webhooks/stripe" P0 ANYBODY, webhooks::stripe,
        "What Stripe tells, signed by it": raw => 200 Heard),
    route!(Post "/v1/webhooks/razorpay" P0 ANYBODY, webhooks::razorpay,
        "What Razorpay tells, signed by it": raw => 200 Heard),
    route!(Get "/v1/devices" P3 APPS, devices::list, "The caller's devices": [] => 200 List<DeviceView>),
    route!(Put "/v1/devices/{device}" P3 APPS, None, devices::write,
        "Register a device for messages, or renew it": DeviceInput => 200 DeviceView),
    route!(Delete "/v1/devices/{device}" P3 APPS, None, devices::remove, "Take a device away": {} => 204 ()),
    route!(Get "/v1/webhook-endpoints" P3 RESTAURANT_OPERATOR, endpoints::list,
        "Addresses that are told of events, oldest first": [LIMIT, CURSOR] => 200 Page<WebhookView>),
    route!(Post "/v1/webhook-endpoints" P3 RESTAURANT_OPERATOR, Accepted, endpoints::add,
        "Have an address told of events": WebhookInput => 201 WebhookMade),
    route!(Get "/v1/webhook-endpoints/{whk}" P3 RESTAURANT_OPERATOR, endpoints::read,
        "An address that is told of events": [] => 200 WebhookView),
    route!(Put "/v1/webhook-endpoints/{whk}" P3 RESTAURANT_OPERATOR, Accepted, endpoints::write,
        "Change such an address, or switch it on again": WebhookInput => 200 WebhookView),
    route!(Delete "/v1/webhook-endpoints/{whk}" P3 RESTAURANT_OPERATOR, None, endpoints::remove,
        "Take such an address away": {} => 204 ()),
    route!(Post "/v1/webhook-endpoints/{whk}/secret" P3 RESTAURANT_OPERATOR, Accepted, endpoints::rotate,
        "Give it a new secret; the old one signs beside it for a day": {} => 200 WebhookMade),
    route!(Post "/v1/webhook-endpoints/{whk}/ping" P3 RESTAURANT_OPERATOR, Accepted, endpoints::ping,
        "Send it a message that says nothing": {} => 202 Replayed),
    route!(Post "/v1/webhook-endpoints/{whk}/replay" P3 RESTAURANT_OPERATOR, Accepted, endpoints::replay,
        "Send the messages of a span of time once more": ReplayInput => 202 Replayed),
    route!(Get "/v1/webhook-endpoints/{whk}/deliveries" P3 RESTAURANT_OPERATOR, endpoints::deliveries,
        "What was sent to it, newest first": [DELIVERY_STATE, LIMIT, CURSOR] => 200 Page<MessageView>),
    route!(Post "/v1/webhook-endpoints/{whk}/deliveries/{msg}/replay" P3 RESTAURANT_OPERATOR, Accepted,
        endpoints::replay_one, "Send one message once more": {} => 202 Replayed),
    route!(Get "/v1/dead-letters" P3 OPERATOR, endpoints::dead,
        "What could not be told to any device or webhook, newest first": [LIMIT, CURSOR] => 200 Page<MessageView>),
    route!(Get "/v1/overview" P4 OPERATOR, operators::overview, "The region in numbers": [] => 200 Overview),
    route!(Get "/v1/dispatch" P1 OPERATOR, desk::board, "Who waits for whom": [] => 200 Board),
    route!(Get "/v1/region" P3 ANYBODY, desk::region, "Whether the region takes orders": [] => 200 RegionView),
    route!(Put "/v1/region" P0 OPERATOR, Accepted, desk::pause,
        "Stop or resume the taking of orders": PauseInput => 200 RegionView),
    route!(Get "/v1/audit" P3 OPERATOR, desk::audit,
        "Every act of an operator, newest first": [LIMIT, CURSOR] => 200 Page<DeedView>),
    route!(Get "/v1/events" P3 Access::Roles(EVERYBODY), events::list,
        "What happened to the caller's orders, as the live socket tells it": [AFTER_SEQ, LIMIT] => 200 NewsPage),
    route!(Get "/v1/live" P1 Access::Socket(EVERYBODY), live::open,
        "Messages as they happen here, by WebSocket": [AFTER_SEQ, ORDER, ACCESS_TOKEN] => 101 ()),
];
