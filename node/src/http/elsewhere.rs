//! What belongs to another region is answered by that region: its answer passes through here, with its name in
//! [`REGION`]. An app may so talk to any node.
//!
//! Whose a request is, in this order: the region that the app names; the region that has the caller, for drivers and
//! restaurants; the region of the place, for what is about a place; this one, unless it does not have what the path names
//! and another one has. A request is handed over once, whole, with its token and its key: the owner checks both, so that
//! a repetition through another node is still a repetition.

mod about;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tomato_shared::cell::RegionId;
use tomato_shared::id::{DriverId, RestaurantId};
use tomato_shared::rejection::Rejection;
use tomato_shared::runtime::jwt::Role;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::subject::PeerVerb;

use about::{place, thing};

use super::call::Call;
use super::table::{Access, Route};
use super::{App, error, idempotency, origin};
use crate::engine::model::By;
use crate::region::peers::door::HandedBy;
use crate::region::peers::wire::{self, HEADERS_THERE, HttpAnswer, HttpRequest, Thing};
use crate::region::peers::{NoAnswer, Peers, Search};
use crate::store::reads;

/// In a request: the region that shall answer. In an answer: the region that has answered, where that is another one.
pub const REGION: HeaderName = HeaderName::from_static("tomato-region");

/// How long another region may take. Less than a handler's own time, so that the app hears who is silent.
const FORWARD_WITHIN: Duration = Duration::from_secs(6);

/// Who is to answer.
enum Whose {
    /// This region, whatever it says.
    Ours,
    /// This region, unless it does not have what the path names.
    Perhaps(Thing),
    /// That region, which has been found by what is named.
    Theirs(RegionId, Option<Thing>),
}

/// Has a call answered by whoever it belongs to.
pub async fn run(call: Call) -> Result<Response, Problem> {
    let handler = call.route.handler;
    let public = call.route.access == Access::Public;
    if public && !travels(call.route) {
        return handler(call).await;
    }
    if call.parts.extensions.get::<HandedBy>().is_some() {
        return match gone_on(&call).await? {
            Some(region) => Err(error::misdirected(
                region.as_str(),
                call.app.peers.as_ref().and_then(|peers| peers.url(&region)),
            )),
            None => handler(call).await,
        };
    }
    let named = named(&call)?;
    let Some(peers) = call.app.peers.clone().filter(|peers| !peers.is_alone()) else {
        return match named {
            Some(region) => Err(error::region_unknown(region.as_str())),
            None => handler(call).await,
        };
    };
    let socket = is_socket(&call);
    if !may_go(&call) && !socket {
        return match named {
            Some(region) => Err(error::misdirected(region.as_str(), peers.url(&region))),
            None => handler(call).await,
        };
    }
    if let Some(region) = named.as_ref().filter(|region| peers.url(region).is_none()) {
        return Err(error::region_unknown(region.as_str()));
    }
    let parcel = Parcel::of(&call, peers);
    if socket {
        return match parcel.socket_of(&call, named).await? {
            Some(region) => Err(error::misdirected(region.as_str(), parcel.peers.url(&region))),
            None => handler(call).await,
        };
    }
    match parcel.whose(&call, named).await? {
        Whose::Ours => parcel.follow(handler(call).await).await,
        Whose::Theirs(region, thing) => match parcel.send(&region, thing).await? {
            Some(answer) if answer.status() == StatusCode::NOT_FOUND && of_driver(&call).is_some() => {
                Err(error::of(Rejection::DriverElsewhere))
            }
            Some(answer) => Ok(answer),
            None => handler(call).await,
        },
        Whose::Perhaps(thing) => match handler(call).await {
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => parcel.seek(thing, problem).await,
            answer => parcel.follow(answer).await,
        },
    }
}

/// Where a caller has gone on to, whom another region takes to be here.
async fn gone_on(call: &Call) -> Result<Option<RegionId>, Problem> {
    if let Some(id) = of_restaurant(call) {
        let catalogue = call.app.catalogue();
        return Ok(catalogue.restaurants.get(&id).and_then(|row| row.moved_to.clone()));
    }
    let Some(id) = of_driver(call).filter(|id| !call.app.fleet.knows(*id)) else {
        return Ok(None);
    };
    let row = call
        .app
        .reads
        .read(move |connection| reads::driver(connection, id))
        .await;
    Ok(row.map_err(error::from_read)?.and_then(|row| row.elsewhere().cloned()))
}

/// The driver whose own affairs a request is about.
fn of_driver(call: &Call) -> Option<DriverId> {
    let about = ["/v1/drivers/", "/v1/offers/", "/v1/events", "/v1/live"];
    let own = about.iter().any(|start| call.route.path.starts_with(start));
    let By::Driver(id) = call.caller.as_ref()?.by else {
        return None;
    };
    own.then_some(id)
}

