//! The region as apps see it: HTTP and WebSocket under `/v1`.
//!
//! | module | does |
//! |---|---|
//! | [`table`] [`route`] | every route, once: method, path, class, who may call, handler; what such a row is made of |
//! | [`call`] | what happens around each handler: limits, token, body, deadline, panics, headers |
//! | [`shed`] [`rate`] [`origin`] | what is refused under load, from whom, and from which sites' pages |
//! | [`elsewhere`] | what another region has to answer |
//! | [`auth`] [`idempotency`] [`trace`] | who calls; which call it repeats; which trace it belongs to |
//! | [`input`] [`shape`] [`query`] [`cursor`] [`error`] | bodies and parameters read strictly; pages; problems |
//! | [`openapi`] [`asyncapi`] [`docs`] | what the table says, and what is sent unasked, as documents; a page of it |
//! | [`console`] | the page of those who run the city |
//! | [`orders`] [`feedback`] [`quotes`] [`restaurants`] [`locate`] | handlers for customers |
//! | [`kitchen`] [`menus`] [`promotions`] | for restaurants, and those who write them |
//! | [`drivers`] [`positions`] [`statements`] | for drivers |
//! | [`desk`] [`operators`] [`health`] | for operators |
//! | [`webhooks`] | for payment providers |
//! | [`devices`] [`endpoints`] | who is told of events when no socket is open: people's devices, partners' webhooks |
//! | [`live`] [`events`] | the WebSocket; the same for those who ask |
//!
//! Handlers know routes and JSON; they decide nothing. A command goes to the writer, whose answer is passed on byte for
//! byte; a read goes to the pool of readers and is shown through `engine::view`, like everything else.

pub mod asyncapi;
pub mod auth;
pub mod call;
pub mod console;
pub mod cursor;
pub mod desk;
pub mod devices;
pub mod docs;
pub mod drivers;
pub mod elsewhere;
pub mod endpoints;
pub mod error;
pub mod events;
pub mod feedback;
pub mod health;
pub mod idempotency;
pub mod input;
pub mod kitchen;
pub mod live;
pub mod locate;
pub mod menus;
pub mod openapi;
pub mod operators;
pub mod orders;
pub mod origin;
pub mod positions;
pub mod promotions;
pub mod query;
pub mod quotes;
pub mod rate;
pub mod restaurants;
pub mod route;
pub mod shape;
pub mod shed;
pub mod statements;
pub mod table;
pub mod trace;
pub mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::routing::{MethodFilter, MethodRouter, on};
use tokio::sync::watch;
use tomato_shared::id::RestaurantId;
use tomato_shared::runtime::jwt::Verifier;
use tomato_shared::runtime::nats::LinkLog;
use tomato_shared::runtime::otlp::Tracer;
use tomato_shared::runtime::shutdown::StopSignal;

use crate::clock::Clock;
use crate::config::HttpConfig;
use crate::dispatch::board::Board;
use crate::engine::city::Catalogue;
use crate::engine::policy::Policy;
use crate::feed::Feed;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::payments::Provider;
use crate::push::Desk;
use crate::region::control::Obedience;
use crate::region::directory::Locator;
use crate::region::peers::Peers;
use crate::region::peers::wire::Thing;
use crate::store::StoreError;
use crate::store::pool::{Pool, ReadError};
use crate::store::reads;
use crate::writer::{Head, Writer};
use table::{ROUTES, Route};

/// What the outside of a node is made of.
pub struct Parts {
    /// Takes commands.
    pub writer: Writer,
    /// Every restaurant, as of the newest commit.
    pub catalogue: watch::Receiver<Arc<Catalogue>>,
    /// Where the region's events stand.
    pub head: watch::Receiver<Head>,
    /// Newest event that the region's stream has.
    pub published: Arc<AtomicU64>,
    /// Where drivers are.
    pub fleet: Arc<Fleet>,
    /// Live messages.
    pub feed: Arc<Feed>,
    /// Region time.
    pub clock: Clock,
    /// The region's numbers.
    pub policy: Arc<Policy>,
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
    /// The issuer's public keys, as served to others: a JWKS document.
    pub jwks: String,
    /// Who moves the money; its webhooks are checked with it.
    pub provider: Arc<Provider>,
    /// The region's file, opened for reading.
    pub path: PathBuf,
    /// Limits of requests and callers.
    pub http: HttpConfig,
    /// Where apps reach this node.
    pub public_url: String,
    /// Whose which cell is.
    pub locator: Locator,
    /// How far what the hub tells is in force.
    pub control: Obedience,
    /// Who is told of events outside of sockets.
    pub push: Desk,
    /// The connection to the region's broker; `None` where there is none to be had.
    pub broker: Option<async_nats::Client>,
    /// What the broker's log tells of the link to the hub.
    pub link_log: LinkLog,
    /// The other regions; `None` where there is no way to them.
    pub peers: Option<Arc<Peers>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The newest dispatch plan.
    pub board: Arc<Board>,
    /// Traces.
    pub tracer: Tracer,
    /// Ends the sockets when the process stops.
    pub stop: StopSignal,
}

