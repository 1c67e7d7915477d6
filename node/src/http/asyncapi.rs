//! What is sent without being asked for, as an AsyncAPI 3.0 document: the events and small messages of a region on NATS, and
//! the messages of the WebSocket.
//!
//! Subjects are made by `shared/subject.rs`, shapes are those of the types that are sent.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use tomato_shared::cell::RegionId;
use tomato_shared::control::Edition;
use tomato_shared::event::Envelope;
use tomato_shared::runtime::problem::Problem;
use tomato_shared::subject;
use tomato_shared::sync::{Heartbeat, PositionsReply, RepairReply, RepairRequest, Watermark};
use tomato_shared::verify::{VerifyReply, VerifyRequest};

use super::call::{Call, json};
use super::live::Control;
use crate::feed::frame::{Frame, LocationFrame};

/// As NATS messages are written.
const PACKED: &str = "application/msgpack";

const ABOUT: &str = "What a region tells without being asked. On NATS everything is MessagePack with the names given \
    here, where ids are 16 bytes, times are milliseconds since 1970 and cells are integers; events come from the \
    region's stream, in order and exactly once by their sequence, and readers skip names they do not know. On the \
    WebSocket it is JSON, or MessagePack of the same texts with the subprotocol `msgpack`; `?after=` a message's seq \
    resumes there. A socket tells of its own region: a driver or restaurant of another one, and whoever asks for `?order=` that \
    another one has, gets 421 with its `region_url` to connect to; pages, which cannot read that, ask the same path without an \
    upgrade. Through any node `GET /v1/events` with `Tomato-Region` tells the same to those who ask.";

static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(text()));

/// The document.
pub async fn read(_call: Call) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, TEXT.clone()))
}

/// The document as it is served and kept in the repository.
pub fn text() -> String {
    // A tree of strings and numbers always serialises.
    serde_json::to_string_pretty(&document()).unwrap_or_default() + "\n"
}

/// The whole document.
pub fn document() -> Value {
    // AsyncAPI reads draft 07 where nothing else is said.
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut built = Built {
        generator: settings.for_serialize().into_generator(),
        channels: Map::new(),
        operations: Map::new(),
        messages: Map::new(),
    };
    // A name that the subjects show in its place.
    let Ok(region) = "region".parse::<RegionId>() else {
        return Value::Null;
    };
    built.events(&region);
    built.small(&region);
    built.told(&region);
    built.live();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tomato region",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": PACKED,
        "servers": {
            "broker": {"host": "127.0.0.1:4222", "protocol": "nats", "description": "The region's nats-server."},
            "http": {"host": "127.0.0.1:8080", "protocol": "ws", "description": "The region's HTTP port."},
        },
        "channels": built.channels,
        "operations": built.operations,
        "components": {
            "messages": built.messages,
            "schemas": built.generator.take_definitions(true),
        },
    })
}

