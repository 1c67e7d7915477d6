//! Configuration files of hub and nodes, written for one run: the region's own file, with addresses, directories, keys
//! and clock changed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tomato_shared::cell::{CellSet, LatLng, RegionId};
use toml::{Table, Value};

use crate::city::clock::Clock;
use crate::city::world::Ground;
use crate::tokens::{AUDIENCE, ISSUER, Issuer};

/// The regions that come with the project, in the order in which `tomato-up` starts them.
const REGIONS: [(&str, &str); 6] = [
    ("blr", include_str!("../../config/regions/blr.toml")),
    ("hyd", include_str!("../../config/regions/hyd.toml")),
    ("maa", include_str!("../../config/regions/maa.toml")),
    ("bom", include_str!("../../config/regions/bom.toml")),
    ("del", include_str!("../../config/regions/del.toml")),
    ("pnq", include_str!("../../config/regions/pnq.toml")),
];

/// Most regions that [`RegionFile::first`] gives.
pub const REGIONS_MAX: usize = REGIONS.len();

/// A region's configuration, to be changed before it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionFile(Table);

impl RegionFile {
    /// One of the regions that come with the project, as `blr`, without limits on callers: a simulation's hours pass in
    /// seconds, and a whole city calls from one address.
    pub fn named(id: &str) -> Self {
        let found = REGIONS.iter().find(|(name, _)| *name == id);
        let (_, text) = found.unwrap_or_else(|| panic!("config/regions has no {id}"));
        let file = Self(text.parse().expect("config/regions holds TOML"));
        let callers = [
            "customer",
            "restaurant",
            "driver",
            "operator",
            "service",
            "anonymous",
            "positions",
        ];
        let file = callers
            .iter()
            .fold(file, |file, caller| file.set(&format!("http.rate.{caller}_per_min"), 0));
        file.set("http.concurrent_max", 100_000)
    }

    /// The first so many regions that come with the project.
    pub fn first(count: usize) -> Vec<Self> {
        REGIONS.iter().take(count).map(|(id, _)| Self::named(id)).collect()
    }

    /// Sets a value by its dotted path, as `dispatch.radius_m`; tables on the way are made.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        set(&mut self.0, path, value.into());
        self
    }

    /// Takes a value or a whole table out, if it is there.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        let (above, last) = path.rsplit_once('.').unwrap_or(("", path));
        let mut steps = above.split('.').filter(|step| !step.is_empty());
        let table = steps.try_fold(&mut self.0, |table, step| table.get_mut(step)?.as_table_mut());
        if let Some(table) = table {
            table.remove(last);
        }
        self
    }

    /// Relaxes what measures the distance between two machines rather than human time: when region time runs `rate`
    /// times as fast, a second on the wire is `rate` seconds of it. What the file says already is never made shorter.
    #[must_use]
    pub fn for_rate(self, rate: f64) -> Self {
        let rules = [
            ("dispatch.offer_ttl_ms", 30_000, 1.5, 600_000),
            ("dispatch.position_age_max_ms", 60_000, 5.0, 3_600_000),
            ("orders.accept_within_ms", 300_000, 4.0, 3_600_000),
            ("cancelling.free_after_accept_ms", 60_000, 4.0, 3_600_000),
        ];
        rules
            .into_iter()
            .fold(self, |file, (path, default_ms, real_s, most_ms)| {
                let set_ms = file.find(path).and_then(Value::as_integer).unwrap_or(default_ms);
                file.set(path, set_ms.max((real_s * 1_000.0 * rate) as i64).min(most_ms))
            })
    }

    /// The region's name.
    pub fn region(&self) -> RegionId {
        self.get("region.id")
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("a region file has an id")
    }

    /// Where the region is, and the cells it owns.
    pub fn ground(&self) -> Ground {
        let number = |path: &str| self.get(path).as_float().unwrap_or_default();
        let centre = LatLng::new(number("region.centre.lat"), number("region.centre.lng")).expect("a centre on earth");
        let rings = self
            .get("region.rings")
            .as_integer()
            .and_then(|rings| u32::try_from(rings).ok())
            .unwrap_or(0);
        Ground {
            region: self.region(),
            centre,
            cells: CellSet::disk(centre, rings),
        }
    }

    fn find(&self, path: &str) -> Option<&Value> {
        let mut steps = path.split('.');
        let first = steps.next().and_then(|step| self.0.get(step));
        steps.fold(first, |value, step| value.and_then(|value| value.get(step)))
    }

    fn get(&self, path: &str) -> &Value {
        self.find(path)
            .unwrap_or_else(|| panic!("the region file has no {path}"))
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

/// Addresses of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodePorts {
    pub http: SocketAddr,
    pub admin: SocketAddr,
    pub nats: SocketAddr,
}