/// What every handler can use.
pub struct App {
    pub(crate) parts: Parts,
    pub(crate) reads: Pool,
    pub(crate) sockets: live::Sockets,
    pub(crate) shed: shed::Shed,
    pub(crate) rates: rate::Rates,
}

impl App {
    /// Opens the readers.
    ///
    /// # Errors
    /// Where the region's file cannot be opened.
    pub fn new(parts: Parts) -> Result<Self, StoreError> {
        let reads = Pool::open(&parts.path, parts.http.readers)?;
        Ok(Self {
            shed: shed::Shed::new(parts.http.concurrent_max),
            rates: rate::Rates::new(&parts.http.rate),
            parts,
            reads,
            sockets: live::Sockets::default(),
        })
    }

    /// Keeps what is remembered of callers small, until the process stops.
    ///
    /// # Errors
    /// Never.
    pub async fn sweep(self: Arc<Self>, stop: StopSignal) -> Result<(), std::convert::Infallible> {
        self.rates.sweep(stop).await;
        Ok(())
    }

    /// Whether the region's broker can be reached now.
    pub(crate) fn broker_is_there(&self) -> bool {
        let state = self.parts.broker.as_ref().map(async_nats::Client::connection_state);
        state == Some(async_nats::connection::State::Connected)
    }

    /// Whether a restaurant is this region's; one that has gone with its cells is not.
    pub(crate) fn has_restaurant(&self, id: RestaurantId) -> bool {
        let catalogue = self.catalogue();
        let row = catalogue.restaurants.get(&id);
        row.is_some_and(|row| row.moved_to.is_none())
    }

    /// Whether this region has what another one may have.
    pub(crate) async fn has(&self, thing: Thing) -> Result<bool, ReadError> {
        match thing {
            Thing::Restaurant(id) => Ok(self.has_restaurant(id)),
            Thing::Order(id) => {
                self.reads
                    .read(move |connection| reads::order_exists(connection, id))
                    .await
            }
            Thing::Driver(id) => {
                let row = self.reads.read(move |connection| reads::driver(connection, id)).await?;
                Ok(row.is_some_and(|row| row.is_ours()))
            }
        }
    }

    /// Every restaurant, as of the newest commit.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.parts.catalogue.borrow().clone()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The routes of [`ROUTES`], ready to be served.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    let mut paths: Vec<&'static str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    for path in paths {
        router = router.route(path, methods(path));
    }
    let missing = |State(app): State<Arc<App>>, request: Request| call::no_route(app, request);
    router.fallback(missing).with_state(app)
}

/// All methods of one path, and the answer to all others.
fn methods(path: &'static str) -> MethodRouter<Arc<App>> {
    let routes = || ROUTES.iter().filter(move |route| route.path == path);
    let allow = allow(routes());
    let refuse = move |State(app): State<Arc<App>>, request: Request| call::wrong_method(app, request, allow);
    let mut methods = MethodRouter::new().fallback(refuse);
    for route in routes() {
        let run = move |State(app): State<Arc<App>>, params: Result<RawPathParams, _>, request: Request| {
            call::run(app, route, params.ok(), request)
        };
        methods = methods.merge(on(MethodFilter::from(route.method), run));
    }
    methods
}

/// The `Allow` header of a path. Leaked once per path when the router is built, as the header wants a static text.
fn allow(routes: impl Iterator<Item = &'static Route>) -> &'static str {
    let mut names: Vec<&str> = Vec::new();
    for route in routes {
        names.extend(route.method.names());
    }
    Box::leak(names.join(", ").into_boxed_str())
}

#[cfg(test)]
mod tests;
