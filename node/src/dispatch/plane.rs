//! The region laid flat: metres east and north of one point, near enough for a city.

use tomato_shared::cell::LatLng;

use crate::engine::matching::Point;

/// Metres of one degree of latitude.
const DEGREE_M: f64 = 111_195.0;

/// Where the flat map touches the globe.
#[derive(Debug, Clone, Copy)]
pub struct Plane {
    lat: f64,
    lng: f64,
    /// Metres of one degree of longitude here.
    degree_lng_m: f64,
}

impl Plane {
    /// A map around `centre`; around 0, 0 for a region without a cell.
    pub fn around(centre: Option<LatLng>) -> Self {
        let (lat, lng) = centre.map_or((0.0, 0.0), |centre| (centre.lat(), centre.lng()));
        Self {
            lat,
            lng,
            degree_lng_m: DEGREE_M * lat.to_radians().cos().max(0.01),
        }
    }

    /// A place on the map.
    pub fn point(&self, place: LatLng) -> Point {
        Point {
            // A region may lie across the line where 180 degrees east meet 180 west.
            x_m: ((place.lng() - self.lng + 540.0).rem_euclid(360.0) - 180.0) * self.degree_lng_m,
            y_m: (place.lat() - self.lat) * DEGREE_M,
        }
    }

    /// The place of a point; `None` off the globe.
    pub fn place(&self, point: Point) -> Option<LatLng> {
        LatLng::new(
            self.lat + point.y_m / DEGREE_M,
            (self.lng + point.x_m / self.degree_lng_m + 540.0).rem_euclid(360.0) - 180.0,
        )
        .ok()
    }
}