/// Addresses of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubPorts {
    pub http: SocketAddr,
    pub nats: SocketAddr,
    pub leaf: SocketAddr,
}

/// What all processes of a system share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared<'a> {
    pub(crate) issuer: &'a Issuer,
    pub(crate) clock: Clock,
    pub(crate) log_filter: &'a str,
}

/// A node's file. `leaf`: the table that `tomato-hub region add` has written; none: the region stands alone.
pub(crate) fn node(file: RegionFile, folder: &Path, ports: NodePorts, shared: Shared<'_>) -> RegionFile {
    file.set("data_dir", text(folder))
        .set("region.public_url", format!("http://{}", ports.http))
        .set("http.listen", ports.http.to_string())
        .set("admin.listen", ports.admin.to_string())
        .set("auth.audience", AUDIENCE)
        .set("auth.issuers", issuers(shared))
        .set("broker.server.binary", text(&nats_server()))
        .set("broker.server.host", ports.nats.ip().to_string())
        .set("broker.server.port", i64::from(ports.nats.port()))
        .set("clock.rate", shared.clock.rate)
        .set("clock.epoch", shared.clock.epoch.to_string())
        .set("log.filter", shared.log_filter)
}

/// The hub's file.
pub(crate) fn hub(folder: &Path, ports: HubPorts, shared: Shared<'_>) -> RegionFile {
    RegionFile(Table::new())
        .set("data_dir", text(folder))
        .set("http.listen", ports.http.to_string())
        .set("auth.audience", AUDIENCE)
        .set("auth.issuers", issuers(shared))
        .set("broker.server.binary", text(&nats_server()))
        .set("broker.server.host", ports.nats.ip().to_string())
        .set("broker.server.port", i64::from(ports.nats.port()))
        .set("broker.leaf.host", ports.leaf.ip().to_string())
        .set("broker.leaf.port", i64::from(ports.leaf.port()))
        .set("access.everyone", "admin")
        // Clocks that run fast on purpose are no alert.
        .set("alerts.clock_skew_s", if shared.clock.rate > 1.0 { 0 } else { 30 })
        .set("log.filter", shared.log_filter)
}

/// The nats-server of this checkout where there is one, else whatever `PATH` has.
fn nats_server() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/nats-server");
    installed
        .canonicalize()
        .unwrap_or_else(|_| PathBuf::from("nats-server"))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            let inner = inner.as_table_mut().unwrap_or_else(|| panic!("{first} is not a table"));
            set(inner, rest, value);
        }
    }
}

/// The one issuer that node and hub trust.
fn issuers(shared: Shared<'_>) -> Vec<Value> {
    let mut issuer = Table::new();
    issuer.insert("issuer".into(), ISSUER.into());
    issuer.insert("jwks_file".into(), text(shared.issuer.jwks_file()).into());
    vec![Value::Table(issuer)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_do_not_share_cells() {
        let grounds: Vec<_> = RegionFile::first(REGIONS_MAX).iter().map(RegionFile::ground).collect();
        for (number, ground) in grounds.iter().enumerate() {
            assert_eq!(ground.cells.len(), 61, "{}", ground.region);
            let shared = |other: &Ground| {
                ground
                    .cells
                    .iter()
                    .any(|cell| other.cells.iter().any(|theirs| theirs == cell))
            };
            assert!(!grounds[number + 1..].iter().any(shared), "{}", ground.region);
        }
    }

    #[test]
    fn values_are_set_by_path_and_read_back() {
        let file = RegionFile::named("blr")
            .set("dispatch.radius_m", 5_000)
            .set("region.rings", 2)
            .for_rate(60.0);
        let again = RegionFile(file.text().parse().unwrap());
        assert_eq!(again, file);
        assert_eq!(again.get("dispatch.radius_m").as_integer(), Some(5_000));
        assert_eq!(again.get("dispatch.offer_ttl_ms").as_integer(), Some(90_000));
        assert_eq!(again.ground().cells.len(), 19);
        assert_eq!(again.region().as_str(), "blr");
        assert!(!again.clone().without("broker.leaf").text().contains("hub_urls"));
        assert_eq!(again.clone().without("no.such.thing"), again);
    }
}
