//! Reading what strangers send: JSON bodies and query parameters, strictly, with every fault named by its place.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use tomato_shared::cell::LatLng;
use tomato_shared::runtime::problem::Problem;

use super::call::Call;
use super::cursor;
use super::error;
use crate::engine::model::Address;

/// Faults told at once; a body can hold more, but nobody reads them.
const FAULTS_MAX: usize = 20;
/// Longest fault text; serde quotes what it did not understand.
const FAULT_CHARS_MAX: usize = 200;

/// Names of restaurants, items, headings and people, in characters.
pub const NAME_CHARS: RangeInclusive<usize> = 1..=200;
/// The line of an address, in characters.
pub const ADDRESS_LINE_CHARS: RangeInclusive<usize> = 1..=300;
/// A note to the driver, in characters.
pub const NOTE_CHARS: RangeInclusive<usize> = 0..=500;
/// A tip, in minor units.
pub const TIP_MINOR: RangeInclusive<i64> = 0..=10_000_000;

/// A body that says what it wants beyond its types.
pub trait Input: DeserializeOwned {
    /// Whether it is a list and not an object.
    const LIST: bool = false;

    /// Adds a fault for each part that is out of bounds.
    fn check(&self, faults: &mut Faults);
}

/// What is wrong with a body.
#[derive(Debug, Default)]
pub struct Faults(Vec<(String, String)>);

impl Faults {
    /// Adds a fault. `pointer`: RFC 6901, `/items/0/quantity`.
    pub fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            self.0.push((pointer.into(), message.into()));
        }
    }

    /// A number within bounds.
    pub fn range<T: PartialOrd + Display>(&mut self, pointer: impl Into<String>, value: T, bounds: RangeInclusive<T>) {
        if !bounds.contains(&value) {
            self.add(pointer, format!("must be from {} to {}", bounds.start(), bounds.end()));
        }
    }

    /// A list of a bounded length.
    pub fn count(&mut self, pointer: impl Into<String>, count: usize, bounds: RangeInclusive<usize>) {
        if !bounds.contains(&count) {
            self.add(
                pointer,
                format!("must have {} to {} entries", bounds.start(), bounds.end()),
            );
        }
    }

    /// A text of a bounded length, in characters, without control characters.
    pub fn text(&mut self, pointer: impl Into<String>, text: &str, bounds: RangeInclusive<usize>) {
        if !bounds.contains(&text.chars().count()) {
            self.add(
                pointer,
                format!("must have {} to {} characters", bounds.start(), bounds.end()),
            );
        } else if text.chars().any(|letter| letter.is_control() && letter != '\n') {
            self.add(pointer, "must not have control characters");
        }
    }

    /// Something that must not be there.
    pub fn absent<T>(&mut self, pointer: impl Into<String>, value: Option<&T>, reason: &str) {
        if value.is_some() {
            self.add(pointer, format!("must be absent {reason}"));
        }
    }

    fn into_problem(self) -> Option<Problem> {
        if self.0.is_empty() {
            return None;
        }
        let problem = error::invalid_body();
        Some(
            self.0
                .into_iter()
                .fold(problem, |problem, (pointer, message)| problem.at(pointer, message)),
        )
    }
}

impl Call {
    /// The body.
    pub fn input<T: Input>(&self) -> Result<T, Problem> {
        let input: T = read(&self.body, T::LIST)?;
        let mut faults = Faults::default();
        input.check(&mut faults);
        faults.into_problem().map_or(Ok(input), Err)
    }

    /// The query, of which only `known` parameters may be given, each once.
    pub fn query(&self, known: &[&'static str]) -> Result<Query, Problem> {
        Query::read(self.parts.uri.query().unwrap_or_default(), known)
    }
}

/// A body that must be an empty object.
pub fn empty(body: &[u8]) -> Result<(), Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}
    read(body, false).map(|Empty {}| ())
}

fn read<T: DeserializeOwned>(body: &[u8], list: bool) -> Result<T, Problem> {
    // serde would take the fields of an object from a list, too, by their position.
    if !list && body.trim_ascii_start().first() == Some(&b'[') {
        return Err(error::invalid_body().at("", "want an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|fault| {
        let message = fault
            .inner()
            .to_string()
            .chars()
            .take(FAULT_CHARS_MAX)
            .collect::<String>();
        error::invalid_body().at(pointer(fault.path()), message)
    })?;
    json.end()
        .map_err(|fault| error::invalid_body().at("", fault.to_string()))?;
    Ok(value)
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
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

/// Where an order goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressInput {
    place: LatLng,
    line: String,
    #[serde(default)]
    note: String,
}

impl AddressInput {
    /// Adds its faults under `/deliver_to`.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("/deliver_to/line", &self.line, ADDRESS_LINE_CHARS);
        faults.text("/deliver_to/note", &self.note, NOTE_CHARS);
    }
}

impl From<AddressInput> for Address {
    fn from(input: AddressInput) -> Self {
        Self {
            place: input.place,
            line: input.line,
            note: input.note,
        }
    }
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

    #[test]
    fn pointers_are_escaped() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Outer {
            #[expect(dead_code, reason = "only its faults are looked at")]
            list: Vec<LatLng>,
        }
        let at = |body: &str| {
            read::<Outer>(body.as_bytes(), false).unwrap_err().body().errors[0]
                .pointer
                .clone()
                .unwrap()
        };
        assert_eq!(at(r#"{"list":[{"lat":1,"lng":2},{"lat":1,"lng":"x"}]}"#), "/list/1/lng");
        assert_eq!(at(r#"{"list":[],"a/b~":1}"#), "/a~1b~0");
        assert_eq!(at(r#"{"list":[]} x"#), "");
        assert_eq!(at(""), "");
    }
}
