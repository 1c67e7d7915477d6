//! The port for whoever runs the node: metrics and health, apart from the port that apps reach, without tokens.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::runtime::serve::{self, ServeLimits};
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::time::DurationMs;

use crate::http::App;
use crate::http::call::ok;
use crate::http::health::{Health, Version, readiness};
use crate::store::reads;

/// Connections of a few scrapers and probes.
const CONNECTIONS_MAX: u32 = 64;

/// Serves until told to stop.
///
/// # Errors
/// When the listening socket itself fails.
pub async fn serve(listener: TcpListener, app: Arc<App>, mut stop: StopSignal) -> std::io::Result<()> {
    let limits = ServeLimits {
        max_connections: CONNECTIONS_MAX,
        ..ServeLimits::default()
    };
    let stopped = async move { stop.stopped().await };
    serve::serve(listener, router(app), limits, stopped).await.map(|_| ())
}

/// What is served there.
pub fn router(app: Arc<App>) -> Router {
    let live = || async { ok(&Health::alive()) };
    let version = |State(app): State<Arc<App>>| async move { ok(&Version::of(&app)) };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .with_state(app)
}

async fn ready(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let verbose = query.is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    readiness(&app, verbose).await
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    sample(&app).await;
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (headers, app.metrics.page()).into_response()
}

/// Looks at what is not counted as it happens.
async fn sample(app: &App) {
    let (metrics, head) = (&app.metrics, *app.head.borrow());
    let published = app.published.load(std::sync::atomic::Ordering::Relaxed);
    let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    metrics.orders_active.set(head.orders_open);
    metrics.orders_waiting.set(head.orders_waiting);
    metrics.drivers_online.set(app.fleet.online());
    metrics.drivers_busy.set(app.fleet.busy());
    for (class, depth) in app.writer.depth().into_iter().enumerate() {
        if let Some(gauge) = metrics.writer_depth.get(class) {
            gauge.set(depth);
        }
    }
    metrics.readers_depth.set(app.reads.depth());
    metrics
        .outbox_depth
        .set(size(head.seq.saturating_sub(head.watermark_seq)));
    metrics.relay_lag.set(size(head.seq.saturating_sub(published)));
    metrics.broker_connected.set(usize::from(app.broker_is_there()));
    metrics
        .control_refused
        .set(usize::from(app.control.now().fault.is_some()));
    metrics
        .region_paused
        .set(usize::from(app.catalogue().paused().is_some()));
    metrics.sockets_open.set(app.sockets.open());
    metrics.frames_dropped.set(app.feed.dropped());
    metrics.spans_dropped.set(app.tracer.dropped());
    let read = app
        .reads
        .read(move |connection| {
            let oldest = reads::oldest_after(connection, head.watermark_seq)?;
            let messages = reads::push::message_counts(connection)?;
            Ok((oldest, reads::tasks_open(connection)?, messages))
        })
        .await;
    metrics.file_readable.set(usize::from(read.is_ok()));
    if let Ok((oldest, tasks, messages)) = read {
        let age = oldest.map_or(DurationMs(0), |at| app.clock.now() - at);
        metrics.outbox_age.set(DurationMs(age.0.max(0)));
        metrics.tasks(&tasks);
        metrics.messages(&messages);
    }
}
