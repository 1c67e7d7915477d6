//! `GET /v1/openapi.json`: this API, for programs (OpenAPI 3.1).

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use tomato_shared::runtime::problem::Problem;

use super::{
    NoQuery, alerts, analytics, bad_query, control, locate, map, me, money, orders, overview, phones, regions,
};
use crate::config::Access;
use crate::store::alerts::Alert;

/// What a path takes and gives.
pub(super) struct Operation {
    pub(super) path: &'static str,
    method: &'static str,
    summary: &'static str,
    access: Access,
    /// For anybody, without a token.
    public: bool,
    /// Name and meaning; a name that ends with `*` must be given.
    query: &'static [(&'static str, &'static str)],
    body: Option<Value>,
    answer: fn(&mut SchemaGenerator) -> Schema,
    csv: bool,
}

const FORMAT: (&str, &str) = ("format", "json or csv; without, as the Accept header says");

impl Operation {
    fn get(path: &'static str, summary: &'static str, answer: fn(&mut SchemaGenerator) -> Schema) -> Self {
        Self {
            path,
            method: "get",
            summary,
            access: Access::Viewer,
            public: false,
            query: &[],
            body: None,
            answer,
            csv: false,
        }
    }

    fn post(path: &'static str, summary: &'static str, answer: fn(&mut SchemaGenerator) -> Schema) -> Self {
        Self {
            method: "post",
            ..Self::get(path, summary, answer)
        }
    }
}

const ORDERS: &[(&str, &str)] = &[
    ("region", "name of a region"),
    ("status", "state of the order, as PREPARING"),
    ("customer", "usr_..."),
    ("phone_hash", "as POST /v1/phone-hashes says"),
    ("restaurant", "rst_..."),
    ("driver", "drv_..."),
    ("from", "placed from here on, RFC 3339"),
    ("to", "placed before, RFC 3339"),
    ("cursor", "next_cursor of the page before"),
    ("limit", "1 to 100, default 50"),
];
const ANALYTICS: &[(&str, &str)] = &[
    ("from", "RFC 3339; default a day before to"),
    ("to", "RFC 3339; default now"),
    ("step", "minute, hour or day; default one that fits the range"),
    ("by", "any of time, region, cell, separated by commas; default time"),
    ("region", "only this one"),
    ("spans", "false: leave out how long things took"),
    FORMAT,
];
const STATEMENT: &[(&str, &str)] = &[
    ("provider*", "stripe, razorpay or simulated"),
    ("region*", "whose account it is"),
    ("from", "what the statement covers, RFC 3339; default its first line"),
    ("to", "default after its last line"),
];

/// Every operation of the API.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = reads();
    all.extend(maps());
    all.extend(money_operations());
    all.extend(control_operations());
    all.push(locate());
    all
}

fn locate() -> Operation {
    Operation {
        public: true,
        query: &[
            ("lat", "degrees north"),
            ("lng", "degrees east"),
            ("cell", "an H3 cell, in place of both"),
        ],
        ..Operation::get(
            "/v1/locate",
            "Who serves a place; 404 where nobody does.",
            SchemaGenerator::subschema_for::<locate::Located>,
        )
    }
}

fn control_operations() -> Vec<Operation> {
    let wanted = json!({"type": "object", "required": ["note", "control"], "additionalProperties": false, "properties": {
        "note": {"type": "string", "minLength": 1, "maxLength": 500, "description": "why"},
        "control": {"$ref": "#/components/schemas/ControlDocument"}}});
    let read = Operation::get(
        "/v1/regions/{region}/control",
        "What a region is told: fees, promotions, switches, a pause.",
        SchemaGenerator::subschema_for::<control::View>,
    );
    let write = Operation {
        method: "put",
        summary: "Tells a region something else; If-Match names the version that was read. Fees and promotions need finance.",
        access: Access::Operator,
        body: Some(wanted),
        ..Operation::get(read.path, "", SchemaGenerator::subschema_for::<control::View>)
    };
    vec![read, write]
}

fn reads() -> Vec<Operation> {
    let alert = "An operator has seen an alert.";
    let phone = json!({"type": "object", "required": ["phone"], "additionalProperties": false, "properties": {
        "phone": {"type": "string", "description": "with + and country code"}}});
    vec![
        Operation::get("/v1/me", "Who asks.", SchemaGenerator::subschema_for::<me::Me>),
        Operation::get(
            "/v1/overview",
            "Counts and money per region and in sum.",
            SchemaGenerator::subschema_for::<overview::Overview>,
        ),
        Operation::get(
            "/v1/regions",
            "What the hub has of each region, and lacks.",
            SchemaGenerator::subschema_for::<regions::Regions>,
        ),
        Operation {
            query: ORDERS,
            ..Operation::get(
                "/v1/orders",
                "Orders, newest first.",
                SchemaGenerator::subschema_for::<orders::Page>,
            )
        },
        Operation {
            access: Access::Operator,
            body: Some(phone),
            ..Operation::post(
                "/v1/phone-hashes",
                "What stands for a telephone number in orders.",
                SchemaGenerator::subschema_for::<phones::Hashed>,
            )
        },
        Operation::get(
            "/v1/orders/{id}",
            "One order with timeline, payments and entries.",
            SchemaGenerator::subschema_for::<orders::Order>,
        ),
        Operation {
            query: ANALYTICS,
            csv: true,
            ..Operation::get(
                "/v1/analytics",
                "What happened where and when.",
                SchemaGenerator::subschema_for::<analytics::Analytics>,
            )
        },
        Operation::get(
            "/v1/anomalies",
            "What contradicted what.",
            SchemaGenerator::subschema_for::<me::Anomalies>,
        ),
        Operation::get(
            "/v1/alerts",
            "What is going wrong.",
            SchemaGenerator::subschema_for::<alerts::Alerts>,
        ),
        Operation {
            access: Access::Operator,
            ..Operation::post("/v1/alerts/{id}/ack", alert, SchemaGenerator::subschema_for::<Alert>)
        },
    ]
}

