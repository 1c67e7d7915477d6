//! The network between two programs, as a TCP proxy on loopback that breaks on purpose: cut, cut one way, half-open,
//! flapping, slow, reset.
//!
//! What is cut is not thrown away: bytes wait, as they do in the sender of a real connection, and go on after the heal
//! unless one side has given the connection up by then. Only the half-open connection swallows, for its other end is gone.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::ports;

/// Chunks on their way in one direction; what does not fit waits at the sender.
const CHUNKS: usize = 64;
const CHUNK_BYTES: usize = 64 * 1024;

/// Which way bytes go. The client is the side that dials: a region. The server is the side that listens: the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Client,
    Server,
}

/// What the network is like now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weather {
    /// Nothing gets through to the server; a new connection is taken and hears nothing.
    stalled_to_server: bool,
    stalled_to_client: bool,
    /// New connections are reset at once.
    refusing: bool,
    delay: Duration,
    /// How many times existing connections were reset, and left half-open with that end.
    resets: u64,
    halved: (u64, Option<End>),
}

impl Weather {
    fn flows(&self, way: Way) -> bool {
        match way {
            Way::ToServer => !self.stalled_to_server,
            Way::ToClient => !self.stalled_to_client,
        }
    }
}

/// What went through since the start.
#[derive(Debug, Default)]
struct Meter {
    to_server: AtomicU64,
    to_client: AtomicU64,
    connections: AtomicU64,
}

