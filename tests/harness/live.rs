//! The WebSocket of an app: one connection as it is ([`LiveSocket`]), and a follower that reconnects for ever and keeps
//! the newest view of each order ([`Follower`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tomato_shared::id::OrderId;

use crate::view::{LiveMessage, Order};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// Without even a heartbeat for this long the connection counts as dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// One connection to `/v1/live`.
#[derive(Debug)]
pub struct LiveSocket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl LiveSocket {
    /// Connects. `base`: the node's HTTP address; `after`: resumes behind that `seq`.
    pub async fn connect(base: &str, token: &str, after: Option<u64>) -> Result<Self, String> {
        let query = after.map(|seq| format!("?after={seq}")).unwrap_or_default();
        let url = format!("{}/v1/live{query}", base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        headers.insert(
            "authorization",
            format!("Bearer {token}")
                .parse()
                .map_err(|_| "not a token".to_owned())?,
        );
        headers.insert("sec-websocket-protocol", http::HeaderValue::from_static("json"));
        match timeout(CONNECT_LIMIT, tokio_tungstenite::connect_async(request)).await {
            Ok(Ok((socket, _))) => Ok(Self { socket }),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no WebSocket within {} s", CONNECT_LIMIT.as_secs())),
        }
    }

    /// The next message; an error when the connection has ended or sends something else than the contract says.
    pub async fn next(&mut self) -> Result<LiveMessage, String> {
        loop {
            let frame = match timeout(SILENCE_LIMIT, self.socket.next()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(error.to_string()),
                Ok(None) => return Err("closed".to_owned()),
                Err(_) => return Err(format!("silent for {} s", SILENCE_LIMIT.as_secs())),
            };
            match frame {
                Message::Text(text) => {
                    return serde_json::from_str(&text).map_err(|error| format!("{error}: {text:.300}"));
                }
                Message::Close(frame) => return Err(format!("closed: {frame:?}")),
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Waits for the first message for which `wanted` holds, skipping others.
    pub async fn next_where(&mut self, wanted: impl Fn(&LiveMessage) -> bool) -> Result<LiveMessage, String> {
        loop {
            let message = self.next().await?;
            if wanted(&message) {
                return Ok(message);
            }
        }
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        self.socket.send(Message::Close(None)).await.ok();
    }
}

type Orders = Arc<Mutex<BTreeMap<OrderId, Order>>>;

/// The newest view of every own order that was told, whatever happens to the connection. It may lag while there is
/// none: whoever must not miss anything also asks over HTTP and hands the answer to [`Follower::put`].
#[derive(Debug)]
pub struct Follower {
    orders: Orders,
    changed: watch::Receiver<u64>,
    bell: Arc<watch::Sender<u64>>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Starts to follow in a task of its own, which ends when this is dropped.
    pub fn start(base: &str, token: &str) -> Self {
        let orders = Orders::default();
        let (bell, changed) = watch::channel(0);
        let bell = Arc::new(bell);
        let task = tokio::spawn(follow(base.to_owned(), token.to_owned(), orders.clone(), bell.clone()));
        Self {
            orders,
            changed,
            bell,
            task,
        }
    }

    /// Waits until something was told since the last call; false when `limit` passed without.
    pub async fn changed(&mut self, limit: Duration) -> bool {
        timeout(limit, self.changed.changed()).await.is_ok()
    }

    /// The newest known view of an order.
    pub fn order(&self, id: OrderId) -> Option<Order> {
        lock(&self.orders).get(&id).cloned()
    }

    /// The newest known views.
    pub fn orders(&self) -> Vec<Order> {
        lock(&self.orders).values().cloned().collect()
    }

    /// Takes in a view that came over HTTP; an older one than is known changes nothing.
    pub fn put(&self, order: Order) {
        if put(&self.orders, order) {
            self.bell.send_modify(|count| *count += 1);
        }
    }

    /// Forgets an order that is of no more interest.
    pub fn forget(&self, id: OrderId) {
        lock(&self.orders).remove(&id);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(base: String, token: String, orders: Orders, bell: Arc<watch::Sender<u64>>) {
    let mut pause = RECONNECT_FIRST;
    loop {
        if let Ok(mut socket) = LiveSocket::connect(&base, &token, None).await {
            pause = RECONNECT_FIRST;
            while let Ok(message) = socket.next().await {
                let told = message.order.into_iter().chain(message.orders.into_iter().flatten());
                let news = told.filter(|order| put(&orders, order.clone())).count();
                if news > 0 {
                    bell.send_modify(|count| *count += 1);
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_MAX);
    }
}

fn put(orders: &Orders, order: Order) -> bool {
    let mut orders = lock(orders);
    let news = orders.get(&order.id).is_none_or(|known| known.version < order.version);
    if news {
        orders.insert(order.id, order);
    }
    news
}

fn lock(orders: &Orders) -> std::sync::MutexGuard<'_, BTreeMap<OrderId, Order>> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}
