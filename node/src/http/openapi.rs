//! [`ROUTES`] as an OpenAPI 3.1 document: what goes in, what comes out, and every problem that can come instead.
//!
//! Nothing here is written per route. Shapes and limits are those of the types that the handlers use, statuses and
//! codes those that the layer around the handlers and the domain can give.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use tomato_shared::id::{
    DeliveryId, DriverId, ItemId, MessageId, OfferId, OrderId, PaymentId, RefundId, RestaurantId, UserId, WebhookId,
};
use tomato_shared::rejection::Rejection;
use tomato_shared::runtime::jwt::TokenError;
use tomato_shared::runtime::problem::{Problem, ProblemBody};

use super::call::{Call, json};
use super::elsewhere::travels;
use super::table::{Access, Body, Class, Key, Param, ROUTES, Route, SchemaOf, Success};

mod headers;

/// Any JSON object.
#[derive(Debug, JsonSchema)]
#[schemars(inline)]
pub struct Document {}

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

/// The schema of a route's body, with all that it refers to under `$defs`.
pub fn body_of(route: &Route) -> Option<&'static Value> {
    static BODIES: LazyLock<BTreeMap<&str, Value>> = LazyLock::new(|| {
        let bodies = ROUTES.iter().filter_map(|route| {
            let Body::Json { schema, .. } = route.body else {
                return None;
            };
            let mut generator = SchemaSettings::draft2020_12().into_generator();
            let mut root = schema(&mut generator).to_value();
            root["$defs"] = generator.take_definitions(true).into();
            Some((route.name, root))
        });
        bodies.collect()
    });
    BODIES.get(route.name)
}

/// Codes that the layer around the handlers gives, by status; the domain's are added to them.
const CODES: &[(u16, &[&str])] = &[
    (
        400,
        &[
            "invalid_path",
            "invalid_query",
            "invalid_header",
            "invalid_body",
            "idempotency_key_missing",
        ],
    ),
    (401, &["token_missing", "token_subject_invalid"]),
    (403, &["wrong_region", "origin_refused"]),
    (404, &["nobody_serves"]),
    (405, &["method_not_allowed"]),
    (408, &["request_timeout"]),
    (409, &[]),
    (412, &[]),
    (413, &["payload_too_large"]),
    (414, &["uri_too_long"]),
    (415, &["unsupported_media_type"]),
    (421, &["misdirected"]),
    (422, &[]),
    (426, &["upgrade_required"]),
    (429, &["rate_limited", "too_many_sockets"]),
    (500, &["internal"]),
    (502, &["answer_not_handed_on"]),
    (
        503,
        &[
            "overloaded",
            "unavailable",
            "timeout",
            "region_unreachable",
            "region_silent",
        ],
    ),
];

/// Whether a route can give a problem of this status.
fn can_give(route: &Route, status: u16) -> bool {
    let public = route.access == Access::Public;
    let body = !matches!(route.body, Body::Ignored);
    match status {
        400 => !public || body || !route.params.is_empty() || route.path.contains('{') || travels(route),
        401 | 403 => !public,
        // A webhook of a provider that the region does not have is no path of it.
        404 => {
            !public
                || ["/v1/locate", "/v1/webhooks/", "{"]
                    .iter()
                    .any(|part| route.path.contains(part))
        }
        408 | 413 | 415 => body,
        409 => body || travels(route) && route.path.starts_with("/v1/drivers/"),
        412 | 422 => body,
        // What has gone to another region, or only another region does.
        421 => !public || travels(route),
        502 => travels(route),
        426 => matches!(route.access, Access::Socket(_)),
        // 405 is what the methods give that a path does not have.
        405 => false,
        _ => true,
    }
}

/// Types that requests have, and types that answers have. A type in both looks the same in both; a test holds this.
pub fn directions() -> (Map<String, Value>, Map<String, Value>) {
    let mut shapes = Shapes::new();
    shapes.paths();
    shapes.definitions()
}

/// The whole document.
pub fn document() -> Value {
    let mut shapes = Shapes::new();
    let paths = shapes.paths();
    let problem = shapes.of_output(|generator| generator.subschema_for::<ProblemBody>());
    let problems: Map<_, _> = CODES
        .iter()
        .map(|(status, codes)| (format!("Problem{status}"), problem_response(*status, codes, &problem)))
        .collect();
    let (mut schemas, written) = shapes.definitions();
    schemas.extend(written);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tomato region",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The region that serves this document."}],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problems,
            "headers": headers::headers(),
            "parameters": headers::parameters(),
            "securitySchemes": {"bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "A token of an issuer that the region trusts, with a role and the regions it is good for.",
            }},
        },
    })
}

