//! The OpenAPI document: what is kept in the repository, that it is well-formed, and that answers are what it says.

use std::sync::OnceLock;

use super::*;
use crate::http::openapi;
use crate::http::table::ROUTES;

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(openapi::document)
}

/// `UPDATE=1` writes the file anew.
#[test]
fn the_kept_document_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::vars().any(|(name, _)| name == "UPDATE") {
        std::fs::write(path, openapi::text()).unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_default()).unwrap_or_default();
    assert!(
        &kept == document(),
        "run UPDATE=1 cargo test -p tomato-node openapi, and read the difference"
    );
}

/// Every `$ref` below a value.
pub(super) fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name == "$ref") {
                    Some(target) => into.push(target.to_owned()),
                    None => references(value, into),
                }
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| references(entry, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What OpenAPI 3.1 asks of the parts that the document has. `./scripts/fuzz-api` asks the whole specification.
fn grammar() -> Value {
    let some = |schema: Value| json!({"type": "object", "additionalProperties": schema});
    let either = |name: &str| json!({"if": {"required": ["$ref"]}, "else": {"$ref": format!("#/$defs/{name}")}});
    json!({
        "type": "object", "required": ["openapi", "info", "paths"], "additionalProperties": false,
        "properties": {
            "openapi": {"pattern": "^3\\.1\\.[0-9]+$"},
            "info": {"required": ["title", "version"]},
            "servers": {"items": {"required": ["url"]}},
            "tags": {"type": "array", "uniqueItems": true, "items": {"required": ["name"]}},
            "paths": {"propertyNames": {"pattern": "^/"}, "additionalProperties": {
                "propertyNames": {"enum": ["get", "put", "post", "delete", "patch"]},
                "additionalProperties": {"$ref": "#/$defs/operation"},
            }},
            "components": {
                "propertyNames": {"enum": ["schemas", "responses", "headers", "parameters", "securitySchemes"]},
                "additionalProperties": {"propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"}},
                "properties": {
                    "schemas": some(json!({"type": "object"})),
                    "responses": some(json!({"$ref": "#/$defs/response"})),
                    "parameters": some(json!({"$ref": "#/$defs/parameter"})),
                    "headers": some(json!({"type": "object", "required": ["schema"]})),
                    "securitySchemes": some(json!({"required": ["type", "scheme"]})),
                },
            },
        },
        "$defs": {
            "operation": {
                "required": ["operationId", "responses"],
                "patternProperties": {"^x-": {}},
                "additionalProperties": false,
                "properties": {
                    "operationId": {"type": "string"}, "summary": {"type": "string"}, "tags": {"type": "array"},
                    "parameters": {"type": "array", "uniqueItems": true, "items": either("parameter")},
                    "requestBody": {"required": ["content"], "properties": {"content": {"$ref": "#/$defs/content"}}},
                    "responses": {
                        "minProperties": 1, "propertyNames": {"pattern": "^[1-5][0-9][0-9]$"},
                        "additionalProperties": either("response"),
                    },
                    "security": {"type": "array", "items": some(json!({"type": "array"}))},
                },
            },
            "parameter": {
                "required": ["name", "in", "schema"],
                "properties": {"in": {"enum": ["query", "header", "path"]}, "required": {"type": "boolean"}},
                "if": {"properties": {"in": {"const": "path"}}}, "then": {"properties": {"required": {"const": true}}},
            },
            "response": {
                "required": ["description"],
                "properties": {
                    "description": {"type": "string"}, "headers": {"type": "object"},
                    "content": {"$ref": "#/$defs/content"},
                },
                "additionalProperties": false,
            },
            "content": some(json!({"required": ["schema"]})),
        },
    })
}

