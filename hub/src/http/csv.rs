//! Answers as files: CSV (RFC 4180) for those who ask for `text/csv` or `?format=csv`, and Parquet where it is built in.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `?format=` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    Json,
    Csv,
    #[cfg(any(test, feature = "parquet"))]
    Parquet,
}

impl Format {
    /// As the query says, else as the header does, else JSON.
    pub(super) fn wanted(query: Option<Self>, headers: &HeaderMap) -> Self {
        let accepts = |text: &HeaderValue| text.to_str().is_ok_and(|text| text.starts_with("text/csv"));
        query.unwrap_or(if headers.get(ACCEPT).is_some_and(accepts) {
            Self::Csv
        } else {
            Self::Json
        })
    }
}

/// `whole` as JSON, or `rows` as a file called `name`, with one column per field of the first row.
pub(super) fn answer<T: Serialize, R: Serialize>(format: Format, whole: &T, rows: &[R], name: &str) -> Response {
    let rows = || {
        rows.iter()
            .filter_map(|row| serde_json::to_value(row).ok())
            .collect::<Vec<Value>>()
    };
    match format {
        Format::Json => Json(whole).into_response(),
        Format::Csv => file(table(&rows()), "text/csv; charset=utf-8", &format!("{name}.csv")),
        #[cfg(any(test, feature = "parquet"))]
        Format::Parquet => match super::parquet::file(&rows()) {
            Ok(bytes) => file(bytes, "application/vnd.apache.parquet", &format!("{name}.parquet")),
            Err(fault) => {
                tracing::error!(%fault, "rows cannot be written as Parquet");
                tomato_shared::runtime::problem::Problem::internal().into_response()
            }
        },
    }
}

fn file(body: impl IntoResponse, kind: &'static str, name: &str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

fn table(rows: &[Value]) -> String {
    let columns: Vec<&String> = rows
        .first()
        .and_then(Value::as_object)
        .map(|first| first.keys().collect())
        .unwrap_or_default();
    let mut text = columns.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    for row in rows {
        let cells = columns
            .iter()
            .map(|name| cell(row.get(name.as_str()).unwrap_or(&Value::Null)));
        text.push_str(&cells.collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    }
    text
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        // A spreadsheet must not take a text for a formula.
        Value::String(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let rows = [
            json!({"name": "Pizza, \"al taglio\"", "minor": -5, "at": null}),
            json!({"name": "=1+1", "minor": 7, "at": "x\ny"}),
        ];
        let text = "at,minor,name\r\n,-5,\"Pizza, \"\"al taglio\"\"\"\r\n\"x\ny\",7,'=1+1\r\n";
        assert_eq!(table(&rows), text);
    }
}
