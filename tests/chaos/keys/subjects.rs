//! What is tried with a region's key: subjects to publish on, to listen to, and requests.

use tomato_shared::cell::RegionId;
use tomato_shared::subject;

/// What the owner of the key may send.
pub(super) fn own(mine: &RegionId, theirs: &RegionId) -> Vec<String> {
    vec![
        subject::heartbeat(mine),
        subject::locations(mine),
        format!("tomato.cmd.{theirs}.{mine}.ping"),
        format!("tomato.cmd.hub.{mine}.ping"),
    ]
}

/// What nobody with that key may send.
pub(super) fn foreign(mine: &RegionId, theirs: &RegionId) -> Vec<String> {
    let ours = [
        subject::watermark(theirs),
        format!("tomato.ctl.{theirs}.directory"),
        "tomato.ctl.all.directory".into(),
        format!("tomato.ctl.{mine}.{theirs}"),
        subject::heartbeat(theirs),
        "tomato.hb.hub".into(),
        subject::locations(theirs),
        subject::event(theirs, "order.created"),
        subject::event(theirs, "payment.completed"),
        format!("{}.x", subject::source_delivery(theirs)),
        format!("tomato.dlv.{theirs}.x"),
        subject::repair(theirs),
        format!("tomato.cmd.{mine}.hub.repair-not"),
        format!("tomato.cmd.{mine}.{theirs}.accept"),
        format!("tomato.cmd.hub.{theirs}.accept"),
        format!("tomato.cmd.{theirs}.{theirs}.accept"),
        format!("tomato.cmd.{theirs}"),
        "tomato".into(),
        "tomato.x".into(),
        "anything".into(),
        format!("$KV.directory.region.{theirs}"),
        "$JS.FC.EV_".to_owned() + theirs.as_str() + ".x",
    ];
    let system = [
        "$SYS.REQ.SERVER.PING",
        "$SYS.ACCOUNT.APP.CONNS",
        "$SYS.REQ.ACCOUNT.APP.CLAIMS.UPDATE",
        "$SYS.REQ.CLAIMS.UPDATE",
        "$KV.directory.cell.1",
        "$O.files.C.x",
        "$JS.EVENT.ADVISORY.STREAM.DELETED.HUB_EVENTS",
        "$JS.ACK.HUB_EVENTS.ingest.1.1.1.1.1",
    ];
    ours.into_iter().chain(system.map(str::to_owned)).collect()
}

/// What nobody with that key may hear.
pub(super) fn ears(theirs: &RegionId) -> Vec<String> {
    let patterns = [
        ">",
        "*",
        "*.>",
        "tomato.>",
        "tomato.*.>",
        "tomato.ctl.>",
        "tomato.ctl.*.>",
        "tomato.hb.*",
        "tomato.hb.>",
        "tomato.loc.>",
        "tomato.cmd.>",
        "tomato.ev.>",
        "tomato.src.>",
        "tomato.dlv.>",
        "_INBOX.>",
        "_INBOX.hub.>",
        "$SYS.>",
        "$JS.>",
        "$JS.hub.>",
        "$KV.>",
        "$O.>",
    ];
    let named = [
        subject::control(theirs),
        subject::watermark(theirs),
        subject::heartbeat(theirs),
        subject::locations(theirs),
        subject::commands_to(theirs),
        subject::commands_from(theirs),
        subject::events(theirs),
        format!("{}.>", subject::source_delivery(theirs)),
        format!("{}.>", subject::inbox(theirs)),
        format!("{}.>", subject::region_api(theirs)),
    ];
    patterns.into_iter().map(str::to_owned).chain(named).collect()
}

/// What the hub and the other region say while somebody listens: something under every foreign pattern.
pub(super) fn spoken(theirs: &RegionId) -> (Vec<String>, Vec<String>) {
    let hub = vec![
        format!("tomato.ctl.{theirs}.x"),
        format!("tomato.cmd.{theirs}.hub.x"),
        format!("{}.x", subject::HUB_INBOX),
        format!("{}.x", subject::inbox(theirs)),
        "$KV.nothing.x".into(),
        "$O.nothing.x".into(),
        "tomato.ev.x.order.created".into(),
        format!("{}.x", subject::source_delivery(theirs)),
        format!("tomato.dlv.{theirs}.x"),
        "anything".into(),
    ];
    let other = vec![
        subject::heartbeat(theirs),
        subject::locations(theirs),
        format!("tomato.cmd.hub.{theirs}.x"),
        format!("{}.x", subject::HUB_INBOX),
        format!("{}.x", subject::source_delivery(theirs)),
    ];
    (hub, other)
}