struct Built {
    generator: SchemaGenerator,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

impl Built {
    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// The forms of an enum whose tag is called `type`: tag, description, schema.
    fn forms<T: JsonSchema>(&mut self) -> Vec<(String, Value, Value)> {
        self.generator.subschema_for::<T>();
        let named = self.generator.definitions().get(T::schema_name().as_ref()).cloned();
        let forms = named.unwrap_or_default()["oneOf"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let shown = forms.into_iter().filter_map(|mut form| {
            let tag = form.pointer("/properties/type/const")?.as_str()?.to_owned();
            let about = form.as_object_mut()?.remove("description").unwrap_or_default();
            Some((tag, about, form))
        });
        shown.collect()
    }

    /// A channel with its messages: name, summary, payload.
    fn channel(&mut self, channel: &Channel<'_>, messages: Vec<(String, Value, Value)>) {
        let mut here = Map::new();
        let mut listed = Vec::new();
        for (name, summary, payload) in messages {
            let mut message = json!({"name": name, "contentType": channel.content, "payload": payload});
            if summary.is_string() {
                message["summary"] = summary;
            }
            if let Some(headers) = &channel.headers {
                message["headers"] = headers.clone();
            }
            here.insert(name.clone(), json!({"$ref": format!("#/components/messages/{name}")}));
            listed.push(json!({"$ref": format!("#/channels/{}/messages/{name}", channel.name)}));
            self.messages.insert(name, message);
        }
        let mut shown = json!({
            "address": channel.address,
            "servers": [{"$ref": format!("#/servers/{}", channel.server)}],
            "messages": here,
        });
        if channel.address.contains("{region}") {
            shown["parameters"] = json!({"region": {"description": "The region's name, as blr."}});
        }
        self.channels.insert(channel.name.to_owned(), shown);
        let operation = json!({
            "action": channel.action,
            "summary": channel.summary,
            "channel": {"$ref": format!("#/channels/{}", channel.name)},
            "messages": listed,
        });
        let action = format!("{}.{}", channel.action, channel.name);
        self.operations.insert(action, operation);
    }

    fn events(&mut self, region: &RegionId) {
        let envelope = self.schema::<Envelope>();
        for (name, about, form) in self.forms::<tomato_shared::event::Event>() {
            let address = template(&subject::event(region, &name));
            let payload = json!({"allOf": [envelope, {"properties": {"event": form}}]});
            let channel = Channel {
                summary: "Published once it is committed, in the order of its sequence.",
                headers: Some(event_headers(&name)),
                ..Channel::nats(&name, &address, "send")
            };
            self.channel(&channel, vec![(name.clone(), about, payload)]);
        }
    }

    fn small(&mut self, region: &RegionId) {
        let one = |name: &str, payload| vec![(name.to_owned(), Value::Null, payload)];
        let address = template(&subject::heartbeat(region));
        let channel = Channel {
            summary: "Every two seconds: how the region is.",
            ..Channel::nats("heartbeat", &address, "send")
        };
        let payload = self.schema::<Heartbeat>();
        self.channel(&channel, one("Heartbeat", payload));
        let address = template(&subject::watermark(region));
        let channel = Channel {
            summary: "From the hub: how far it has durably applied the region's events.",
            ..Channel::nats("watermark", &address, "receive")
        };
        let payload = self.schema::<Watermark>();
        self.channel(&channel, one("Watermark", payload));
        let address = template(&subject::repair(region));
        let channel = Channel {
            summary: "From the hub: it asks for events that it misses; the answer goes to the request's reply subject.",
            ..Channel::nats("repair", &address, "receive")
        };
        let payload = self.schema::<RepairRequest>();
        self.channel(&channel, one("RepairRequest", payload));
        let reply = self.schema::<RepairReply>();
        self.reply("repair", "RepairReply", &reply);
        let address = template(&subject::verify(region));
        let channel = Channel {
            summary: "From the hub: it asks for hashes of the region's rows, to compare them with its own.",
            ..Channel::nats("verify", &address, "receive")
        };
        let payload = self.schema::<VerifyRequest>();
        self.channel(&channel, one("VerifyRequest", payload));
        let reply = self.schema::<VerifyReply>();
        self.reply("verify", "VerifyReply", &reply);
        let address = template(&subject::positions(region));
        let channel = Channel {
            summary: "From the hub, while somebody looks: it asks where the drivers are. The request is empty.",
            ..Channel::nats("positions", &address, "receive")
        };
        self.channel(&channel, one("PositionsRequest", json!({"type": "null"})));
        let reply = self.schema::<PositionsReply>();
        self.reply("positions", "PositionsReply", &reply);
    }

    /// The answer of an operation, to the request's reply subject.
    fn reply(&mut self, operation: &str, name: &str, payload: &Value) {
        let message = json!({"name": name, "contentType": PACKED, "payload": payload});
        self.messages.insert(name.to_owned(), message);
        let reference = json!({"$ref": format!("#/components/messages/{name}")});
        self.channels.insert(
            format!("{operation}.reply"),
            json!({"address": null, "messages": {name: reference}}),
        );
        self.operations[&format!("receive.{operation}")]["reply"] = json!({
            "address": {"location": "$message.header#/replyTo"},
            "channel": {"$ref": format!("#/channels/{operation}.reply")},
            "messages": [{"$ref": format!("#/channels/{operation}.reply/messages/{name}")}],
        });
    }

    fn told(&mut self, region: &RegionId) {
        let address = template(&subject::edition(region));
        let channel = Channel {
            summary: "From the hub: fees, promotions, switches, a pause. Given again until a heartbeat says that it is in force.",
            ..Channel::nats("edition", &address, "receive")
        };
        let payload = self.schema::<Edition>();
        self.channel(&channel, vec![("Edition".to_owned(), Value::Null, payload)]);
    }

    fn live(&mut self) {
        let mut messages = self.forms::<Control>();
        for (name, payload) in [
            ("NEWS", self.schema::<Frame>()),
            ("DRIVER_LOCATION", self.schema::<LocationFrame>()),
        ] {
            messages.push((name.to_owned(), Value::Null, payload));
        }
        let channel = Channel {
            name: "live",
            address: "/v1/live",
            server: "http",
            action: "send",
            content: "application/json",
            summary: "HELLO, then what was missed or a SNAPSHOT, then news of the caller's own orders as it is committed.",
            headers: None,
        };
        self.channel(&channel, messages);
    }
}

struct Channel<'a> {
    name: &'a str,
    address: &'a str,
    server: &'static str,
    action: &'static str,
    content: &'static str,
    summary: &'static str,
    headers: Option<Value>,
}

impl<'a> Channel<'a> {
    fn nats(name: &'a str, address: &'a str, action: &'static str) -> Self {
        Self {
            name,
            address,
            server: "broker",
            action,
            content: PACKED,
            summary: "",
            headers: None,
        }
    }
}

/// A subject of the region `region`, with a parameter in its place.
fn template(subject: &str) -> String {
    subject.replacen("region", "{region}", 1)
}

fn event_headers(name: &str) -> Value {
    json!({
        "type": "object",
        "required": [subject::HEADER_SCHEMA],
        "properties": {
            subject::HEADER_SCHEMA: {"const": format!("{name}/{}", tomato_shared::event::ENVELOPE_VERSION)},
            subject::HEADER_TRACE: {"type": "string", "description": "W3C context of the request that caused it."},
        },
    })
}
