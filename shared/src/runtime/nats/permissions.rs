//! What a region's link may send into the hub and receive from it. Enforced at the hub, whatever the region does.
//!
//! The list was found by tracing leaf connections and is verified as a set by the tests of this folder. Denied means
//! silence (no responders, a time-out), never an error at the sender.

use crate::cell::RegionId;
use crate::subject;

/// Subjects by direction, as seen from the region.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeafPermissions {
    /// What the region may send into the hub's account.
    pub publish: Vec<String>,
    /// What it may receive from there.
    pub subscribe: Vec<String>,
}

/// The allow-list of region `r`. Our own subjects come from [`crate::subject`]; those of JetStream are the server's.
pub fn leaf_permissions(r: &RegionId) -> LeafPermissions {
    let publish = vec![
        // Deliveries of the hub's sourcing consumer on EV_<r>.
        format!("{}.>", subject::source_delivery(r)),
        subject::heartbeat(r),
        subject::locations(r),
        // tomato.cmd.<to>.<from>.<verb>: may ask anybody, never in another's name.
        subject::commands_from(r),
        // Answers: to the hub, and to other regions. A region may subscribe to its own inbox only.
        "_INBOX.>".into(),
        // The directory: open it and read a key. No consumer, as for a mirror: the hub's server would deliver for the region to
        // any subject, also to those on which only the hub may speak.
        "$JS.hub.API.STREAM.INFO.KV_directory".into(),
        "$JS.hub.API.DIRECT.GET.KV_directory.>".into(),
        // Answers to the hub's set-up of a source.
        "$JSC.R.*".into(),
    ];
    let subscribe = vec![
        // The hub's sourcing of EV_<r>, and nothing else of this region's JetStream.
        format!("$JS.{r}.API.CONSUMER.CREATE.EV_{r}"),
        format!("$JS.{r}.API.CONSUMER.CREATE.EV_{r}.>"),
        format!("$JS.{r}.API.CONSUMER.RESET.EV_{r}.*"),
        format!("$JS.{r}.API.STREAM.INFO.EV_{r}"),
        format!("$JS.FC.EV_{r}.>"),
        format!("$JS.FC.{r}.>"),
        "$JSC.R.*".into(),
        subject::commands_to(r),
        subject::control(r),
        subject::control_all(),
        format!("{}.>", subject::inbox(r)),
    ];
    LeafPermissions { publish, subscribe }
}
