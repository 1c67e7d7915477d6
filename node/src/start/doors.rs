//! The ports of a node: the one that apps reach, and the one for whoever runs it.

use std::sync::Arc;

use tokio::net::TcpListener;
use tomato_shared::runtime::serve::{self, ServeLimits};
use tomato_shared::runtime::shutdown::Supervisor;

use crate::admin;
use crate::http::{self, App};

/// Serves on both, until the supervisor stops.
pub(super) fn open(
    supervisor: &mut Supervisor,
    app: Arc<App>,
    (apps, admin): (TcpListener, Option<TcpListener>),
    limits: ServeLimits,
) {
    if let Some(listener) = admin {
        let serving = admin::serve(listener, app.clone(), supervisor.stop_signal());
        supervisor.spawn("admin", serving);
    }
    supervisor.spawn("rates", app.clone().sweep(supervisor.stop_signal()));
    let serving = serve::serve(apps, http::router(app), limits, {
        let mut stop = supervisor.stop_signal();
        async move { stop.stopped().await }
    });
    supervisor.spawn("http", async { serving.await.map(|_| ()) });
}