/// The restaurant whose own affairs a request is about. Its orders stay where they were paid, wherever it goes.
fn of_restaurant(call: &Call) -> Option<RestaurantId> {
    let By::Restaurant(id) = call.caller.as_ref()?.by else {
        return None;
    };
    (!matches!(thing(call), Some(Thing::Order(_)))).then_some(id)
}

/// The region that the app names, where that is another one.
fn named(call: &Call) -> Result<Option<RegionId>, Problem> {
    let Some(value) = call.parts.headers.get(REGION) else {
        return Ok(None);
    };
    let region: Option<RegionId> = value.to_str().ok().and_then(|text| text.parse().ok());
    let region = region.ok_or_else(|| error::invalid_header(REGION.as_str(), "want a region's name as in blr"))?;
    Ok(Some(region).filter(|region| *region != call.app.policy.region))
}

/// Only what apps do travels; what operators do is done where it happens.
fn may_go(call: &Call) -> bool {
    let operator = call.caller.as_ref().is_some_and(|caller| caller.role == Role::Operator);
    !operator && travels(call.route)
}

/// A socket stays with the region whose messages it tells; apps are told which that is.
fn is_socket(call: &Call) -> bool {
    let apps = call.caller.as_ref().is_some_and(|caller| caller.role != Role::Operator);
    apps && matches!(call.route.access, Access::Socket(_))
}

/// Whether requests of a route may be answered by another region.
pub fn travels(route: &Route) -> bool {
    let of_apps = match route.access {
        Access::Public => route.path == "/v1/region" || route.name.starts_with("restaurants::") && !is_locate(route),
        Access::Roles(roles) => roles.iter().any(|role| *role != Role::Operator),
        Access::Socket(_) => false,
    };
    let methods = [super::table::Method::Get, super::table::Method::Post];
    of_apps && (methods.contains(&route.method) || route.path.starts_with("/v1/drivers/me/"))
}

/// Every node knows the whole map.
fn is_locate(route: &Route) -> bool {
    route.path == "/v1/locate"
}

/// A request, ready to travel.
struct Parcel {
    app: Arc<App>,
    peers: Arc<Peers>,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
    client: IpAddr,
    /// Whether it can be sent again without being done twice.
    repeatable: bool,
}

impl Parcel {
    fn of(call: &Call, peers: Arc<Peers>) -> Self {
        let mut headers = call.parts.headers.clone();
        if let Some(trace) = call
            .trace
            .as_deref()
            .and_then(|trace| HeaderValue::from_str(trace).ok())
        {
            headers.insert("traceparent", trace);
        }
        let reads = call.parts.method == Method::GET || call.parts.method == Method::HEAD;
        Self {
            peers,
            method: call.parts.method.clone(),
            target: call
                .parts
                .uri
                .path_and_query()
                .map_or("/", |text| text.as_str())
                .to_owned(),
            repeatable: reads || matches!(idempotency::client_key(&headers), Ok(Some(_))),
            headers,
            body: call.body.clone(),
            client: origin::address(&call.parts, &call.app.http.trusted_proxies),
            app: call.app.clone(),
        }
    }

    async fn whose(&self, call: &Call, named: Option<RegionId>) -> Result<Whose, Problem> {
        if call.parts.headers.contains_key(REGION) {
            return Ok(named.map_or(Whose::Ours, |region| Whose::Theirs(region, None)));
        }
        if let Some(id) = of_restaurant(call)
            && !self.app.has_restaurant(id)
        {
            return match gone_on(call).await? {
                Some(region) => Ok(Whose::Theirs(region, None)),
                None => self.caller_elsewhere(Thing::Restaurant(id)).await,
            };
        }
        if let Some(id) = of_driver(call) {
            return self.driver(id).await;
        }
        if let Some(place) = place(call) {
            let owner = self
                .peers
                .owner(&place)
                .filter(|owner| *owner != self.app.policy.region);
            let Some(owner) = owner else { return Ok(Whose::Ours) };
            // An answer that was given here before the place went to another region stands.
            let done = match call.stored_key() {
                Some(key) => {
                    let read = self
                        .app
                        .reads
                        .read(move |connection| reads::is_answered(connection, key.key))
                        .await;
                    read.map_err(error::from_read)?
                }
                None => false,
            };
            return Ok(if done { Whose::Ours } else { Whose::Theirs(owner, None) });
        }
        Ok(thing(call).map_or(Whose::Ours, Whose::Perhaps))
    }

    /// The region to which a socket has to be opened, where that is another one.
    async fn socket_of(&self, call: &Call, named: Option<RegionId>) -> Result<Option<RegionId>, Problem> {
        match self.whose(call, named).await? {
            Whose::Ours => Ok(None),
            Whose::Theirs(region, _) => Ok(Some(region)),
            Whose::Perhaps(thing) if self.app.has(thing).await.map_err(error::from_read)? => Ok(None),
            Whose::Perhaps(thing) => self.find(thing).await?.map(Some).ok_or_else(error::not_found),
        }
    }

