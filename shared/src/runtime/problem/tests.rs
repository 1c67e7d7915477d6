use super::*;

async fn document(problem: Problem) -> (http::HeaderMap, serde_json::Value) {
    let response = problem.into_response();
    let headers = response.headers().clone();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (headers, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn document_has_the_fields_of_rfc_9457_and_nothing_empty() {
    let problem = Problem::unprocessable("menu_item_sold_out", "Dosa is sold out")
        .at("/items/0", "only 0 left")
        .field("page", "must be a number")
        .instance("/v1/orders")
        .request_id("req_1");
    let (headers, body) = document(problem).await;
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(
        body,
        serde_json::json!({
            "type": "urn:tomato:problem:menu_item_sold_out",
            "title": "The request is not acceptable",
            "status": 422,
            "code": "menu_item_sold_out",
            "detail": "Dosa is sold out",
            "instance": "/v1/orders",
            "errors": [
                { "pointer": "/items/0", "message": "only 0 left" },
                { "field": "page", "message": "must be a number" },
            ],
            "request_id": "req_1",
        })
    );
    let (_, bare) = document(Problem::internal()).await;
    assert_eq!(bare.as_object().unwrap().len(), 4, "{bare}");
}

#[tokio::test]
async fn headers_follow_the_status() {
    let (headers, body) = document(Problem::too_many_requests(7)).await;
    assert_eq!(headers["retry-after"], "7");
    assert_eq!(body["retry_after_s"], 7);
    let (headers, _) = document(Problem::unauthorized("token_expired", "expired")).await;
    assert_eq!(
        headers["www-authenticate"],
        "Bearer realm=\"tomato\", error=\"invalid_token\""
    );
    let (headers, _) = document(Problem::unauthorized("token_missing", "send one")).await;
    assert_eq!(headers["www-authenticate"], "Bearer realm=\"tomato\"");
    let (headers, _) = document(Problem::method_not_allowed("GET, POST")).await;
    assert_eq!(headers["allow"], "GET, POST");
}

#[test]
fn body_reads_back_what_it_wrote() {
    let problem = Problem::unavailable("region_unreachable", "region blr does not answer", 3);
    let json = serde_json::to_string(problem.body()).unwrap();
    assert_eq!(&serde_json::from_str::<ProblemBody>(&json).unwrap(), problem.body());
    assert!(size_of::<Problem>() <= 24, "the error of every handler must stay small");
}