const ABOUT: &str = "One region of Tomato. Errors are problem+json (RFC 9457); their `code` never changes its meaning. \
    Lists come in pages: send `next_cursor` of one page as `cursor` of the next. A command that is repeated with the \
    same Idempotency-Key gets the answer of the first; after 503 `unavailable`, `timeout` and `region_silent` that is the \
    way to learn what came of it. What belongs to another region is answered by that region, which `Tomato-Region` names. \
    Times are RFC 3339 in UTC, amounts are integers in minor units of the region's currency.";

/// Schemas of both directions: what may be left out differs between what is read and what is written.
struct Shapes {
    input: SchemaGenerator,
    output: SchemaGenerator,
}

impl Shapes {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
        });
        Self {
            input: settings.clone().for_deserialize().into_generator(),
            output: settings.for_serialize().into_generator(),
        }
    }

    fn of_output(&mut self, schema: SchemaOf) -> Value {
        schema(&mut self.output).to_value()
    }

    /// Types that are read, and types that are written.
    fn definitions(&mut self) -> (Map<String, Value>, Map<String, Value>) {
        (self.input.take_definitions(true), self.output.take_definitions(true))
    }

    fn paths(&mut self) -> Map<String, Value> {
        let mut paths = Map::new();
        for route in ROUTES {
            let methods = paths.entry(route.path).or_insert_with(|| json!({}));
            methods[route.method.names()[0].to_ascii_lowercase()] = self.operation(route);
        }
        paths
    }

    fn operation(&mut self, route: &Route) -> Value {
        let (tag, _) = route.name.split_once("::").unwrap_or((route.name, ""));
        let mut operation = json!({
            "operationId": route.name.replace("::", "."),
            "summary": route.summary,
            "tags": [tag],
            "parameters": self.parameters(route),
            "responses": self.responses(route),
            "x-load-class": class(route.class),
        });
        match route.access {
            Access::Public => operation["security"] = json!([]),
            Access::Roles(roles) | Access::Socket(roles) => {
                operation["security"] = json!([{"bearer": []}]);
                operation["x-roles"] = roles.iter().map(|role| role.as_str()).collect();
            }
        }
        let body = match route.body {
            Body::Ignored => return operation,
            Body::Empty => json!({"required": false, "content": {"application/json": {"schema": {
                "type": "object", "additionalProperties": false,
            }}}}),
            Body::Csv { limit } => json!({
                "required": true,
                "description": format!("At most {limit} bytes."),
                "content": {"text/csv": {"schema": {"type": "string"}}},
            }),
            Body::Json { limit, schema } => json!({
                "required": true,
                "description": format!("At most {limit} bytes."),
                "content": {"application/json": {"schema": schema(&mut self.input)}},
            }),
        };
        operation["requestBody"] = body;
        operation
    }

    fn parameters(&mut self, route: &Route) -> Vec<Value> {
        let mut all: Vec<Value> = path_names(route.path).map(|name| self.path_param(name)).collect();
        all.extend(route.params.iter().map(|param| self.param(param)));
        if route.key != Key::None {
            all.push(reference("parameters", "DeviceTime"));
        }
        match route.key {
            Key::None => {}
            Key::Accepted => all.push(reference("parameters", "IdempotencyKey")),
            Key::Required => all.push(reference("parameters", "IdempotencyKeyRequired")),
        }
        if travels(route) {
            all.push(reference("parameters", "TomatoRegion"));
        }
        all.extend(["RequestId", "TraceParent"].map(|name| reference("parameters", name)));
        all
    }

    fn path_param(&mut self, name: &str) -> Value {
        json!({"name": name, "in": "path", "required": true, "schema": id(name)(&mut self.input)})
    }

    fn param(&mut self, param: &Param) -> Value {
        let mut shown = json!({
            "name": param.name,
            "in": if param.header { "header" } else { "query" },
            "description": param.about.trim(),
            "required": param.required,
            "schema": (param.schema)(&mut self.input),
        });
        if !param.header {
            // Lists are written with commas.
            shown["explode"] = json!(false);
        }
        shown
    }

    fn responses(&mut self, route: &Route) -> Map<String, Value> {
        let mut all = Map::new();
        for (status, _) in CODES.iter().filter(|(status, _)| can_give(route, *status)) {
            all.insert(status.to_string(), reference("responses", &format!("Problem{status}")));
        }
        for success in route.successes {
            let shown = self.success(success, all.contains_key(&success.status.to_string()));
            all.insert(success.status.to_string(), shown);
        }
        all
    }

    /// `or_problem`: whether a problem can come with the same status.
    fn success(&mut self, success: &Success, or_problem: bool) -> Value {
        let schema = self.of_output(success.schema);
        let mut content = Map::new();
        if schema["type"] != "null" {
            let media = schema["contentMediaType"].as_str().unwrap_or("application/json");
            content.insert(media.to_owned(), json!({"schema": schema}));
        }
        if or_problem {
            let problem = self.of_output(|generator| generator.subschema_for::<ProblemBody>());
            content.insert("application/problem+json".into(), json!({"schema": problem}));
        }
        let names: &[&str] = match success.status {
            200 => &[
                "X-Request-ID",
                "X-Trace-ID",
                "RateLimit-Policy",
                "RateLimit",
                "ETag",
                "Tomato-Region",
            ],
            201 => &[
                "X-Request-ID",
                "X-Trace-ID",
                "RateLimit-Policy",
                "RateLimit",
                "Location",
                "Tomato-Region",
            ],
            _ => &["X-Request-ID", "X-Trace-ID", "RateLimit-Policy", "RateLimit"],
        };
        let named = names
            .iter()
            .map(|name| ((*name).to_owned(), reference("headers", name)));
        let mut shown = json!({"description": reason(success.status), "headers": Map::from_iter(named)});
        if !content.is_empty() {
            shown["content"] = content.into();
        }
        shown
    }
}