    /// Whoever has the driver answers for them.
    async fn driver(&self, id: DriverId) -> Result<Whose, Problem> {
        if self.app.fleet.knows(id) {
            return Ok(Whose::Ours);
        }
        let row = self
            .app
            .reads
            .read(move |connection| reads::driver(connection, id))
            .await;
        match row.map_err(error::from_read)? {
            Some(row) => {
                let region = row.elsewhere().cloned();
                Ok(region.map_or(Whose::Ours, |region| Whose::Theirs(region, None)))
            }
            None => self.caller_elsewhere(Thing::Driver(id)).await,
        }
    }

    /// The caller is not of here: whoever has them answers; if nobody has, this region says so.
    async fn caller_elsewhere(&self, thing: Thing) -> Result<Whose, Problem> {
        let found = self.find(thing).await?;
        Ok(found.map_or(Whose::Ours, |region| Whose::Theirs(region, Some(thing))))
    }

    /// The region that has something which this one has not; `None` where no region has it.
    async fn find(&self, thing: Thing) -> Result<Option<RegionId>, Problem> {
        if let Some(region) = self.peers.memory.get(thing) {
            return Ok(Some(region));
        }
        match self.peers.search(thing).await {
            Search::Found(region) => {
                self.peers.memory.put(thing, region.clone());
                Ok(Some(region))
            }
            Search::Nowhere => Ok(None),
            Search::Silent(regions) => Err(error::regions_silent(&regions)),
            Search::Busy => Err(error::overloaded()),
        }
    }

    /// What is not here may be somewhere else.
    async fn seek(&self, thing: Thing, problem: Problem) -> Result<Response, Problem> {
        if self.app.has(thing).await.map_err(error::from_read)? {
            // It is here, and not for this caller.
            return Err(problem);
        }
        let Some(region) = self.find(thing).await? else {
            return Err(problem);
        };
        self.send(&region, Some(thing)).await?.ok_or(problem)
    }

    /// What this region refuses as another's is that one's to answer.
    async fn follow(&self, answer: Result<Response, Problem>) -> Result<Response, Problem> {
        let Err(problem) = answer else { return answer };
        let named = problem.body().region.as_deref().and_then(|name| name.parse().ok());
        match named {
            Some(region) if problem.status() == StatusCode::MISDIRECTED_REQUEST => {
                self.send(&region, None).await?.ok_or(problem)
            }
            _ => Err(problem),
        }
    }

    /// Has another region answer, or the one that it says has it instead; `None` where it says that this one has.
    async fn send(&self, to: &RegionId, thing: Option<Thing>) -> Result<Option<Response>, Problem> {
        let answer = self.ask(to).await?;
        let found = |to: &RegionId, answer: &HttpAnswer| match thing {
            Some(thing) if answer.status == StatusCode::NOT_FOUND.as_u16() => self.peers.memory.forget(thing),
            Some(thing) => self.peers.memory.put(thing, to.clone()),
            None => {}
        };
        let next = answer.referred().filter(|next| next != to);
        if next.as_ref() == Some(&self.app.policy.region) {
            thing.inspect(|thing| self.peers.memory.forget(*thing));
            return Ok(None);
        }
        let Some(next) = next.filter(|next| self.peers.url(next).is_some()) else {
            found(to, &answer);
            return Ok(Some(self.passed_on(to, answer)));
        };
        let answer = self.ask(&next).await?;
        found(&next, &answer);
        Ok(Some(self.passed_on(&next, answer)))
    }

    async fn ask(&self, to: &RegionId) -> Result<HttpAnswer, Problem> {
        let request = HttpRequest {
            method: self.method.to_string(),
            target: self.target.clone(),
            headers: wire::pick(&self.headers, &HEADERS_THERE),
            body: serde_bytes::ByteBuf::from(self.body.as_ref()),
            client: self.client,
            within_ms: u32::try_from(FORWARD_WITHIN.as_millis()).unwrap_or(u32::MAX),
        };
        let url = self.peers.url(to);
        let answer = self
            .peers
            .ask::<_, HttpAnswer>(to, PeerVerb::Http, &request, FORWARD_WITHIN);
        answer.await.map_err(|reason| match reason {
            NoAnswer::Unreachable => error::region_unreachable(to.as_str(), url),
            NoAnswer::Unknown => error::region_silent(to.as_str(), url, self.repeatable),
            NoAnswer::Unreadable => error::too_long_for_others(to.as_str(), url),
        })
    }

    /// A region's answer, with its name.
    fn passed_on(&self, from: &RegionId, answer: HttpAnswer) -> Response {
        let mut response = answer.into_response();
        self.note(from, &response);
        if let Ok(name) = HeaderValue::from_str(from.as_str()) {
            response.headers_mut().insert(REGION, name);
        }
        response
    }

    /// Remembers whose an order is that was just placed.
    fn note(&self, at: &RegionId, answer: &Response) {
        let location = answer
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok());
        let id = location.and_then(|text| text.strip_prefix("/v1/orders/")?.parse().ok());
        if let Some(id) = id {
            self.peers.memory.put(Thing::Order(id), at.clone());
        }
    }
}
