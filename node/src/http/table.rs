//! The one table of routes. The router is built from it, and so are tests and documents that have to know every route.

use std::pin::Pin;

use axum::response::Response;
use axum::routing::MethodFilter;
use tomato_shared::runtime::jwt::Role;
use tomato_shared::runtime::problem::Problem;

use super::call::Call;
use super::{drivers, health, kitchen, live, operators, orders, positions, quotes, restaurants};

/// Methods in use. `HEAD` comes with `GET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or moves.
    Post,
    /// Writes as a whole; repeating it changes nothing more.
    Put,
}

impl Method {
    /// As in `Allow`.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Post => &["POST"],
            Self::Put => &["PUT"],
        }
    }
}

impl From<Method> for MethodFilter {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
        }
    }
}

/// What matters more when there is too much to do; shed from `P4` up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Money, orders under way, and whether the node is alive.
    P0,
    /// Offers, reads of what is under way, live sockets.
    P1,
    /// New orders.
    P2,
    /// Browsing, history, edits.
    P3,
    /// Counts.
    P4,
}

/// Who may call. Which of their things they may touch is asked again, per object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// These roles.
    Roles(&'static [Role]),
    /// These roles; the token may stand in the query, as browsers cannot set a header on a WebSocket.
    Socket(&'static [Role]),
}

/// What a request may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing that is looked at.
    Ignored,
    /// Nothing, or an empty object.
    Empty,
    /// JSON of at most this many bytes.
    Json(usize),
}

/// What an `Idempotency-Key` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// No command, no key.
    None,
    /// Makes the command repeatable.
    Accepted,
    /// Has to be there.
    Required,
}

/// A running handler.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path template, `/v1/orders/{ord}`.
    pub path: &'static str,
    /// Load class.
    pub class: Class,
    /// Who may call.
    pub access: Access,
    /// What may be sent.
    pub body: Body,
    /// Whether it can be repeated.
    pub key: Key,
    /// Runs it.
    pub handler: fn(Call) -> Answer,
}

/// Largest body, where nothing else is said.
pub const BODY_MAX: usize = 64 * 1024;
/// Largest restaurant with its menu.
pub const MENU_BODY_MAX: usize = 1024 * 1024;

const JSON: Body = Body::Json(BODY_MAX);
const ANYBODY: Access = Access::Public;
const CUSTOMER: Access = Access::Roles(&[Role::Customer]);
const DRIVER: Access = Access::Roles(&[Role::Driver]);
const OPERATOR: Access = Access::Roles(&[Role::Operator]);
const CUSTOMER_OPERATOR: Access = Access::Roles(&[Role::Customer, Role::Operator]);
const RESTAURANT_OPERATOR: Access = Access::Roles(&[Role::Restaurant, Role::Operator]);
const DRIVER_OPERATOR: Access = Access::Roles(&[Role::Driver, Role::Operator]);
const EVERYBODY: &[Role] = &[Role::Customer, Role::Restaurant, Role::Driver, Role::Operator];

macro_rules! route {
    ($method:ident $path:literal $class:ident $access:expr, $body:expr, $key:ident, $handler:path) => {
        Route {
            method: Method::$method,
            path: $path,
            class: Class::$class,
            access: $access,
            body: $body,
            key: Key::$key,
            handler: |call| Box::pin($handler(call)),
        }
    };
    ($method:ident $path:literal $class:ident $access:expr, $handler:path) => {
        route!($method $path $class $access, Body::Ignored, None, $handler)
    };
}

/// Every route; those of one path stand together.
pub static ROUTES: &[Route] = &[
    route!(Get "/livez" P0 ANYBODY, health::live),
    route!(Get "/readyz" P0 ANYBODY, health::ready),
    route!(Get "/version" P0 ANYBODY, health::version),
    route!(Get "/.well-known/jwks.json" P1 ANYBODY, health::jwks),
    route!(Get "/v1/locate" P3 ANYBODY, restaurants::locate),
    route!(Get "/v1/restaurants" P3 ANYBODY, restaurants::list),
    route!(Get "/v1/restaurants/{rst}" P3 ANYBODY, restaurants::read),
    route!(Put "/v1/restaurants/{rst}" P3 OPERATOR, Body::Json(MENU_BODY_MAX), Accepted, restaurants::write),
    route!(Put "/v1/restaurants/{rst}/open" P1 RESTAURANT_OPERATOR, JSON, Accepted, restaurants::open),
    route!(Get "/v1/restaurants/{rst}/orders" P1 RESTAURANT_OPERATOR, orders::of_restaurant),
    route!(Post "/v1/restaurants/{rst}/orders/{ord}/accept" P0 RESTAURANT_OPERATOR, JSON, Accepted, kitchen::accept),
    route!(Post "/v1/restaurants/{rst}/orders/{ord}/reject" P0 RESTAURANT_OPERATOR, Body::Empty, Accepted, kitchen::reject),
    route!(Post "/v1/restaurants/{rst}/orders/{ord}/ready" P0 RESTAURANT_OPERATOR, Body::Empty, Accepted, kitchen::ready),
    route!(Post "/v1/quotes" P2 CUSTOMER, JSON, None, quotes::make),
    route!(Get "/v1/orders" P3 CUSTOMER_OPERATOR, orders::list),
    route!(Post "/v1/orders" P2 CUSTOMER, JSON, Required, orders::place),
    route!(Get "/v1/orders/{ord}" P1 Access::Roles(EVERYBODY), orders::read),
    route!(Get "/v1/orders/{ord}/events" P1 Access::Roles(EVERYBODY), orders::events),
    route!(Post "/v1/orders/{ord}/cancel" P0 CUSTOMER_OPERATOR, Body::Empty, Accepted, orders::cancel),
    route!(Get "/v1/drivers" P3 OPERATOR, drivers::list),
    route!(Get "/v1/drivers/me" P1 DRIVER, drivers::me),
    route!(Put "/v1/drivers/me/status" P0 DRIVER, JSON, Accepted, drivers::status),
    route!(Post "/v1/drivers/me/locations" P1 DRIVER, JSON, None, positions::locations),
    route!(Put "/v1/drivers/{drv}" P3 OPERATOR, JSON, Accepted, drivers::write),
    route!(Post "/v1/drivers/{drv}/location" P1 DRIVER_OPERATOR, JSON, None, positions::location),
    route!(Post "/v1/offers/{ofr}/accept" P0 DRIVER, Body::Empty, Accepted, drivers::accept),
    route!(Post "/v1/offers/{ofr}/decline" P0 DRIVER, Body::Empty, Accepted, drivers::decline),
    route!(Post "/v1/deliveries/{del}/arrive" P0 DRIVER, Body::Empty, Accepted, drivers::arrive),
    route!(Post "/v1/deliveries/{del}/pickup" P0 DRIVER, Body::Empty, Accepted, drivers::pick_up),
    route!(Post "/v1/deliveries/{del}/complete" P0 DRIVER, JSON, Accepted, drivers::complete),
    route!(Post "/v1/deliveries/{del}/fail" P0 DRIVER, JSON, Accepted, drivers::fail),
    route!(Post "/v1/deliveries/{del}/cancel" P0 DRIVER, Body::Empty, Accepted, drivers::give_back),
    route!(Get "/v1/overview" P4 OPERATOR, operators::overview),
    route!(Get "/v1/live" P1 Access::Socket(EVERYBODY), live::open),
];