fn problem_response(status: u16, codes: &[&str], problem: &Value) -> Value {
    let domain = Rejection::ALL.iter().filter(|rejection| rejection.status() == status);
    let tokens = TokenError::ALL.iter().filter(|_| status == 401);
    let codes: Vec<&str> = codes
        .iter()
        .copied()
        .chain(tokens.map(|fault| fault.code()))
        .chain(domain.map(|rejection| rejection.code()))
        .collect();
    let mut headers = vec!["X-Request-ID", "X-Trace-ID", "RateLimit-Policy", "RateLimit"];
    match status {
        401 => headers.push("WWW-Authenticate"),
        405 => headers.push("Allow"),
        429 | 503 => headers.push("Retry-After"),
        _ => {}
    }
    let headers = headers
        .into_iter()
        .map(|name| (name.to_owned(), reference("headers", name)));
    json!({
        "description": reason(status),
        "headers": headers.collect::<Map<_, _>>(),
        "content": {"application/problem+json": {"schema": {
            "allOf": [problem, {"properties": {"status": {"const": status}, "code": {"enum": codes}}}],
        }}},
    })
}

fn tags() -> Vec<Value> {
    let mut names: Vec<&str> = ROUTES
        .iter()
        .filter_map(|route| Some(route.name.split_once("::")?.0))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| json!({"name": name})).collect()
}

/// What stands between the braces of a path.
pub fn path_names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// The schema of a path parameter, which is named by the prefix of its ids.
fn id(name: &str) -> fn(&mut SchemaGenerator) -> Schema {
    match name {
        "ord" => |generator| generator.subschema_for::<OrderId>(),
        "usr" => |generator| generator.subschema_for::<UserId>(),
        "rst" => |generator| generator.subschema_for::<RestaurantId>(),
        "drv" => |generator| generator.subschema_for::<DriverId>(),
        "itm" => |generator| generator.subschema_for::<ItemId>(),
        "pay" => |generator| generator.subschema_for::<PaymentId>(),
        "del" => |generator| generator.subschema_for::<DeliveryId>(),
        "ofr" => |generator| generator.subschema_for::<OfferId>(),
        "rfd" => |generator| generator.subschema_for::<RefundId>(),
        "whk" => |generator| generator.subschema_for::<WebhookId>(),
        "msg" => |generator| generator.subschema_for::<MessageId>(),
        // As the app calls it.
        "device" => |_| schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}),
        // A promotion's, as customers type it.
        "code" => |_| schemars::json_schema!({"type": "string", "pattern": "^[A-Z0-9-]{1,40}$"}),
        _ => |generator| generator.subschema_for::<String>(),
    }
}

fn class(class: Class) -> &'static str {
    match class {
        Class::P0 => "P0",
        Class::P1 => "P1",
        Class::P2 => "P2",
        Class::P3 => "P3",
        Class::P4 => "P4",
    }
}

fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("A problem")
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}
