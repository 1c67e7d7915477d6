//! Places and H3 cells. A region owns cells; a place belongs to the region that owns its cell.

mod set;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use h3o::{CellIndex, Resolution};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use set::CellSet;

/// Resolution at which regions own cells: hexagons of about 5 km2.
pub const REGION_RESOLUTION: Resolution = Resolution::Seven;
/// Resolution at which drivers are indexed: hexagons of about 0.1 km2, 200 m from edge to edge.
pub const DRIVER_RESOLUTION: Resolution = Resolution::Nine;
/// Resolution at which events say where an order goes: about 0.7 km2, too coarse to name a house.
pub const EVENT_RESOLUTION: Resolution = Resolution::Eight;

/// Mean earth radius in metres (IUGG R1).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A place in WGS 84 degrees. Only [`LatLng::new`] makes one, so that both numbers are finite and in range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawLatLng")]
pub struct LatLng {
    lat: f64,
    lng: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLatLng {
    lat: f64,
    lng: f64,
}

/// A pair of numbers that is not a place.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("not a place on earth: want lat from -90 to 90 and lng from -180 to 180 degrees")]
pub struct LatLngError;

impl TryFrom<RawLatLng> for LatLng {
    type Error = LatLngError;

    fn try_from(raw: RawLatLng) -> Result<Self, LatLngError> {
        Self::new(raw.lat, raw.lng)
    }
}

impl JsonSchema for LatLng {
    fn schema_name() -> Cow<'static, str> {
        "LatLng".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A place in WGS 84 degrees.",
            "properties": {
                "lat": {"type": "number", "minimum": -90, "maximum": 90},
                "lng": {"type": "number", "minimum": -180, "maximum": 180},
            },
            "required": ["lat", "lng"],
            "additionalProperties": false,
        })
    }
}

impl LatLng {
    /// Degrees; fails outside -90..=90 and -180..=180, and for NaN.
    pub fn new(lat: f64, lng: f64) -> Result<Self, LatLngError> {
        if (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lng) {
            Ok(Self { lat, lng })
        } else {
            Err(LatLngError)
        }
    }

    /// Degrees north.
    pub fn lat(&self) -> f64 {
        self.lat
    }

    /// Degrees east.
    pub fn lng(&self) -> f64 {
        self.lng
    }

    /// Great-circle distance in metres, by the haversine formula; within 0.6 % of the ellipsoid.
    pub fn distance_m(&self, other: &LatLng) -> f64 {
        let (lat_a, lat_b) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((lat_b - lat_a) / 2.0).sin();
        let half_lng = ((other.lng - self.lng).to_radians() / 2.0).sin();
        let chord = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lng * half_lng;
        2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin()
    }

    /// The place `east_m` and `north_m` metres from here; meant for distances within a city.
    pub fn offset_m(&self, east_m: f64, north_m: f64) -> LatLng {
        let lat = self.lat + (north_m / EARTH_RADIUS_M).to_degrees();
        let shrink = self.lat.to_radians().cos().max(1e-6);
        let lng = self.lng + (east_m / (EARTH_RADIUS_M * shrink)).to_degrees();
        LatLng {
            lat: lat.clamp(-90.0, 90.0),
            lng: lng.clamp(-180.0, 180.0),
        }
    }

    /// The H3 cell around this place.
    pub fn cell(&self, resolution: Resolution) -> Cell {
        match h3o::LatLng::new(self.lat, self.lng) {
            Ok(place) => Cell(place.to_cell(resolution)),
            // `new` has let in only finite degrees, the one thing that H3 asks for.
            Err(_) => unreachable!("a checked place has finite degrees"),
        }
    }
}

/// An H3 cell index: hexadecimal text in JSON, an integer in SQLite and MessagePack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(pub CellIndex);

impl Cell {
    /// The middle of the cell.
    pub fn centre(self) -> LatLng {
        let centre = h3o::LatLng::from(self.0);
        LatLng {
            lat: centre.lat(),
            lng: centre.lng(),
        }
    }

    /// The index as SQLite stores it. H3 leaves the top bit zero, so the number is never negative.
    pub fn to_i64(self) -> i64 {
        i64::try_from(u64::from(self.0)).unwrap_or(i64::MAX)
    }

