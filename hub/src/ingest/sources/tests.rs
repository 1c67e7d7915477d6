use super::*;
use tomato_shared::sync::Heartbeat;
use tomato_shared::time::UnixMs;

fn with(sources: Vec<Source>, max_bytes: i64) -> Config {
    Config {
        sources: Some(sources),
        max_bytes,
        ..Config::default()
    }
}

#[test]
fn stream_follows_the_registry_and_present_sources_stay() {
    let of = |names: &[&str]| {
        names
            .iter()
            .map(|name| source(&name.parse().unwrap()))
            .collect::<Vec<_>>()
    };
    let mut present = with(of(&["ams", "ber"]), 5);
    if let Some(first) = present.sources.as_mut().and_then(|sources| sources.first_mut()) {
        first.filter_subject = Some("as the server wrote it".into());
    }
    assert_eq!(reconciled(&present, with(of(&["ams", "ber"]), 5)), None);
    let bytes = reconciled(&present, with(of(&["ams", "ber"]), 6)).unwrap();
    assert_eq!((bytes.max_bytes, &bytes.sources), (6, &present.sources));
    let changed = reconciled(&present, with(of(&["ams", "blr"]), 5))
        .unwrap()
        .sources
        .unwrap();
    let names: Vec<&str> = changed.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["EV_ams", "EV_blr"]);
    assert_eq!(Some(&changed[0]), present.sources.unwrap().first());
    let external = changed[1].external.as_ref().unwrap();
    assert_eq!(external.api_prefix, "$JS.blr.API");
    assert_eq!(external.delivery_prefix.as_deref(), Some("tomato.src.blr"));
    assert_eq!(
        reconciled(&Config::default(), with(Vec::new(), 0)),
        None,
        "the server leaves an empty list out"
    );
}

#[test]
fn only_a_live_region_with_news_and_a_silent_source_is_kicked() {
    let now = Instant::now() + Duration::from_secs(1_000);
    let ago = |seconds| now.checked_sub(Duration::from_secs(seconds));
    let case = |heard_s, published_seq, behind_s, silent_s: Option<u64>| {
        let beat = Heartbeat {
            incarnation: 1,
            head_seq: 50,
            published_seq,
            ..Heartbeat::default()
        };
        let region = Now {
            heard: Some(live::Heard {
                beat,
                received_at: UnixMs(0),
                received: ago(heard_s),
            }),
            cursor: crate::store::regions::Cursor {
                incarnation: 1,
                seq: 40,
                at: UnixMs(0),
            },
            behind_since: ago(behind_s),
            advanced: None,
            agreed_seq: None,
            gap: None,
            source: Some(live::Source {
                silent: silent_s.map(Duration::from_secs),
            }),
            edition: 0,
        };
        sleeps(&region, now)
    };
    assert!(case(1, 50, 5, Some(11)));
    assert!(case(1, 50, 5, None), "never heard of");
    assert!(!case(7, 50, 5, Some(11)), "the node may be away");
    assert!(!case(1, 40, 5, Some(11)), "the region's own stream is behind, too");
    assert!(!case(1, 50, 0, Some(11)), "on its way");
    assert!(!case(1, 50, 5, Some(1)), "the source moves");
}
