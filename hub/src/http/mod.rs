//! The operators' API. Reads come from read connections and memory, so it serves with the broker or regions down.
//!
//! | path | answers |
//! |---|---|
//! | `GET /v1/overview` | counts, money and delivery times, per region and in sum |
//! | `GET /v1/orders?region=&status=&customer=&phone_hash=&restaurant=&driver=&from=&to=&cursor=&limit=` | orders, newest first |
//! | `POST /v1/phone-hashes` | what stands for a telephone number in orders |
//! | `GET /v1/orders/{id}` | one order with its timeline |
//! | `GET /v1/analytics?from=&to=&step=&by=` | what happened where and when, as JSON or CSV |
//! | `GET /v1/map/cells` `/values` | cells as GeoJSON, what happens in them |
//! | `GET /v1/map/orders?region=` `/drivers?region=` | orders under way, and where the drivers are now |
//! | `GET /v1/me` `/v1/anomalies` | who asks; what the hub stumbled over |
//! | `GET /v1/money` | balances, totals of the books, whether they hold |
//! | `GET /v1/money/unmatched` | what provider, books and orders do not agree on |
//! | `GET, POST /v1/money/statements?provider=&region=` | the provider's own statements |
//! | `GET, POST /v1/money/settlements` and `/{run}` | payouts to restaurants and drivers, as JSON or CSV |
//! | `GET /v1/money/payouts/{id}` | the statement of one payout, as JSON or CSV |
//! | `GET /v1/alerts`, `POST /v1/alerts/{id}/ack` | what is going wrong, and who has seen it |
//! | `GET /v1/live` | a WebSocket that says what changed |
//! | `GET /v1/regions` | what the hub has of each region, and what it lacks |
//! | `GET, PUT /v1/regions/{region}/control` | what the hub tells a region: fees, promotions, switches, a pause |
//! | `GET /v1/locate?lat=&lng=` or `?cell=` | who serves a place; for anybody |
//! | `GET /v1/openapi.json` | this API, for programs |
//! | `GET /ui/` | the page |
//! | `GET /metrics` | the hub and the fleet, for Prometheus |
//! | `GET /livez` `/readyz?verbose` `/version` | for those who run the hub |

mod alerts;
mod analytics;
mod auth;
mod control;
mod csv;
mod health;
mod live;
mod locate;
mod map;
mod me;
mod metrics;
mod money;
mod openapi;
mod orders;
mod overview;
mod page;
#[cfg(any(test, feature = "parquet"))]
mod parquet;
mod phones;
mod regions;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use http::Uri;
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tomato_shared::directory::Directory;
use tomato_shared::phone::PhoneKey;
use tomato_shared::runtime::jwt::Verifier;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::runtime::shutdown::StopSignal;
use tower_http::catch_panic::CatchPanicLayer;

use crate::changes::Changes;
use crate::config::{AccessConfig, PageConfig};
use crate::fault::Chain;
use crate::live::Live;
use crate::looks::Looks;
use crate::registry::Active;
use crate::store::{Pool, StoreFault};

/// What every request may use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) readers: Pool,
    /// For what operators do; events go their own way.
    pub(crate) writer: Pool,
    pub(crate) access: Arc<AccessConfig>,
    pub(crate) live: Arc<Live>,
    pub(crate) registry: watch::Receiver<Active>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) page: Arc<PageConfig>,
    pub(crate) phone_key: Arc<PhoneKey>,
    pub(crate) changes: Changes,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    /// Rung when there is a new version of what a region is told.
    pub(crate) editions: Arc<Notify>,
    /// `None` in tests without a broker.
    pub(crate) broker: Option<async_nats::Client>,
    pub(crate) looks: Looks,
    pub(crate) stop: StopSignal,
}

/// The whole API.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/v1/overview", get(overview::read))
        .route("/v1/orders", get(orders::list))
        .route("/v1/orders/{id}", get(orders::read))
        .route("/v1/phone-hashes", post(phones::hash))
        .route("/v1/regions", get(regions::list))
        .route("/v1/regions/{region}/control", get(control::read).put(control::write))
        .route("/v1/locate", get(locate::read))
        .route("/v1/me", get(me::me))
        .route("/v1/anomalies", get(me::anomalies))
        .route("/v1/analytics", get(analytics::read))
        .route("/v1/map/cells", get(map::cells))
        .route("/v1/map/values", get(map::values))
        .route("/v1/map/orders", get(map::orders))
        .route("/v1/map/drivers", get(map::drivers))
        .route("/v1/money", get(money::read))
        .route("/v1/money/unmatched", get(money::unmatched))
        .route("/v1/money/statements", get(money::statements).post(money::import))
        .route("/v1/money/settlements", get(money::runs).post(money::settle))
        .route("/v1/money/settlements/{run_id}", get(money::run))
        .route("/v1/money/payouts/{payout_id}", get(money::payout))
        .route("/v1/alerts", get(alerts::list))
        .route("/v1/alerts/{id}/ack", post(alerts::acknowledge))
        .route("/v1/live", get(live::live))
        .route("/v1/openapi.json", get(openapi::read))
        .route("/", get(page::home))
        .route("/ui", get(page::home))
        .route("/ui/", get(page::file))
        .route("/ui/{*path}", get(page::file))
        .route("/metrics", get(metrics::read))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/version", get(health::version))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed("GET, HEAD, POST, PUT") })
        .fallback(|uri: Uri| async move { Problem::not_found("no such path").instance(uri.path()) })
        .with_state(app)
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a request handler panicked");
            Problem::internal().into_response()
        }))
}

/// The query of a path that takes no parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

fn bad_query(rejection: &QueryRejection) -> Problem {
    let text = rejection.body_text();
    let detail = text.split_once(": ").map_or(text.as_str(), |(_, detail)| detail);
    Problem::bad_request(format!("the query cannot be read: {detail}"))
}

fn bad_path(_: PathRejection) -> Problem {
    Problem::not_found("no such path")
}

fn wrong(field: &'static str, message: &str) -> Problem {
    Problem::bad_request(format!("{field}: {message}")).field(field, message)
}

fn failed(fault: StoreFault) -> Problem {
    tracing::error!(fault = %Chain(fault), "a read failed");
    Problem::internal()
}
