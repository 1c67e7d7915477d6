//! The AsyncAPI document, and that what is sent is what it says.

use std::sync::OnceLock;

use super::openapi::references;
use super::*;
use crate::http::asyncapi;

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(asyncapi::document)
}

/// `UPDATE=1` writes the file anew.
#[test]
fn the_kept_document_is_what_is_sent() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/asyncapi.json");
    if std::env::vars().any(|(name, _)| name == "UPDATE") {
        std::fs::write(path, asyncapi::text()).unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_default()).unwrap_or_default();
    assert!(
        &kept == document(),
        "run UPDATE=1 cargo test -p tomato-node asyncapi, and read the difference"
    );
}

/// What AsyncAPI 3.0 asks of the parts that the document has.
fn grammar() -> Value {
    let some = |schema: Value| json!({"type": "object", "minProperties": 1, "additionalProperties": schema});
    let link = || json!({"required": ["$ref"], "properties": {"$ref": {"type": "string"}}, "maxProperties": 1});
    json!({
        "type": "object", "required": ["asyncapi", "info", "channels", "operations"],
        "properties": {
            "asyncapi": {"const": "3.0.0"},
            "info": {"required": ["title", "version"]},
            "servers": some(json!({"required": ["host", "protocol"]})),
            "channels": some(json!({
                "required": ["address", "messages"], "additionalProperties": false,
                "properties": {
                    "address": {"type": ["string", "null"]}, "servers": {"items": link()}, "messages": some(link()),
                    "parameters": some(json!({"type": "object"})),
                },
            })),
            "operations": some(json!({
                "required": ["action", "channel", "messages"], "additionalProperties": false,
                "properties": {
                    "action": {"enum": ["send", "receive"]}, "summary": {"type": "string"}, "channel": link(),
                    "messages": {"minItems": 1, "items": link()}, "reply": {"required": ["channel", "messages"]},
                },
            })),
            "components": {"properties": {
                "messages": some(json!({"required": ["name", "contentType", "payload"]})),
                "schemas": some(json!({"type": "object"})),
            }},
        },
    })
}

#[test]
fn the_document_is_asyncapi_and_leads_nowhere_else() {
    let grammar = jsonschema::validator_for(&grammar()).unwrap();
    let faults: Vec<_> = grammar.iter_errors(document()).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let mut targets = Vec::new();
    references(document(), &mut targets);
    for target in targets {
        let pointer = target.strip_prefix('#').expect("all within the document");
        assert!(document().pointer(pointer).is_some(), "{target}");
    }
    let addresses = document()["channels"]
        .as_object()
        .unwrap()
        .values()
        .map(|channel| channel["address"].as_str());
    for address in addresses.flatten() {
        let known = address.starts_with("tomato.") && address.contains("{region}");
        assert!(known || address == "/v1/live", "{address}");
    }
}

/// Fails unless the message is one that the document has under this name.
pub(super) fn check_message(name: &str, message: &Value) {
    let payload = &document()["components"]["messages"][name]["payload"];
    assert!(payload.is_object(), "{name} is not described: {message:#}");
    let mut root = json!({"$schema": "http://json-schema.org/draft-07/schema#", "allOf": [payload]});
    root["components"] = document()["components"].clone();
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .unwrap();
    let faults: Vec<_> = validator
        .iter_errors(message)
        .map(|fault| format!("{fault} at {}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {faults:#?} in {message:#}");
}

/// A message of the live socket: control messages by their type, all others are news.
pub(super) fn check_live(message: &Value) {
    let kind = message["type"].as_str().unwrap_or_default();
    let known = document()["channels"]["live"]["messages"].get(kind).is_some();
    check_message(if known { kind } else { "NEWS" }, message);
}

#[tokio::test]
async fn events_are_published_as_described() {
    let rig = Rig::new();
    rig.seed().await;
    let customer = rig.customer(CUSTOMER);
    for (key, card) in [("k", "card_ok"), ("l", "card_declined")] {
        let mut body = basket();
        body["payment"] = json!({"method": "card", "card": card});
        let order = text(&rig.place(&customer, key, &body).await.expect(201).json["id"]);
        rig.post(&format!("/v1/orders/{order}/cancel"), &customer, json!({}))
            .await
            .expect(200);
    }
    rig.place(&customer, "m", &basket()).await.expect(201);
    let mut names = std::collections::BTreeSet::new();
    for envelope in published(&rig) {
        let name = envelope.event.name();
        check_message(name, &serde_json::to_value(&envelope).unwrap());
        let channel = document()["channels"][name]["address"]
            .as_str()
            .unwrap()
            .replace("{region}", "blr");
        assert_eq!(channel, tomato_shared::subject::event(&envelope.region, name));
        names.insert(name);
    }
    assert!(names.len() > 5, "{names:?}");
}

/// Every event of the region, as its readers decode it.
fn published(rig: &Rig) -> Vec<tomato_shared::event::Envelope> {
    let connection = store::pool::connect(&rig.directory.path().join("region.db")).unwrap();
    let mut statement = connection.prepare("SELECT payload FROM outbox ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let decode = |row: rusqlite::Result<Vec<u8>>| match tomato_shared::event::decode(&row.unwrap()).unwrap() {
        tomato_shared::event::Decoded::Known(envelope) => *envelope,
        tomato_shared::event::Decoded::Unknown(header) => panic!("{header:?}"),
    };
    rows.map(decode).collect()
}

#[tokio::test]
async fn a_trace_goes_on_in_the_events() {
    let rig = Rig::new();
    rig.seed().await;
    let customer = rig.customer(CUSTOMER);
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{id}-00f067aa0ba902b7-01");
    for (key, header, value) in [
        ("k", "traceparent", parent.as_str()),
        ("l", "X-Trace-ID", id),
        ("m", "X-Trace-ID", "?"),
    ] {
        let before = published(&rig).len();
        let request = ask("POST", "/v1/orders", &customer)
            .header("Idempotency-Key", key)
            .header(header, value);
        rig.send(with_json(request, &basket())).await.expect(201);
        let made = published(&rig).split_off(before);
        let traced = made
            .iter()
            .filter(|envelope| envelope.trace.as_ref().is_some_and(|trace| trace.contains(id)));
        assert_eq!(
            traced.count(),
            if value == "?" { 0 } else { made.len() },
            "{header}: {value}"
        );
        assert!(made.len() > 1);
    }
}