/// Requests of JetStream's API, with bodies with which they would succeed. `local`: where the key is used at the hub itself,
/// whose API has no domain there.
pub(super) fn requests(theirs: &RegionId, local: bool) -> Vec<(String, String)> {
    let hub = format!("$JS.{}.API", subject::HUB_DOMAIN);
    let mut all = operations(&hub, subject::HUB_STREAM, subject::HUB_CONSUMER);
    all.extend(operations(
        &subject::region_api(theirs),
        &subject::region_stream(theirs),
        "any",
    ));
    if local {
        all.extend(operations("$JS.API", subject::HUB_STREAM, subject::HUB_CONSUMER));
    }
    let bucket = format!("KV_{}", subject::DIRECTORY_BUCKET);
    let mirror = format!("mirror-{theirs}");
    let of_bucket = operations(&hub, &bucket, &mirror).into_iter().filter(|(subject, _)| {
        // Opening and mirroring the directory is every region's right.
        !subject.contains(".CONSUMER.CREATE.")
            && !subject.contains(".STREAM.INFO.")
            && !subject.contains(".DIRECT.GET.")
    });
    all.extend(of_bucket);
    for key in [
        format!("region.{theirs}"),
        "region.hub".into(),
        "cell.1".into(),
        "x".into(),
    ] {
        all.push((
            format!("{hub}.$KV.{}.{key}", subject::DIRECTORY_BUCKET),
            "forged".into(),
        ));
    }
    all
}

fn operations(api: &str, stream: &str, consumer: &str) -> Vec<(String, String)> {
    let push = format!(
        r#"{{"stream_name":"{stream}","config":{{"durable_name":"thief","deliver_subject":"_INBOX.blr.loot","ack_policy":"none"}}}}"#
    );
    let all = [
        ("INFO".to_owned(), String::new()),
        ("STREAM.NAMES".into(), String::new()),
        ("STREAM.LIST".into(), String::new()),
        (format!("STREAM.INFO.{stream}"), String::new()),
        (
            "STREAM.CREATE.LOOT".into(),
            r#"{"name":"LOOT","subjects":["loot"]}"#.into(),
        ),
        (
            format!("STREAM.UPDATE.{stream}"),
            format!(r#"{{"name":"{stream}","max_msgs":1}}"#),
        ),
        (format!("STREAM.PURGE.{stream}"), String::new()),
        (format!("STREAM.MSG.GET.{stream}"), r#"{"seq":1}"#.into()),
        (format!("STREAM.MSG.DELETE.{stream}"), r#"{"seq":1}"#.into()),
        (format!("DIRECT.GET.{stream}"), r#"{"seq":1}"#.into()),
        (
            format!("STREAM.SNAPSHOT.{stream}"),
            r#"{"deliver_subject":"_INBOX.blr.loot"}"#.into(),
        ),
        (format!("STREAM.RESTORE.{stream}"), "{}".into()),
        (format!("CONSUMER.CREATE.{stream}"), push.clone()),
        (format!("CONSUMER.DURABLE.CREATE.{stream}.thief"), push),
        (format!("CONSUMER.NAMES.{stream}"), String::new()),
        (format!("CONSUMER.LIST.{stream}"), String::new()),
        (format!("CONSUMER.INFO.{stream}.{consumer}"), String::new()),
        (
            format!("CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            r#"{"batch":1,"no_wait":true}"#.into(),
        ),
        (
            format!("CONSUMER.PAUSE.{stream}.{consumer}"),
            r#"{"pause_until":"2099-01-01T00:00:00Z"}"#.into(),
        ),
        (format!("CONSUMER.RESET.{stream}.{consumer}"), String::new()),
        (format!("CONSUMER.DELETE.{stream}.{consumer}"), String::new()),
        (format!("STREAM.DELETE.{stream}"), String::new()),
    ];
    all.map(|(operation, body)| (format!("{api}.{operation}"), body)).into()
}
