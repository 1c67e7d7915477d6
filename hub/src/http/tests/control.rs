//! What regions are told: written whole, with the version that was read, by whoever may.

use serde_json::json;

use super::*;
use crate::config::Access;

const PATH: &str = "/v1/regions/blr/control";

impl Api {
    async fn tell(&self, path: &str, if_match: Option<&str>, body: &Value) -> (StatusCode, Value) {
        let token = self.token(Role::Operator, None);
        let mut request = Request::put(path).header("authorization", format!("Bearer {token}"));
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::from(body.to_string())).unwrap());
        let response = response.await.unwrap();
        let (status, tag) = (response.status(), response.headers().get("etag").cloned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        if status.is_success() {
            assert_eq!(tag.unwrap().to_str().unwrap(), format!("\"{}\"", body["version"]));
        }
        (status, body)
    }

    async fn tells(&self, version: &Value, control: Value) -> Value {
        let body = json!({"note": "because", "control": control});
        let (status, body) = self.tell(PATH, Some(&format!("\"{version}\"")), &body).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }
}

#[tokio::test]
async fn region_is_told_version_after_version_and_each_is_kept() {
    let api = Api::bare(Access::Admin);
    let empty = api.get(PATH).await;
    assert_eq!((&empty["version"], &empty["history"]), (&json!(0), &json!([])));
    let first = api.tells(&empty["version"], json!({"paused": "storm"})).await;
    assert_eq!(first["control"]["paused"], "storm");
    let second = api
        .tells(&first["version"], json!({"fees": {"service_bp": 300}, "off": ["cash"]}))
        .await;
    assert!(second["version"].as_u64() > first["version"].as_u64());
    assert_eq!(
        (&second["control"]["paused"], &second["control"]["off"]),
        (&Value::Null, &json!(["cash"]))
    );
    let history = second["history"].as_array().unwrap();
    assert_eq!((history.len(), &history[1]["control"]["paused"]), (2, &json!("storm")));
    assert_eq!(
        (&history[0]["made_by"], &history[0]["note"]),
        (&json!("opr_1"), &json!("because"))
    );
    // What is so already is no new version.
    let same = api.tells(&second["version"], second["control"].clone()).await;
    assert_eq!(same, second);
    assert_eq!(api.get(PATH).await, second);
    assert_eq!(api.get("/v1/regions/ams/control").await["version"], 0);
    // blr has said nothing of it yet, ams was never heard.
    assert_eq!(second["applied_version"], 0);
    assert_eq!(api.get("/v1/regions/ams/control").await["applied_version"], Value::Null);
}

#[tokio::test]
async fn nobody_writes_over_what_they_have_not_read() {
    let api = Api::bare(Access::Admin);
    let body = json!({"note": "because", "control": {"paused": "storm"}});
    let first = api.tells(&json!(0), json!({"off": ["loans"]})).await;
    for (tag, status, code) in [
        (None, 428, "precondition_required"),
        (Some("\"0\""), 412, "version_conflict"),
        (Some("\"many\""), 400, "bad_request"),
    ] {
        let (found, problem) = api.tell(PATH, tag, &body).await;
        assert_eq!((found.as_u16(), &problem["code"]), (status, &json!(code)), "{tag:?}");
    }
    assert_eq!(api.get(PATH).await, first);
}

#[tokio::test]
async fn hub_that_has_forgotten_what_a_region_goes_by_numbers_behind_it() {
    let api = Api::bare(Access::Admin);
    let blr: RegionId = "blr".parse().unwrap();
    let mut heard = api.live.get(&blr).unwrap().heard.unwrap();
    heard.beat.control.version = 9_000_000_000_000;
    api.live.hear(&blr, heard);
    let told = api.tells(&json!(0), json!({"paused": "storm"})).await;
    assert_eq!(told["version"], 9_000_000_000_001_u64);
}

#[tokio::test]
async fn every_fault_of_a_document_is_named_and_nothing_is_written() {
    let api = Api::bare(Access::Admin);
    let wrong = json!({"note": "", "control": {"fees": {"service_bp": 10_001}, "paused": "two\nlines",
        "promotions": [{"code": "x", "saving": {"kind": "free_delivery"}, "borne_by": "platform", "active": true,
            "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z", "uses_max": 1,
            "uses_per_customer_max": 1}]}});
    let (status, problem) = api.tell(PATH, Some("\"0\""), &wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let errors = problem["errors"].as_array().unwrap().iter();
    let pointers: Vec<_> = errors.map(|error| error["pointer"].as_str().unwrap()).collect();
    let wanted = [
        "/note",
        "/control/fees/service_bp",
        "/control/promotions/0/code",
        "/control/paused",
    ];
    assert_eq!(pointers, wanted);
    for (body, status) in [
        (json!({"note": "because"}), 400),
        (json!({"note": "because", "control": {"colour": "red"}}), 400),
        (json!({"note": "because", "control": {}, "version": 3}), 400),
        (json!({"note": "x".repeat(300_000), "control": {}}), 413),
    ] {
        let (found, problem) = api.tell(PATH, Some("\"0\""), &body).await;
        assert_eq!(found.as_u16(), status, "{problem}");
    }
    let (status, _) = api
        .tell(
            "/v1/regions/pnq/control",
            Some("\"0\""),
            &json!({"note": "b", "control": {}}),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(api.get(PATH).await["version"], 0);
}

#[tokio::test]
async fn money_is_told_by_finance_and_pauses_by_operators() {
    for (access, fees, pause, both) in [
        (Access::Viewer, false, false, false),
        (Access::Operator, false, true, false),
        (Access::Finance, true, false, false),
        (Access::Admin, true, true, true),
    ] {
        let (money, storm) = (json!({"service_bp": 300}), json!("storm"));
        for (control, allowed) in [
            (json!({"fees": money}), fees),
            (json!({"paused": storm}), pause),
            (json!({"fees": money, "paused": storm}), both),
        ] {
            let api = Api::bare(access);
            let body = json!({"note": "because", "control": control});
            let (status, _) = api.tell(PATH, Some("\"0\""), &body).await;
            let wanted = if allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(status, wanted, "{access:?} {control}");
            assert_eq!(api.get(PATH).await["version"] != 0, allowed);
        }
    }
    let api = Api::bare(Access::Admin);
    let ams = api.token(Role::Operator, Some(&["ams"]));
    assert_eq!(api.ask(Method::GET, PATH, Some(&ams)).await.0, StatusCode::NOT_FOUND);
}
