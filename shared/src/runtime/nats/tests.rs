//! Options and generated text here; the real server in `live`.

use std::path::Path;

use super::super::config::{Faults, Validate};
use super::*;

mod bench;
mod live;
mod process;

fn faults(value: &impl Validate) -> Vec<String> {
    let mut faults = Faults::default();
    value.validate(&mut faults);
    faults.paths().map(str::to_owned).collect()
}

fn region_of(text: &str) -> RegionBroker {
    toml::from_str(text).unwrap()
}

#[test]
fn defaults_are_valid_and_unknown_options_are_not() {
    assert!(faults(&RegionBroker::default()).is_empty());
    assert!(faults(&HubBroker::default()).is_empty());
    assert_eq!(region_of("").server.binary, Path::new("nats-server"));
    for wrong in [
        "modus = 1",
        "[server]\nprot = 1",
        "[leaf]\nhub_urls = []",
        "mode = \"other\"",
    ] {
        assert!(toml::from_str::<RegionBroker>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn contradictions_are_faults() {
    let leaf = |urls: &str| faults(&region_of(&format!("[leaf]\nseed_file = \"x\"\nhub_urls = {urls}")));
    for fine in ["nats-leaf://h:1", "tls://h:1", "wss://h"] {
        assert!(leaf(&format!("[\"{fine}\"]")).is_empty(), "{fine}");
    }
    assert_eq!(leaf("[]"), ["leaf.hub_urls"]);
    assert_eq!(
        leaf(r#"["http://h:1", "tls://"]"#),
        ["leaf.hub_urls.0", "leaf.hub_urls.1"]
    );
    assert_eq!(leaf(r#"["tls://h:1", "wss://h:1"]"#), ["leaf.hub_urls"]);
    assert_eq!(faults(&region_of("mode = \"external\"")), ["url"]);
    assert_eq!(faults(&region_of("url = \"nats://h:1\"")), ["url"]);
    assert!(faults(&region_of("mode = \"external\"\nurl = \"nats://a:1, tls://b:1\"")).is_empty());
    let server = "[server]\nport = 0\nmonitor_port = 0\nmax_file_store_bytes = 5";
    assert_eq!(
        faults(&region_of(server)),
        ["server.port", "server.max_file_store_bytes"]
    );
    let hub: HubBroker = toml::from_str("[leaf]\ntls_cert_file = \"c\"\nport = 5\nwebsocket_port = 5").unwrap();
    assert_eq!(faults(&hub), ["leaf.tls_key_file", "leaf.websocket_port"]);
}

#[test]
fn passwords_do_not_show() {
    let access = BrokerAccess {
        url: "nats://h:1".into(),
        user: None,
        password: Some(Secret::new("hidden")),
    };
    assert!(!format!("{access:?}").contains("hidden"));
}

#[test]
fn only_what_carries_its_own_name_may_be_sent_or_received() {
    let allowed = leaf_permissions(&"blr".parse().unwrap());
    let shared = ["_INBOX.>", "$JSC.R.*", "tomato.ctl.all.>"];
    for subject in allowed.publish.iter().chain(&allowed.subscribe) {
        let own = subject.split(['.', '_', '-']).any(|token| token == "blr");
        assert!(
            own || shared.contains(&subject.as_str()) || subject.contains("KV_directory"),
            "{subject}"
        );
    }
    assert!(
        !allowed.subscribe.contains(&"_INBOX.>".into()),
        "answers to others stay theirs"
    );
}