fn maps() -> Vec<Operation> {
    vec![
        Operation::get(
            "/v1/map/cells",
            "Cells of every region, GeoJSON.",
            SchemaGenerator::subschema_for::<map::Cells>,
        ),
        Operation::get(
            "/v1/map/values",
            "What happens in each cell.",
            SchemaGenerator::subschema_for::<map::Values>,
        ),
        Operation {
            query: &[("region*", "name of a region")],
            ..Operation::get(
                "/v1/map/orders",
                "Orders under way.",
                SchemaGenerator::subschema_for::<map::Orders>,
            )
        },
        Operation {
            query: &[("region*", "name of a region")],
            ..Operation::get(
                "/v1/map/drivers",
                "Where the drivers are now, asked from the region's node; nothing of it is stored.",
                SchemaGenerator::subschema_for::<map::Drivers>,
            )
        },
    ]
}

fn money_operations() -> Vec<Operation> {
    let until = json!({"type": "object", "required": ["until"], "additionalProperties": false, "properties": {
        "until": {"type": "string", "format": "date-time", "description": "entries of before this are settled"},
        "regions": {"type": "array", "items": {"type": "string"}, "description": "default: all"}}});
    vec![
        Operation::get(
            "/v1/money",
            "Balances and books.",
            SchemaGenerator::subschema_for::<money::Money>,
        ),
        Operation {
            query: &[FORMAT],
            csv: true,
            ..Operation::get(
                "/v1/money/unmatched",
                "What does not match.",
                SchemaGenerator::subschema_for::<money::UnmatchedList>,
            )
        },
        Operation::get(
            "/v1/money/statements",
            "Imported statements.",
            SchemaGenerator::subschema_for::<money::Statements>,
        ),
        Operation {
            access: Access::Finance,
            query: STATEMENT,
            body: Some(json!({"type": "object", "description": "as the provider's API gives it"})),
            ..Operation::post(
                "/v1/money/statements",
                "Imports a statement.",
                SchemaGenerator::subschema_for::<money::ImportResult>,
            )
        },
        Operation::get(
            "/v1/money/settlements",
            "Settlement runs.",
            SchemaGenerator::subschema_for::<money::Runs>,
        ),
        Operation {
            access: Access::Finance,
            body: Some(until),
            ..Operation::post(
                "/v1/money/settlements",
                "Settles; the same run again gives the same payouts.",
                SchemaGenerator::subschema_for::<money::Payouts>,
            )
        },
        Operation {
            query: &[FORMAT],
            csv: true,
            ..Operation::get(
                "/v1/money/settlements/{run_id}",
                "The payouts of a run.",
                SchemaGenerator::subschema_for::<money::Payouts>,
            )
        },
        Operation {
            query: &[FORMAT],
            csv: true,
            ..Operation::get(
                "/v1/money/payouts/{payout_id}",
                "The statement of a payout.",
                SchemaGenerator::subschema_for::<money::PayoutStatement>,
            )
        },
    ]
}

pub(super) async fn read(query: Result<Query<NoQuery>, QueryRejection>) -> Result<Json<Value>, Problem> {
    query.map_err(|rejection| bad_query(&rejection))?;
    Ok(Json(document()))
}

/// The whole document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for operation in operations() {
        let written = written(&operation, &mut schemas);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_owned(), written);
        }
    }
    let schemas = schemas.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Tomato hub", "version": env!("CARGO_PKG_VERSION"),
            "description": "Orders, money and analytics over all regions. Amounts are minor units of their currency, times RFC 3339 in UTC. Live changes: WebSocket /v1/live."},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

fn written(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let in_path = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(operation.query.iter().map(|(name, meaning)| {
        let plain = name.trim_end_matches('*');
        json!({"name": plain, "in": "query", "required": plain != *name, "description": meaning,
            "schema": {"type": "string"}})
    }));
    let schema = (operation.answer)(schemas);
    let mut content = json!({"application/json": {"schema": schema}});
    if operation.csv {
        content["text/csv"] = json!({"schema": {"type": "string"}});
    }
    let problem = |text: &str| json!({"description": text, "content": {"application/problem+json": {}}});
    let needed = match operation.public {
        true => String::from("For anybody."),
        false => format!("Needs the access of {}.", operation.access.name()),
    };
    let mut written = json!({
        "summary": operation.summary,
        "description": needed,
        "parameters": parameters,
        "responses": {
            "2XX": {"description": "As asked.", "content": content},
            "400": problem("The request cannot be read."),
            "401": problem("A valid token is needed."),
            "403": problem("The caller may not do this."),
        },
    });
    if operation.public {
        written["security"] = json!([]);
    }
    if let Some(body) = &operation.body {
        written["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": body}}});
    }
    written
}