    /// This cell and those that it lies in, finest first.
    pub fn ancestry(self) -> impl Iterator<Item = Cell> {
        let coarser = |cell: &Cell| Some(Cell(cell.0.parent(cell.0.resolution().pred()?)?));
        std::iter::successors(Some(self), coarser)
    }

    /// The cell of a stored number; `None` when it is not an H3 cell.
    pub fn from_i64(stored: i64) -> Option<Self> {
        CellIndex::try_from(u64::try_from(stored).ok()?).ok().map(Self)
    }
}

/// A text that is not a cell.
#[derive(Debug, thiserror::Error)]
#[error("not an H3 cell: want 15 hexadecimal digits as in 8760145b0ffffff")]
pub struct CellError;

impl FromStr for Cell {
    type Err = CellError;

    fn from_str(text: &str) -> Result<Self, CellError> {
        text.parse().map(Self).map_err(|_| CellError)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(u64::from(self.0))
        }
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            std::borrow::Cow::<str>::deserialize(deserializer)?
                .parse()
                .map_err(D::Error::custom)
        } else {
            CellIndex::try_from(u64::deserialize(deserializer)?)
                .map(Self)
                .map_err(D::Error::custom)
        }
    }
}

impl JsonSchema for Cell {
    fn schema_name() -> Cow<'static, str> {
        "Cell".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "An H3 cell.", "pattern": "^[0-9a-f]{15}$"})
    }
}

/// The name of a region: 2 to 16 characters of `a-z 0-9`, a letter first. It is a token of NATS subjects and part of
/// stream names, so nothing else may pass.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RegionId(String);

/// A text that cannot name a region.
#[derive(Debug, thiserror::Error)]
#[error("not a region name: want 2 to 16 characters of a-z and 0-9, a letter first, and not \"hub\" or \"all\"")]
pub struct RegionIdError;

impl RegionId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegionId {
    type Err = RegionIdError;

    fn from_str(text: &str) -> Result<Self, RegionIdError> {
        let shaped = (2..=16).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && text.as_bytes()[0].is_ascii_lowercase();
        if shaped && !["hub", "all"].contains(&text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RegionIdError)
        }
    }
}

impl JsonSchema for RegionId {
    fn schema_name() -> Cow<'static, str> {
        "RegionId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "The name of a region.", "pattern": "^[a-z][a-z0-9]{1,15}$"})
    }
}

impl fmt::Display for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RegionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bengaluru() -> LatLng {
        LatLng::new(12.9716, 77.5946).unwrap()
    }

    #[test]
    fn places_outside_the_earth_are_refused() {
        for (lat, lng) in [
            (91.0, 0.0),
            (-90.1, 0.0),
            (0.0, 180.5),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert!(LatLng::new(lat, lng).is_err(), "{lat} {lng}");
        }
        assert!(serde_json::from_str::<LatLng>(r#"{"lat":91.0,"lng":0.0}"#).is_err());
        assert!(serde_json::from_str::<LatLng>(r#"{"lat":1.0,"lng":0.0,"alt":3}"#).is_err());
    }

    #[test]
    fn distances_and_offsets_agree() {
        let there = bengaluru().offset_m(3_000.0, -4_000.0);
        assert!((bengaluru().distance_m(&there) - 5_000.0).abs() < 15.0);
        assert!(bengaluru().distance_m(&bengaluru()) < 1e-6);
    }

    #[test]
    fn cells_round_trip() {
        let cell = bengaluru().cell(DRIVER_RESOLUTION);
        assert_eq!(cell.to_string().parse::<Cell>().unwrap(), cell);
        assert_eq!(Cell::from_i64(cell.to_i64()), Some(cell));
        assert_eq!(Cell::from_i64(5), None);
        assert_eq!(
            rmp_serde::from_slice::<Cell>(&rmp_serde::to_vec(&cell).unwrap()).unwrap(),
            cell
        );
    }

    #[test]
    fn region_names_are_subject_tokens() {
        assert!("blr".parse::<RegionId>().is_ok());
        for bad in [
            "",
            "b",
            "BLR",
            "blr.x",
            "b*",
            "1st",
            "b r",
            "hub",
            "all",
            "a-b",
            "abcdefghijklmnopq",
        ] {
            assert!(bad.parse::<RegionId>().is_err(), "{bad}");
        }
    }
}
