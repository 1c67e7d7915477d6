//! Every NATS subject, stream, bucket and consumer name. Nothing else builds or parses one.
//!
//! Tokens come from [`RegionId`] and from fixed words, so no text from outside can add a token or a wildcard.
//! Order ids are not part of subjects: a subject per order would cost the server memory for each.

use crate::cell::RegionId;

/// First token of every subject.
const PREFIX: &str = "tomato";
/// Stream of the hub that sources every region's stream.
pub const HUB_STREAM: &str = "HUB_EVENTS";
/// Durable consumer by which the hub reads [`HUB_STREAM`].
pub const HUB_CONSUMER: &str = "ingest";
/// JetStream domain of the hub's server.
pub const HUB_DOMAIN: &str = "hub";
/// Bucket that says which region owns which cells.
pub const DIRECTORY_BUCKET: &str = "directory";
/// Key of the newest map in [`DIRECTORY_BUCKET`]: a [`crate::directory::Map`].
pub const MAP_KEY: &str = "map";
/// Inbox prefix of the hub's process.
pub const HUB_INBOX: &str = "_INBOX.hub";
/// Header with the W3C trace context.
pub const HEADER_TRACE: &str = "traceparent";
/// Header with `<event name>/<envelope version>`.
pub const HEADER_SCHEMA: &str = "x-schema";
/// Header with the [`crate::sync::mark`] of the event before, so that a reader sees that it continues what it has.
pub const HEADER_FOLLOWS: &str = "x-follows";
/// Header that the server adds to sourced messages.
pub const HEADER_STREAM_SOURCE: &str = "Nats-Stream-Source";

/// Stream of a region, and its only stream.
pub fn region_stream(region: &RegionId) -> String {
    format!("EV_{region}")
}

/// All events of a region.
pub fn events(region: &RegionId) -> String {
    format!("{PREFIX}.ev.{region}.>")
}

/// One event of a region; `name` is [`crate::event::Event::name`].
pub fn event(region: &RegionId, name: &str) -> String {
    format!("{PREFIX}.ev.{region}.{name}")
}

/// JetStream API of a region as seen from the hub.
pub fn region_api(region: &RegionId) -> String {
    format!("$JS.{region}.API")
}

/// Where a region's server delivers sourced messages to the hub.
pub fn source_delivery(region: &RegionId) -> String {
    format!("{PREFIX}.src.{region}")
}

/// A region's sign of life, [`crate::sync::Heartbeat`].
pub fn heartbeat(region: &RegionId) -> String {
    format!("{PREFIX}.hb.{region}")
}

/// All heartbeats.
pub fn heartbeats() -> String {
    format!("{PREFIX}.hb.*")
}

/// How far the hub has applied a region, [`crate::sync::Watermark`].
pub fn watermark(region: &RegionId) -> String {
    format!("{PREFIX}.ctl.{region}.watermark")
}

/// The hub gives a region a document that it does not have yet, a [`crate::control::Edition`].
pub fn edition(region: &RegionId) -> String {
    format!("{PREFIX}.ctl.{region}.edition")
}

/// The hub asks a region for rows of its outbox, [`crate::sync::RepairRequest`].
pub fn repair(region: &RegionId) -> String {
    format!("{PREFIX}.cmd.{region}.hub.repair")
}

/// The hub asks where a region's drivers are, while somebody looks at them, [`crate::sync::PositionsReply`].
pub fn positions(region: &RegionId) -> String {
    format!("{PREFIX}.cmd.{region}.hub.positions")
}

/// A region asks another for what comes along with cells, [`crate::sync::ParcelRequest`].
pub fn parcel(from: &RegionId, asker: &RegionId) -> String {
    format!("{PREFIX}.cmd.{from}.{asker}.parcel")
}

/// Every such request to a region.
pub fn parcels_of(region: &RegionId) -> String {
    format!("{PREFIX}.cmd.{region}.*.parcel")
}

/// The hub asks a region for hashes of its rows, [`crate::verify::VerifyRequest`].
pub fn verify(region: &RegionId) -> String {
    format!("{PREFIX}.cmd.{region}.hub.verify")
}

/// All requests to a region: `tomato.cmd.<to>.<from>.<verb>`.
pub fn commands_to(region: &RegionId) -> String {
    format!("{PREFIX}.cmd.{region}.>")
}

/// All requests in a region's name, to whomever.
pub fn commands_from(region: &RegionId) -> String {
    format!("{PREFIX}.cmd.*.{region}.>")
}

/// What one region asks another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerVerb {
    /// A request of an app, to be answered by its owner.
    Http,
    /// Whose something is.
    Whose,
    /// A driver goes over.
    Driver,
    /// A driver is wanted for one delivery.
    Loan,
}

