//! Answers what other regions ask. A request of an app goes through this node's own router, like any other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, header};
use async_nats::{Client, Message};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::Semaphore;
use tomato_shared::cell::RegionId;
use tomato_shared::runtime::shutdown::StopSignal;
use tomato_shared::subject::{self, PeerVerb};
use tower::ServiceExt as _;

use super::wire::{self, Borrow, Coming, HEADERS_BACK, HEADERS_THERE, HttpAnswer, HttpRequest, Thing, Whose};
use super::{MESSAGE_BYTES_MAX, Peers};
use crate::http::{self, App, error};
use crate::region::link::LinkError;
use crate::region::{borders, loans};

/// Questions of others worked on at a time; further ones are told to come back.
const ASKED_AT_ONCE: usize = 512;
/// Longest wait of an asker, in real time.
const WITHIN_MAX: Duration = Duration::from_secs(10);

/// Marks a request that another region has handed over: it goes no further.
#[derive(Debug, Clone)]
pub struct HandedBy(pub RegionId);

/// Answers other regions.
pub struct Door {
    region: RegionId,
    client: Client,
    app: Arc<App>,
    router: Router,
}

impl Door {
    /// Answers with what this node has.
    pub fn new(app: Arc<App>, peers: &Peers) -> Self {
        Self {
            region: peers.region.clone(),
            client: peers.client.clone(),
            router: http::router(app.clone()),
            app,
        }
    }

    /// Answers until told to stop.
    ///
    /// # Errors
    /// Where the broker's client does not let us listen.
    pub async fn run(self, mut stop: StopSignal) -> Result<(), LinkError> {
        let listen = async |verb| {
            let subscribed = self.client.subscribe(subject::peers_to(&self.region, verb)).await;
            subscribed.map_err(|error| LinkError(error.to_string()))
        };
        let mut requests = listen(PeerVerb::Http).await?;
        let mut searches = listen(PeerVerb::Whose).await?;
        let mut drivers = listen(PeerVerb::Driver).await?;
        let mut loans = listen(PeerVerb::Loan).await?;
        let room = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        let door = Arc::new(self);
        loop {
            let (message, verb) = tokio::select! {
                () = stop.stopped() => return Ok(()),
                Some(message) = requests.next() => (message, PeerVerb::Http),
                Some(message) = searches.next() => (message, PeerVerb::Whose),
                Some(message) = drivers.next() => (message, PeerVerb::Driver),
                Some(message) = loans.next() => (message, PeerVerb::Loan),
            };
            let Some(from) = subject::asker(&message.subject) else {
                continue;
            };
            let (door, place) = (door.clone(), room.clone().try_acquire_owned());
            let Ok(place) = place else {
                door.refuse(&message, verb).await;
                continue;
            };
            tokio::spawn(async move {
                door.answer(message, from, verb).await;
                drop(place);
            });
        }
    }

    async fn answer(&self, message: Message, from: RegionId, verb: PeerVerb) {
        match verb {
            PeerVerb::Http => match rmp_serde::from_slice::<HttpRequest>(&message.payload) {
                Ok(request) => {
                    if let Some(answer) = self.http(request, from).await {
                        self.reply(&message, &answer).await;
                    }
                }
                Err(error) => tracing::warn!(%from, %error, "a request of another region cannot be read"),
            },
            PeerVerb::Loan => match rmp_serde::from_slice::<Borrow>(&message.payload) {
                Ok(asked) => {
                    let lent = loans::lend(&self.app, asked, &from).await;
                    self.reply(&message, &lent).await;
                }
                Err(error) => tracing::warn!(%from, %error, "a question of another region cannot be read"),
            },
            PeerVerb::Driver => match rmp_serde::from_slice::<Coming>(&message.payload) {
                Ok(coming) => {
                    if let Some(taken) = borders::take(&self.app, coming, &from).await {
                        self.reply(&message, &taken).await;
                    }
                }
                Err(error) => tracing::warn!(%from, %error, "a driver of another region cannot be read"),
            },
            PeerVerb::Whose => match rmp_serde::from_slice::<Thing>(&message.payload) {
                Ok(thing) => {
                    if let Ok(mine) = self.app.has(thing).await {
                        self.reply(&message, &Whose { mine }).await;
                    }
                }
                Err(error) => tracing::warn!(%from, %error, "a question of another region cannot be read"),
            },
        }
    }

    /// `None` where nobody waits for the answer any more.
    async fn http(&self, asked: HttpRequest, from: RegionId) -> Option<HttpAnswer> {
        let mut request = Request::builder()
            .method(asked.method.as_str())
            .uri(asked.target)
            .body(Body::from(asked.body.into_vec()))
            .map_err(|error| tracing::warn!(%from, %error, "a request of another region is none"))
            .ok()?;
        wire::restore(&asked.headers, &HEADERS_THERE, request.headers_mut());
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::new(asked.client, 0)));
        request.extensions_mut().insert(HandedBy(from));
        let within = Duration::from_millis(asked.within_ms.into()).min(WITHIN_MAX);
        let answered = tokio::time::timeout(within, self.router.clone().oneshot(request)).await;
        let response = answered.ok()?.unwrap_or_else(|never| match never {});
        Some(self.packed(response).await)
    }

    async fn packed(&self, response: axum::response::Response) -> HttpAnswer {
        let (parts, body) = response.into_parts();
        let read = axum::body::to_bytes(body, MESSAGE_BYTES_MAX - 16 * 1024).await;
        match read {
            Ok(body) => HttpAnswer {
                status: parts.status.as_u16(),
                headers: wire::pick(&parts.headers, &HEADERS_BACK),
                body: serde_bytes::ByteBuf::from(body),
            },
            Err(_) => {
                let problem = error::too_long_for_others(self.region.as_str(), Some(self.app.public_url.clone()));
                problem_answer(&problem)
            }
        }
    }

    async fn refuse(&self, message: &Message, verb: PeerVerb) {
        // A search without an answer is one of those that did not answer.
        if verb == PeerVerb::Http {
            self.reply(message, &problem_answer(&error::overloaded())).await;
        }
    }

    async fn reply<T: Serialize>(&self, message: &Message, body: &T) {
        let Some(to) = message.reply.clone() else { return };
        let sent = match rmp_serde::to_vec_named(body) {
            Ok(bytes) => self
                .client
                .publish(to, bytes.into())
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = sent {
            tracing::warn!(error, "an answer to another region was not sent");
        }
    }
}

fn problem_answer(problem: &tomato_shared::runtime::problem::Problem) -> HttpAnswer {
    let retry = problem
        .body()
        .retry_after_s
        .map(|seconds| (header::RETRY_AFTER, seconds.to_string()));
    let kind = (header::CONTENT_TYPE, "application/problem+json".to_owned());
    let headers = [Some(kind), retry].into_iter().flatten();
    HttpAnswer {
        status: problem.status().as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), serde_bytes::ByteBuf::from(value)))
            .collect(),
        body: serde_bytes::ByteBuf::from(serde_json::to_vec(problem.body()).unwrap_or_default()),
    }
}
