//! Serves an axum [`Router`] over HTTP/1.1 with the limits a public port needs.
//!
//! `axum::serve` has no header timeout and no bound on connections, so a few thousand silent sockets could exhaust a
//! node. WebSocket upgrades work and keep counting as connections until they close.

mod socket;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::config::{Faults, Validate};
use socket::Counted;

/// Bounds of one listening port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ServeLimits {
    /// Connections open at once, WebSockets included; more wait in the kernel's queue. Default 20,000, 1 to 1,000,000.
    pub max_connections: u32,
    /// Milliseconds a client may take to send the head of a request, or stay silent between two requests, before the
    /// connection is closed. Default 10,000, 100 to 300,000.
    pub header_read_timeout_ms: u64,
    /// Largest head of a request in bytes; more is answered with 431. Default 16,384, 8,192 to 1,048,576.
    pub max_header_bytes: usize,
    /// Most header fields of a request; more is answered with 431. Default 64, 16 to 1,000.
    pub max_headers: usize,
    /// Milliseconds that open requests get to finish after shutdown began. Default 10,000, 0 to 300,000.
    pub drain_ms: u64,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            header_read_timeout_ms: 10_000,
            max_header_bytes: 16 * 1024,
            max_headers: 64,
            drain_ms: 10_000,
        }
    }
}

impl Validate for ServeLimits {
    fn validate(&self, faults: &mut Faults) {
        faults.range("max_connections", self.max_connections, 1..=1_000_000);
        faults.range("header_read_timeout_ms", self.header_read_timeout_ms, 100..=300_000);
        faults.range("max_header_bytes", self.max_header_bytes, 8 * 1024..=1024 * 1024);
        faults.range("max_headers", self.max_headers, 16..=1_000);
        faults.range("drain_ms", self.drain_ms, 0..=300_000);
    }
}

/// A port that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}{}", hint(.source))]
pub struct BindError {
    /// The address asked for.
    pub addr: SocketAddr,
    /// The cause.
    pub source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        "; stop the program that holds the port (ss -ltnp shows it) or configure another one"
    } else if kind == io::ErrorKind::PermissionDenied {
        "; ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher port"
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "; this machine does not have that address: use 0.0.0.0, [::] or one of its own"
    } else {
        ""
    }
}

/// Listens on `addr` (port 0: a free one; ask the listener which).
///
/// # Errors
/// [`BindError`] with the address and what to do.
pub fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || {
        let socket = if addr.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A restart must not wait for the TIME_WAIT of its predecessor's connections.
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(4096)
    };
    listen().map_err(|source| BindError { addr, source })
}

/// Lifts the soft limit of open files to the hard one and returns it; every connection takes a file, and the usual
/// soft limit of 1,024 is far below [`ServeLimits::max_connections`]. For `main`, before anything listens.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() {
        raised
    } else {
        limits
    };
    now.current.unwrap_or(u64::MAX)
}

/// How serving ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drained {
    /// Connections still open when the time to drain was over; they were cut, or are WebSockets that go with the process.
    pub cut: usize,
}

/// What connections are told.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Phase {
    Serving,
    Draining,
    Cut,
}

/// Serves `router` on `listener` until `shutdown` completes, then lets open requests finish within `limits.drain_ms`.
/// Handlers find the peer as `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// When the listening socket itself fails; failures of single connections and a full file table do not end it.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<Drained> {
    // Builds the routes once; otherwise every request would.
    let router: Router = router.with_state(());
    let places = Arc::new(Semaphore::new(limits.max_connections as usize));
    let (phase, _) = watch::channel(Phase::Serving);
    let http = builder(limits);
    let outcome = {
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break Ok(()),
                accepted = accept(&listener, &places) => accepted,
            };
            match accepted {
                Ok(Some((stream, addr, place))) => {
                    // Answers are small: waiting to fill a packet would only add latency. A socket that is already
                    // gone fails here and then again, properly, when it is read.
                    stream.set_nodelay(true).ok();
                    let service = Peer {
                        router: router.clone(),
                        addr,
                    };
                    let io = TokioIo::new(Counted { stream, _place: place });
                    tokio::spawn(connection(
                        http.serve_connection(io, service).with_upgrades(),
                        phase.subscribe(),
                    ));
                }
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        }
    };
    drop(listener);
    phase.send_replace(Phase::Draining);
    let all_closed = places.acquire_many(limits.max_connections);
    let drained = tokio::time::timeout(Duration::from_millis(limits.drain_ms), all_closed)
        .await
        .is_ok();
    let cut = if drained {
        0
    } else {
        limits.max_connections as usize - places.available_permits()
    };
    phase.send_replace(Phase::Cut);
    outcome.map(|()| Drained { cut })
}

fn builder(limits: ServeLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_read_timeout_ms))
        .max_header_size(limits.max_header_bytes)
        .max_headers(limits.max_headers)
        // hyper reads a head into this buffer, so it must not be smaller; twice that leaves room for the body behind it.
        .max_buf_size(limits.max_header_bytes * 2);
    http
}

/// The next connection once there is a place for it; `None` after a failure that concerns nobody else.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)>> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let error = match listener.accept().await {
        Ok((stream, addr)) => return Ok(Some((stream, addr, place))),
        Err(error) => error,
    };
    // accept(2): these belong to the connection that was being taken, or to the network.
    let kind = error.kind();
    let of_peer = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::Interrupted,
        io::ErrorKind::NetworkDown,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::TimedOut,
    ];
    if of_peer.contains(&kind) {
        return Ok(None);
    }
    let code = error.raw_os_error();
    let scarce = [
        rustix::io::Errno::MFILE,
        rustix::io::Errno::NFILE,
        rustix::io::Errno::NOBUFS,
        rustix::io::Errno::NOMEM,
    ];
    if scarce.iter().any(|errno| code == Some(errno.raw_os_error())) {
        tracing::warn!(%error, "cannot take connections for want of files or memory; raise LimitNOFILE or lower max_connections");
        tokio::time::sleep(Duration::from_millis(50)).await;
        return Ok(None);
    }
    Err(error)
}

type Conn = http1::UpgradeableConnection<TokioIo<Counted>, Peer>;

async fn connection(conn: Conn, mut phase: watch::Receiver<Phase>) {
    let mut conn = pin!(conn);
    // The phase may have changed between accept and subscribe; changed() only tells of what comes after.
    let mut draining = false;
    loop {
        let now = *phase.borrow_and_update();
        if now == Phase::Cut {
            return;
        }
        if now == Phase::Draining && !draining {
            draining = true;
            conn.as_mut().graceful_shutdown();
        }
        tokio::select! {
            ended = conn.as_mut() => {
                if let Err(error) = ended {
                    // Clients vanish all the time; this is of interest only to who looks for it.
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}

/// The router as seen by one peer.
struct Peer {
    router: Router,
    addr: SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for Peer {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = axum::routing::future::RouteFuture<Infallible>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.addr));
        tower::Service::call(&mut self.router.clone(), request)
    }
}

#[cfg(test)]
mod tests;