impl PeerVerb {
    const fn token(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Whose => "whose",
            Self::Driver => "driver",
            Self::Loan => "loan",
        }
    }
}

/// One region asks another; the broker lets nobody ask in another's name.
pub fn peer(to: &RegionId, from: &RegionId, verb: PeerVerb) -> String {
    format!("{PREFIX}.cmd.{to}.{from}.{}", verb.token())
}

/// What all other regions ask a region.
pub fn peers_to(region: &RegionId, verb: PeerVerb) -> String {
    format!("{PREFIX}.cmd.{region}.*.{}", verb.token())
}

/// The region that sends a request; `None` for the hub, and for other subjects. The hub's server lets a region ask in its
/// own name only.
pub fn asker(subject: &str) -> Option<RegionId> {
    let rest = subject.strip_prefix(PREFIX)?.strip_prefix(".cmd.")?;
    rest.split('.').nth(1)?.parse().ok()
}

/// Everything that the hub tells one region.
pub fn control(region: &RegionId) -> String {
    format!("{PREFIX}.ctl.{region}.>")
}

/// Everything that the hub tells all regions.
pub fn control_all() -> String {
    format!("{PREFIX}.ctl.all.>")
}

/// The hub says which version of the map is the newest, [`crate::sync::Newest`]; the map itself is in the bucket.
pub fn newest() -> String {
    format!("{PREFIX}.ctl.all.newest")
}

/// Live positions of a region's drivers, one message per batch; never stored.
pub fn locations(region: &RegionId) -> String {
    format!("{PREFIX}.loc.{region}")
}

/// Inbox prefix of a region's process.
pub fn inbox(region: &RegionId) -> String {
    format!("_INBOX.{region}")
}

/// The region in the third token of a heartbeat's subject; `None` for any other subject.
pub fn heartbeat_region(subject: &str) -> Option<RegionId> {
    let rest = subject.strip_prefix(PREFIX)?.strip_prefix(".hb.")?;
    rest.parse().ok()
}

/// Where a message of the hub's stream comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The region whose stream it was sourced from.
    pub region: RegionId,
    /// Its sequence there.
    pub seq: u64,
}

/// Parses [`HEADER_STREAM_SOURCE`]: `EV_blr:<hash> 42 <filter> ...`. The server writes this header, so unlike the
/// subject it cannot be forged by a region.
pub fn origin(header: &str) -> Option<Origin> {
    let mut words = header.split(' ');
    let stream = words.next()?.split(':').next()?;
    Some(Origin {
        region: stream.strip_prefix("EV_")?.parse().ok()?,
        seq: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_have_the_region_as_third_token() {
        let blr: RegionId = "blr".parse().unwrap();
        for subject in [
            events(&blr),
            event(&blr, "order.created"),
            source_delivery(&blr),
            heartbeat(&blr),
            watermark(&blr),
            edition(&blr),
            repair(&blr),
            positions(&blr),
            locations(&blr),
        ] {
            assert_eq!(subject.split('.').nth(2), Some("blr"), "{subject}");
        }
        assert_eq!(heartbeat_region(&heartbeat(&blr)), Some(blr.clone()));
        assert_eq!(heartbeat_region("tomato.ev.blr"), None);
        assert_eq!(heartbeat_region("tomato.hb.blr.x"), None);
        let mys: RegionId = "mys".parse().unwrap();
        assert_eq!(asker(&parcel(&blr, &mys)), Some(mys));
    }

    #[test]
    fn who_asks_stands_in_the_subject() {
        let (blr, hyd): (RegionId, RegionId) = ("blr".parse().unwrap(), "hyd".parse().unwrap());
        let subject = peer(&hyd, &blr, PeerVerb::Http);
        assert_eq!(subject, "tomato.cmd.hyd.blr.http");
        assert_eq!(asker(&subject), Some(blr));
        assert_eq!(peers_to(&hyd, PeerVerb::Whose), "tomato.cmd.hyd.*.whose");
        assert_eq!(asker(&repair(&hyd)), None, "the hub is no region");
        assert_eq!(asker("tomato.ev.hyd.blr.http"), None);
    }

    #[test]
    fn origin_is_read_from_the_servers_header() {
        let found = origin("EV_blr:Nq2Gvb9d 17 > > tomato.ev.blr.order.ready aXbY").unwrap();
        assert_eq!((found.region.as_str(), found.seq), ("blr", 17));
        for bad in ["", "EV_blr", "EV_blr: x", "OTHER:abc 1", "EV_b.c:1 2"] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }
}
