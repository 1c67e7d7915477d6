//! Reading query parameters, strictly.

use std::str::FromStr;

use schemars::json_schema;
use tomato_shared::cell::LatLng;
use tomato_shared::order::OrderState;
use tomato_shared::runtime::problem::Problem;

use super::call::Call;
use super::input::FAULT_CHARS_MAX;
use super::table::Param;
use super::{cursor, error};
use crate::push::model::State;

impl Call {
    /// The query, of which only the route's parameters may be given, each once.
    pub fn query(&self) -> Result<Query, Problem> {
        let params = self.route.params.iter().filter(|param| !param.header);
        let known: Vec<_> = params.map(|param| param.name).collect();
        Query::read(self.parts.uri.query().unwrap_or_default(), &known)
    }
}

macro_rules! params {
    ($($(#[doc = $doc:literal])+ $alias:ident $name:literal $place:ident $schema:tt;)*) => {
        $(
            $(#[doc = $doc])+
            pub const $alias: Param = Param {
                name: $name,
                about: concat!($($doc),+),
                header: params!(@header $place),
                required: params!(@required $place),
                schema: |_| json_schema!($schema),
            };
        )*
    };
    (@header header) => { true };
    (@header $other:ident) => { false };
    (@required required) => { true };
    (@required $other:ident) => { false };
}

params! {
    /// Degrees north; with `lng`.
    NEAR_LAT "lat" optional {"type": "number", "minimum": -90, "maximum": 90};
    /// Degrees east; with `lat`.
    NEAR_LNG "lng" optional {"type": "number", "minimum": -180, "maximum": 180};
    /// An H3 cell; without `lat` and `lng`.
    CELL "cell" optional {"type": "string", "pattern": "^[0-9a-f]{15}$"};
    /// Words that the restaurant's name has, or an item's.
    WORDS "q" optional {"type": "string", "minLength": 1, "maxLength": 100};
    /// Only those that take orders now.
    OPEN "open" optional {"type": "boolean", "default": false};
    /// From this moment on, RFC 3339.
    FROM "from" optional {"type": "string", "format": "date-time"};
    /// Until before this moment, RFC 3339.
    TO "to" optional {"type": "string", "format": "date-time"};
    /// Rows of a page.
    LIMIT "limit" optional {
        "type": "integer", "minimum": 1, "maximum": cursor::LIMIT_MAX, "default": cursor::LIMIT_DEFAULT
    };
    /// Where the page starts: `next_cursor` of the page before.
    CURSOR "cursor" optional {"type": "string", "minLength": 1};
    /// States of orders, with commas between them.
    STATE "state" optional {"type": "array", "minItems": 1, "items": {"enum": OrderState::ALL.map(OrderState::name)}};
    /// How it stands with messages.
    DELIVERY_STATE "state" optional {"enum": State::ALL.map(State::name)};
    /// Only what happened after this version of the order.
    AFTER_VERSION "after" optional {"type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 0};
    /// `seq` of the newest message that the client has.
    AFTER_SEQ "after" optional {"type": "integer", "minimum": 0};
    /// The order that is to be followed: where another region has it, the answer is 421 and names that region.
    ORDER "order" optional {"type": "string"};
    /// The token, for browsers, which cannot set a header on a WebSocket.
    ACCESS_TOKEN "access_token" optional {"type": "string"};
    /// Lists what was looked at.
    VERBOSE "verbose" optional {"type": "string"};
    /// ETag of the version that the edit was made from; the edit fails with 412 if there is a newer one.
    IF_MATCH "If-Match" header {"type": "string", "pattern": "^(\\*|\"[0-9]{1,9}\")$"};
}

/// Query parameters.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    fn read(text: &str, known: &[&'static str]) -> Result<Self, Problem> {
        let uri = format!("/?{text}").parse().map_err(|_| error::invalid_query())?;
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri);
        let pairs = pairs.map_err(|_| error::invalid_query())?.0;
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(fault(name, "is not known here"));
            }
            if pairs[..at].iter().any(|(other, _)| other == name) {
                return Err(fault(name, "is given twice"));
            }
        }
        Ok(Self(pairs))
    }

    /// A parameter as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter of a type.
    pub fn get<T: FromStr>(&self, name: &str, want: &str) -> Result<Option<T>, Problem> {
        let read = |text: &str| text.parse().map_err(|_| fault(name, &format!("want {want}")));
        self.text(name).map(read).transpose()
    }

    /// The place in `lat` and `lng`, which must be there.
    pub fn place(&self) -> Result<LatLng, Problem> {
        let degrees = |name| {
            let number = self.get::<f64>(name, "degrees as in 12.97")?;
            number.ok_or_else(|| fault(name, "is missing"))
        };
        let (lat, lng) = (degrees("lat")?, degrees("lng")?);
        LatLng::new(lat, lng).map_err(|reason| {
            let name = if (-90.0..=90.0).contains(&lat) { "lng" } else { "lat" };
            fault(name, &reason.to_string())
        })
    }

    /// The place in `lat` and `lng`, if either is there.
    pub fn place_if_given(&self) -> Result<Option<LatLng>, Problem> {
        if self.text("lat").is_some() || self.text("lng").is_some() {
            self.place().map(Some)
        } else {
            Ok(None)
        }
    }

    /// How many rows a page may have.
    pub fn limit(&self) -> Result<usize, Problem> {
        let want = format!("a number from 1 to {}", cursor::LIMIT_MAX);
        let limit = self.get("limit", &want)?.unwrap_or(cursor::LIMIT_DEFAULT);
        if (1..=cursor::LIMIT_MAX).contains(&limit) {
            Ok(limit)
        } else {
            Err(fault("limit", &format!("want {want}")))
        }
    }

    /// Where a page starts.
    pub fn cursor<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let read = |text| read(text).ok_or_else(|| fault("cursor", "is not a next_cursor of this list"));
        self.text("cursor").map(read).transpose()
    }
}

/// One wrong parameter.
pub fn fault(name: &str, message: &str) -> Problem {
    let name: String = name.chars().take(FAULT_CHARS_MAX).collect();
    error::invalid_query().field(name, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_named_when_wrong() {
        let known = ["lat", "lng", "limit", "cursor"];
        let check = |text: &str| {
            let query = Query::read(text, &known)?;
            query.limit()?;
            query.place()
        };
        let field = |text: &str| {
            let problem = check(text).unwrap_err();
            assert_eq!(
                (problem.status().as_u16(), problem.code()),
                (400, "invalid_query"),
                "{text}"
            );
            problem.body().errors[0].field.clone().unwrap()
        };
        assert_eq!(
            check("lat=12.5&lng=77.5&limit=100").unwrap(),
            LatLng::new(12.5, 77.5).unwrap()
        );
        for (text, want) in [
            ("lat=91&lng=1", "lat"),
            ("lat=1&lng=181", "lng"),
            ("lat=NaN&lng=1", "lat"),
            ("lat=1e999&lng=1", "lat"),
            ("lat=x&lng=1", "lat"),
            ("lng=1", "lat"),
            ("lat=1&lng=1&lat=2", "lat"),
            ("lat=1&lng=1&limit=0", "limit"),
            ("lat=1&lng=1&limit=101", "limit"),
            ("lat=1&lng=1&limit=-1", "limit"),
            ("lat=1&lng=1&bogus=1", "bogus"),
        ] {
            assert_eq!(field(text), want, "{text}");
        }
    }
}
