//! The yardstick: what HTTP, one writer with group commit and the disk allow when nothing is decided.
//!
//! It is served like a node, reads the same body, and writes the rows that placing an order writes, into the same schema
//! with the same settings: no token is checked, nothing is priced, no stock is looked at, nothing is read. What the node
//! does beyond placing (payment outcomes, the relay) has no counterpart here.

mod rows;
mod writer;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tomato_shared::event::PaymentMethod;
use tomato_shared::id::{ItemId, RestaurantId};
use tomato_shared::runtime::serve::{self, ServeLimits};
use tomato_shared::runtime::shutdown;
use tomato_tests::view::Address;

use crate::market::{self, LINES_MAX};
use crate::sizes::Sizes;
use writer::Writer;

/// Largest body, as at the node.
const BODY_MAX: usize = 64 * 1024;

/// File of the sizes in the directory of the yardstick.
pub(crate) fn sizes_file(folder: &Path) -> PathBuf {
    folder.join("sizes.json")
}

/// Its database.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join("bare.db")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceOrder {
    restaurant_id: RestaurantId,
    items: Vec<Item>,
    deliver_to: Address,
    payment: Payment,
    #[serde(default)]
    tip_minor: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    item_id: ItemId,
    quantity: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    method: PaymentMethod,
    card: String,
}

/// What the writer needs of a request.
#[derive(Debug)]
struct Wanted {
    restaurant_id: RestaurantId,
    items: Vec<(ItemId, u32)>,
    key: u128,
    amount_minor: i64,
}

impl Wanted {
    fn lines(&self) -> usize {
        self.items.len().clamp(1, LINES_MAX)
    }
}

#[derive(Clone)]
struct App {
    writer: Writer,
    /// The answer to an order of one, two, three lines.
    answers: Arc<[Bytes; LINES_MAX]>,
}

/// Serves until SIGTERM.
pub(crate) fn serve(folder: &Path, addr: SocketAddr) -> Result<(), String> {
    // However the bench ends, this process ends with it.
    let parent_gone = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    parent_gone.map_err(|error| format!("cannot ask for a signal at the parent's end: {error}"))?;
    let file = sizes_file(folder);
    let text = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let sizes: Sizes = serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    serve::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|error| format!("no runtime: {error}"))?
        .block_on(run(folder, addr, &sizes))
}

async fn run(folder: &Path, addr: SocketAddr, sizes: &Sizes) -> Result<(), String> {
    let stop = shutdown::termination().map_err(|error| error.to_string())?;
    let listener = serve::bind(addr).map_err(|error| error.to_string())?;
    let writer = writer::start(&database(folder), sizes, &market::customers())?;
    let answers = sizes.answer.map(|size| Bytes::from(rows::filler(size)));
    let app = App {
        writer,
        answers: Arc::new(answers),
    };
    let router = Router::new()
        .route("/livez", get(async || "ok"))
        .route("/v1/orders", post(place))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
        .with_state(app);
    let stop = async {
        stop.await;
    };
    let served = serve::serve(listener, router, ServeLimits::default(), stop).await;
    served.map(|_| ()).map_err(|error| error.to_string())
}

async fn place(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(wanted) = wanted(&headers, &body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let answer = app.answers[wanted.lines() - 1].clone();
    if !app.writer.submit(wanted).await {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let mut response = (StatusCode::CREATED, answer).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn wanted(headers: &HeaderMap, body: &[u8]) -> Option<Wanted> {
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    let order: PlaceOrder = serde_json::from_slice(body).ok()?;
    let card = order.payment.method == PaymentMethod::Card && !order.payment.card.is_empty();
    let to_somewhere = !order.deliver_to.line.is_empty();
    let wanted = Wanted {
        restaurant_id: order.restaurant_id,
        amount_minor: 50_000 + order.tip_minor,
        items: order.items.iter().map(|item| (item.item_id, item.quantity)).collect(),
        key: u128::from_str_radix(key, 16).ok()?,
    };
    (card && to_somewhere).then_some(wanted)
}
