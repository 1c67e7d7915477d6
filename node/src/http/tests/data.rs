//! Requests and bodies that tests start from.

use super::*;

pub(super) fn ask(method: &str, path: &str, token: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    if token.is_empty() {
        request
    } else {
        request.header("Authorization", format!("Bearer {token}"))
    }
}

pub(super) fn with_json(request: http::request::Builder, body: &Value) -> Request<Body> {
    request
        .header("Content-Type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub(super) fn restaurant() -> Value {
    json!({
        "name": "Udupi", "place": centre(), "open": true, "delivery_radius_m": 5_000, "preparation_min": 10,
        "menu": [{"id": DOSA, "name": "Masala dosa", "category": "Dosa", "price_minor": 9_000, "available": true}],
    })
}

pub(super) fn door() -> Value {
    json!({"place": centre().offset_m(800.0, 0.0), "line": "4, Church Street", "note": "Ring twice"})
}

/// A cash order of two dosas.
pub(super) fn basket() -> Value {
    json!({
        "restaurant_id": RESTAURANT, "items": [{"item_id": DOSA, "quantity": 2}],
        "deliver_to": door(), "payment": {"method": "cash"},
    })
}

pub(super) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not a text"))
        .to_owned()
}

/// Asks again and again until the answer pleases; fails after 5 s.
pub(super) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    for _ in 0..500 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}