/// A network of one address. Passes everything until told otherwise; ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    meter: Arc<Meter>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of loopback and passes everything to `server`, which need not listen yet. Must be called
    /// within a runtime.
    pub fn start(server: SocketAddr) -> Result<Self, String> {
        let address = ports::free();
        let explain = |error: std::io::Error| format!("no proxy on {address}: {error}");
        let listener = StdListener::bind(address).map_err(explain)?;
        listener.set_nonblocking(true).map_err(explain)?;
        let listener = TcpListener::from_std(listener).map_err(explain)?;
        let (weather, forecast) = watch::channel(Weather::default());
        let meter = Arc::<Meter>::default();
        let task = tokio::spawn(accept(listener, server, forecast, meter.clone()));
        Ok(Self {
            address,
            weather,
            meter,
            task,
        })
    }

    /// Where the client dials.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing gets through in either direction, and nobody is told: no FIN, no RST. New connections hear nothing.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| {
            (weather.stalled_to_server, weather.stalled_to_client) = (true, true);
        });
    }

    /// The same in one direction only; the other goes on.
    pub fn cut_one_way(&self, way: Way) {
        self.weather.send_modify(|weather| match way {
            Way::ToServer => weather.stalled_to_server = true,
            Way::ToClient => weather.stalled_to_client = true,
        });
    }

    /// Connections are reset, and new ones too, as by a firewall that rejects.
    pub fn refuse(&self) {
        self.weather.send_modify(|weather| {
            weather.refusing = true;
            weather.resets += 1;
        });
    }

    /// Resets the connections that exist; new ones are welcome.
    pub fn reset(&self) {
        self.weather.send_modify(|weather| weather.resets += 1);
    }

    /// `left` keeps its connections and is not told that the other end is gone: what it sends is swallowed. New
    /// connections pass.
    pub fn half_open(&self, left: End) {
        self.weather.send_modify(|weather| {
            weather.halved = (weather.halved.0 + 1, Some(left));
        });
    }

    /// Everything takes so much longer, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// All is well again. What waited goes on; half-open connections stay as they are until their end gives them up.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| {
            (weather.stalled_to_server, weather.stalled_to_client) = (false, false);
            (weather.refusing, weather.delay) = (false, Duration::ZERO);
        });
    }

    /// Bytes that have got through so far.
    pub fn carried(&self, way: Way) -> u64 {
        let meter = match way {
            Way::ToServer => &self.meter.to_server,
            Way::ToClient => &self.meter.to_client,
        };
        meter.load(Ordering::Relaxed)
    }

    /// Connections to the server that were made so far.
    pub fn connections(&self) -> u64 {
        self.meter.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, weather: watch::Receiver<Weather>, meter: Arc<Meter>) {
    // Ends every connection when the proxy is dropped.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connection(client, server, weather.clone(), meter.clone()));
                }
                Err(error) => {
                    eprintln!("proxy: {error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How a connection's ordinary life ended.
enum Ended {
    Closed,
    Reset,
    Halved(End),
}

async fn connection(client: TcpStream, server: SocketAddr, weather: watch::Receiver<Weather>, meter: Arc<Meter>) {
    let mut mine = weather.clone();
    let start = *mine.borrow_and_update();
    let dialled = tokio::select! {
        server = dial(server, weather.clone()) => server,
        _ = struck(mine.clone(), start) => None,
    };
    let Some(server) = dialled else { return reset(&client) };
    meter.connections.fetch_add(1, Ordering::Relaxed);
    let (mut client, mut server) = (client, server);
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let pumps = async {
            tokio::try_join!(
                pump(
                    from_client,
                    to_server,
                    (Way::ToServer, weather.clone()),
                    &meter.to_server
                ),
                pump(
                    from_server,
                    to_client,
                    (Way::ToClient, weather.clone()),
                    &meter.to_client
                ),
            )
        };
        tokio::select! {
            done = pumps => if done.is_ok() { Ended::Closed } else { Ended::Reset },
            ended = struck(mine.clone(), start) => ended,
        }
    };
    match ended {
        Ended::Closed => {}
        Ended::Reset => {
            reset(&client);
            reset(&server);
        }
        Ended::Halved(End::Client) => {
            reset(&server);
            drop(server);
            swallow(client, mine).await;
        }
        Ended::Halved(End::Server) => {
            reset(&client);
            drop(client);
            swallow(server, mine).await;
        }
    }
}

/// Connects once the network lets a handshake through; `None` when it refuses, or nobody listens.
async fn dial(server: SocketAddr, mut weather: watch::Receiver<Weather>) -> Option<TcpStream> {
    let ready = |now: &Weather| now.refusing || (now.flows(Way::ToServer) && now.flows(Way::ToClient));
    let now = *weather.wait_for(ready).await.ok()?;
    if now.refusing {
        return None;
    }
    let stream = TcpStream::connect(server).await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Waits until existing connections are reset or halved.
async fn struck(mut weather: watch::Receiver<Weather>, start: Weather) -> Ended {
    let news = |now: &Weather| now.resets != start.resets || now.halved != start.halved;
    match weather.wait_for(news).await {
        Ok(now) if now.resets == start.resets => now.halved.1.map_or(Ended::Reset, Ended::Halved),
        Ok(_) | Err(_) => Ended::Reset,
    }
}

/// The next close of this socket sends RST.
fn reset(stream: &TcpStream) {
    // A socket that is closed already has nobody to be reset for.
    stream.set_zero_linger().ok();
}

/// Takes what comes and answers nothing, until its end gives up or everything is reset.
async fn swallow(mut stream: TcpStream, mut weather: watch::Receiver<Weather>) {
    let resets = weather.borrow_and_update().resets;
    let mut buffer = vec![0; CHUNK_BYTES];
    let read = async { while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {} };
    tokio::select! {
        () = read => {}
        _ = weather.wait_for(|now| now.resets != resets) => {}
    }
    reset(&stream);
}

/// One direction of one connection. An error: the connection broke on one side.
async fn pump(
    mut from: tokio::net::tcp::ReadHalf<'_>,
    mut to: tokio::net::tcp::WriteHalf<'_>,
    (way, mut weather): (Way, watch::Receiver<Weather>),
    carried: &AtomicU64,
) -> std::io::Result<()> {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Bytes)>(CHUNKS);
    let mut reading = weather.clone();
    let read = async move {
        loop {
            flowing(&mut reading, way).await?;
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
            if from.read_buf(&mut chunk).await? == 0 {
                return Ok(());
            }
            let due = Instant::now() + reading.borrow().delay;
            if sender.send((due, chunk.freeze())).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(due).await;
            flowing(&mut weather, way).await?;
            to.write_all(&chunk).await?;
            carried.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        // A FIN is subject to the network as much as any byte.
        flowing(&mut weather, way).await?;
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|((), ())| ())
}

async fn flowing(weather: &mut watch::Receiver<Weather>, way: Way) -> std::io::Result<()> {
    let flows = weather.wait_for(|now| now.flows(way)).await;
    flows
        .map(drop)
        .map_err(|_| std::io::ErrorKind::ConnectionAborted.into())
}

#[cfg(test)]
mod tests;
