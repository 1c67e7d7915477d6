//! What is wrong gets the right problem, and changes nothing.

use http::Method;
use serde_json::{Value, json};
use tomato_tests::client::{Answer, Api, Request};

use crate::once::shop;

/// Sets what stands at `path` (a JSON pointer) of a good order.
fn with(order: &Value, path: &str, value: Value) -> Value {
    let mut changed = order.clone();
    let (parent, key) = path.rsplit_once('/').unwrap();
    changed.pointer_mut(parent).unwrap()[key] = value;
    changed
}

fn post(body: impl Into<bytes::Bytes>) -> Request {
    let mut request = Request::new(Method::POST, "/v1/orders").header("content-type", "application/json");
    request.body = body.into();
    request.header("idempotency-key", "bad")
}

async fn expect(api: &Api, request: Request, status: u16, code: &str) {
    let Answer {
        status: found,
        headers,
        body,
    } = api.send(&request).await.unwrap();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let shown = format!("{} {} -> {found} {problem}", request.method, request.path);
    assert_eq!(
        (found.as_u16(), problem["code"].as_str()),
        (status, Some(code)),
        "{shown}"
    );
    assert_eq!(headers["content-type"], "application/problem+json", "{shown}");
    for field in ["type", "title", "request_id"] {
        assert!(problem[field].is_string(), "{field} is missing: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_the_right_problem_and_changes_nothing() {
    let (mut stack, customer, good) = shop().await;
    let before = stack.node("blr").api.overview().await.unwrap().outbox.head_seq;

    for body in ["", "{", "[]", "null", "\u{0}", "{\"items\": NaN}"] {
        expect(&customer, post(body), 400, "invalid_body").await;
    }
    for (path, value) in [
        ("/surprise", json!(1)),
        ("/total_minor", json!(1)),
        ("/restaurant_id", json!("rst_nonsense")),
        ("/restaurant_id", json!("usr_01h455vb4pex5vsknk084sn02q")),
        ("/items", json!([])),
        ("/items/0/quantity", json!(-1)),
        ("/items/0/quantity", json!(0)),
        ("/items/0/quantity", json!(1.5)),
        ("/items/0/price_minor", json!(1)),
        ("/deliver_to/place/lat", json!(91)),
        ("/deliver_to/place/lng", json!("77.6")),
        ("/deliver_to/line", json!("x".repeat(5_000))),
        ("/payment/method", json!("promise")),
        ("/tip_minor", json!(-5)),
    ] {
        let body = serde_json::to_vec(&with(&good, path, value)).unwrap();
        expect(&customer, post(body), 400, "invalid_body").await;
    }
    let far = json!({"lat": 52.5, "lng": 13.4});
    let body = serde_json::to_vec(&with(&good, "/deliver_to/place", far)).unwrap();
    expect(&customer, post(body), 422, "out_of_area").await;
    let deep = "[".repeat(20_000);
    expect(&customer, post(deep), 400, "invalid_body").await;
    refused_before_the_body(&customer, &good).await;
    refused_by_route_or_token(&stack.issuer, &customer, &good).await;

    let after = stack.node("blr").api.overview().await.unwrap().outbox.head_seq;
    assert_eq!(before, after, "no event, so no change");
    assert_eq!(stack.node("blr").api.all_orders().await.unwrap().len(), 0);
    stack.stop().await.unwrap();
}

async fn refused_before_the_body(customer: &Api, good: &Value) {
    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nidempotency-key: bad\r\n";
    let token = customer.token().unwrap();
    let head = format!("{head}authorization: Bearer {token}\r\ncontent-length: 10000000\r\n\r\n");
    let answer = answer_before_the_rest(customer.base(), &head).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"payload_too_large\""),
        "{answer}"
    );
    let plain = Request::new(Method::POST, "/v1/orders").header("idempotency-key", "bad");
    let text = Request {
        body: b"hello".as_slice().into(),
        ..plain.header("content-type", "text/plain")
    };
    expect(customer, text, 415, "unsupported_media_type").await;
    let keyless = Request::new(Method::POST, "/v1/orders").json(good);
    expect(customer, keyless, 400, "idempotency_key_missing").await;
}

/// What a server says after the head of a request and a little of its body.
async fn answer_before_the_rest(base: &str, head: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b' '; 1_000]).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(std::time::Duration::from_secs(20), read)
        .await
        .expect("an answer, then the end")
        .unwrap();
    answer
}

async fn refused_by_route_or_token(issuer: &tomato_tests::tokens::Issuer, customer: &Api, good: &Value) {
    expect(
        customer,
        Request::new(Method::DELETE, "/v1/orders"),
        405,
        "method_not_allowed",
    )
    .await;
    expect(customer, Request::new(Method::GET, "/v1/nothing"), 404, "not_found").await;
    expect(
        customer,
        Request::new(Method::GET, "/v1/orders/ord_nonsense"),
        400,
        "invalid_path",
    )
    .await;
    let unknown = "/v1/orders/ord_01h455vb4pex5vsknk084sn02q";
    expect(customer, Request::new(Method::GET, unknown), 404, "not_found").await;
    let good = || {
        Request::new(Method::POST, "/v1/orders")
            .header("idempotency-key", "bad")
            .json(good)
    };
    let anonymous = Api::new(&tomato_tests::client::connections(), customer.base());
    expect(&anonymous, good(), 401, "token_missing").await;
    expect(&anonymous.with_token("not.a.token"), good(), 401, "token_malformed").await;
    let driver = issuer.driver("drv_01h455vb4pex5vsknk084sn02q".parse().unwrap());
    expect(&anonymous.with_token(&driver), good(), 403, "forbidden").await;
    let elsewhere = tempfile::TempDir::new().unwrap();
    let stranger = tomato_tests::tokens::Issuer::open(elsewhere.path()).unwrap();
    let forged = stranger.customer("usr_01h455vb4pex5vsknk084sn02q".parse().unwrap());
    expect(&anonymous.with_token(&forged), good(), 401, "token_key_unknown").await;
}
