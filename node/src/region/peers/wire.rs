//! What regions say to each other. MessagePack, named fields; a field is added with a default, never renamed.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use tomato_shared::cell::{LatLng, RegionId};
use tomato_shared::id::{DriverId, OrderId, RestaurantId};

use crate::engine::custody::Arrival;

/// Headers of a request that its owner has to see.
pub const HEADERS_THERE: [HeaderName; 11] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-trace-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-device-time"),
    header::ACCEPT,
    header::USER_AGENT,
];
/// Headers of an answer that its asker gets to see; the node that the app talks to adds the rest itself.
pub const HEADERS_BACK: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::LOCATION,
    header::ETAG,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    header::CACHE_CONTROL,
];

/// A request of an app as one region hands it to another. It has made its one hop: its owner answers it, or nobody.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `POST`
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Those of [`HEADERS_THERE`].
    pub headers: Vec<(String, serde_bytes::ByteBuf)>,
    /// The body.
    pub body: serde_bytes::ByteBuf,
    /// The app's address, for its budget.
    pub client: IpAddr,
    /// How long the asker waits for the answer, in real milliseconds.
    pub within_ms: u32,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// Those of [`HEADERS_BACK`].
    pub headers: Vec<(String, serde_bytes::ByteBuf)>,
    /// The body.
    pub body: serde_bytes::ByteBuf,
}

impl HttpAnswer {
    /// Whose it is instead, where the asked region says that it is not its own. Nothing was done then.
    pub fn referred(&self) -> Option<RegionId> {
        #[derive(Deserialize)]
        struct Named {
            region: RegionId,
        }
        let misdirected = self.status == StatusCode::MISDIRECTED_REQUEST.as_u16();
        let body = misdirected.then_some(self.body.as_slice())?;
        serde_json::from_slice(body).ok().map(|named: Named| named.region)
    }

    /// As the app gets it.
    pub fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut response = (status, Bytes::from(self.body.into_vec())).into_response();
        response.headers_mut().remove(header::CONTENT_TYPE);
        restore(&self.headers, &HEADERS_BACK, response.headers_mut());
        response
    }
}

/// Something that one region has and all others have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// An order.
    Order(OrderId),
    /// A restaurant.
    Restaurant(RestaurantId),
    /// A driver, who belongs to one region at a time.
    Driver(DriverId),
}

/// Whether the asked region has the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whose {
    /// True for at most one region.
    pub mine: bool,
}

/// A driver goes over; told until it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Coming {
    /// Who.
    pub driver_id: DriverId,
    /// In which epoch, and all that has to be known.
    pub arrival: Arrival,
}

/// The taker has the driver, or had them and let them go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// In this epoch.
    pub epoch: u64,
}

/// Asks for a driver, for one delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Borrow {
    /// Of this order.
    pub order_id: OrderId,
    /// Fetched here.
    pub place: LatLng,
    /// How far away the driver may be, in metres.
    pub radius_m: f64,
    /// Whom not: they have said no.
    pub not: Vec<DriverId>,
}

/// Who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// The driver, who is on the way; `None` where there is nobody.
    pub driver_id: Option<DriverId>,
}

/// The headers of a list, as they travel.
pub fn pick(headers: &HeaderMap, wanted: &[HeaderName]) -> Vec<(String, serde_bytes::ByteBuf)> {
    let one = |name: &HeaderName| {
        let values = headers.get_all(name).iter();
        let name = name.as_str().to_owned();
        values.map(move |value| (name.clone(), serde_bytes::ByteBuf::from(value.as_bytes())))
    };
    wanted.iter().flat_map(one).collect()
}

/// Puts travelled headers back, as far as they are of the list.
pub fn restore(from: &[(String, serde_bytes::ByteBuf)], wanted: &[HeaderName], to: &mut HeaderMap) {
    for (name, value) in from {
        let name = wanted.iter().find(|wanted| wanted.as_str() == name);
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            to.append(name.clone(), value);
        }
    }
}