#[test]
fn the_document_is_openapi_and_leads_nowhere_else() {
    let grammar = jsonschema::validator_for(&grammar()).unwrap();
    let faults: Vec<_> = grammar
        .iter_errors(document())
        .map(|fault| format!("{fault} at {}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let mut targets = Vec::new();
    references(document(), &mut targets);
    assert!(targets.len() > 200, "{}", targets.len());
    for target in targets {
        let pointer = target.strip_prefix('#').expect("all within the document");
        assert!(document().pointer(pointer).is_some(), "{target}");
    }
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        assert!(!name.ends_with(char::is_numeric), "two types are called {name}");
        jsonschema::meta::validate(schema).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

#[test]
fn types_that_go_both_ways_look_the_same_both_ways() {
    let (input, output) = openapi::directions();
    for (name, schema) in &input {
        let other = output.get(name).unwrap_or(schema);
        assert_eq!(
            schema, other,
            "{name} is read as one thing and written as another: give one a name of its own"
        );
    }
}

#[test]
fn every_route_is_described() {
    let mut ids = std::collections::BTreeSet::new();
    for route in ROUTES {
        assert!(ids.insert(route.name), "{} runs two routes", route.name);
        assert!(
            route.successes.iter().any(|success| success.status < 400),
            "{}",
            route.path
        );
        assert!(
            !route.summary.ends_with('.') && route.summary.len() > 5,
            "{}",
            route.path
        );
        for name in openapi::path_names(route.path) {
            let param = document()["paths"][route.path][route.method.names()[0].to_lowercase()]["parameters"].clone();
            let param = param
                .as_array()
                .unwrap()
                .iter()
                .find(|param| param["name"] == name)
                .unwrap()
                .clone();
            assert!(
                param["schema"]["$ref"].is_string() || param["schema"]["pattern"].is_string(),
                "{}: {name} is no prefix of an id, and has no pattern",
                route.path
            );
        }
    }
}

/// Fails where an answer is not one that the document has for the operation. 404 for no path and 405 are of none.
pub(super) fn check_described(method: &str, path: &str, reply: &Reply) {
    let fits = |template: &str| {
        let (want, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        want.len() == given.len()
            && want
                .iter()
                .zip(&given)
                .all(|(want, given)| want.starts_with('{') || want == given)
    };
    let mut routes: Vec<_> = ROUTES
        .iter()
        .filter(|route| route.method.names().contains(&method) && fits(route.path))
        .collect();
    routes.sort_by_key(|route| route.path.contains('{'));
    let Some(route) = routes.first().filter(|_| reply.status != 405) else {
        return;
    };
    let head = method == "HEAD";
    let method = route.method.names()[0].to_lowercase();
    let shown = &document()["paths"][route.path][&method]["responses"][reply.status.to_string()];
    let shown = match shown["$ref"].as_str() {
        Some(target) => document().pointer(target.trim_start_matches('#')).unwrap(),
        None => shown,
    };
    assert!(
        shown.is_object(),
        "{method} {} does not say that it answers {}: {reply:#?}",
        route.path,
        reply.status
    );
    if reply.bytes.is_empty() {
        assert!(
            shown["content"].is_null() || head,
            "{method} {} says {} has a body",
            route.path,
            reply.status
        );
        return;
    }
    let media = reply.headers["content-type"].to_str().unwrap();
    let schema = &shown["content"][media.split(';').next().unwrap()]["schema"];
    assert!(
        schema.is_object(),
        "{method} {} {}: {media} is not described",
        route.path,
        reply.status
    );
    let mut root = schema.clone();
    root["components"] = document()["components"].clone();
    let text = || json!(String::from_utf8_lossy(&reply.bytes));
    let body = if reply.json.is_null() {
        text()
    } else {
        reply.json.clone()
    };
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .unwrap();
    let faults: Vec<_> = validator
        .iter_errors(&body)
        .map(|fault| format!("{fault} at {}", fault.instance_path()))
        .collect();
    assert!(
        faults.is_empty(),
        "{method} {} {}: {faults:#?} in {:#}",
        route.path,
        reply.status,
        reply.json
    );
}
