//! The port for whoever runs the node.

use super::*;

async fn ask_admin(rig: &Rig, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = crate::admin::router(rig.app.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// The value of one line of the page.
fn value(page: &str, series: &str) -> String {
    let name = series.replacen('{', "{region=\"blr\",", 1);
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("{name} is not in\n{page}"))
        .trim()
        .to_owned()
}

#[tokio::test]
async fn what_happens_is_counted() {
    let rig = Rig::new();
    rig.seed().await;
    let customer = rig.customer(CUSTOMER);
    let order = rig.place(&customer, "k", &basket()).await.expect(201);
    let order = text(&order.json["id"]);
    let mut card = basket();
    card["payment"] = json!({"method": "card", "card": "card_ok"});
    rig.place(&customer, "k2", &card).await.expect(201);
    rig.post(&format!("/v1/orders/{order}/cancel"), &customer, json!({}))
        .await
        .expect(200);
    rig.get("/no/such/path", &customer).await.expect(404);
    let (status, page) = ask_admin(&rig, "/metrics").await;
    assert_eq!(status, 200);
    for (series, wanted) in [
        ("tomato_orders_created_total{region=\"blr\"}", "2"),
        ("tomato_orders_confirmed_total{region=\"blr\"}", "1"),
        ("tomato_orders_cancelled_total{region=\"blr\"}", "1"),
        ("tomato_orders_active{region=\"blr\"}", "1"),
        ("tomato_order_creation_latency_seconds_count{region=\"blr\"}", "2"),
        ("tomato_broker_connected{region=\"blr\"}", "0"),
        ("tomato_file_readable{region=\"blr\"}", "1"),
    ] {
        let line = format!("{series} {wanted}");
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert_eq!(value(&page, "tomato_task_backlog_entries{kind=\"authorise\"}"), "1");
    let placed = "tomato_http_requests_total{method=\"POST\",route=\"/v1/orders\",status=\"2xx\"}";
    assert_eq!(value(&page, placed), "2");
    let lost = "tomato_http_requests_total{method=\"\",route=\"\",status=\"4xx\"}";
    assert_eq!(value(&page, lost), "1");
    let depth: u64 = page
        .lines()
        .find_map(|line| line.strip_prefix("tomato_outbox_entries{region=\"blr\"} "))
        .unwrap()
        .parse()
        .unwrap();
    assert!(depth > 4, "nothing of it is at a hub");
    assert!(!page.contains("ord_") && !page.contains("usr_"), "no id is a label");
}

#[tokio::test]
async fn health_is_told_there_too_and_a_missing_broker_is_no_reason_not_to_be_ready() {
    let rig = Rig::new();
    let (status, live) = ask_admin(&rig, "/livez").await;
    assert_eq!((status, live.as_str()), (200, "{\"status\":\"ok\"}"));
    let (status, version) = ask_admin(&rig, "/version").await;
    assert!(status == 200 && version.contains("\"region\":\"blr\""), "{version}");
    let (status, ready) = ask_admin(&rig, "/readyz?verbose").await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let checks: Vec<_> = ready["checks"].as_array().unwrap().iter().collect();
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["writer", "history", "file", "broker", "link", "hub", "control"]);
    assert_eq!((status, &ready["status"]), (200, &json!("degraded")));
    assert_eq!((&checks[3]["ok"], &checks[3]["needed"]), (&json!(false), &json!(false)));
    rig.writer.close();
    let (status, ready) = ask_admin(&rig, "/readyz").await;
    assert_eq!((status, ready.as_str()), (503, "{\"status\":\"unready\"}"));
    assert_eq!(
        ask_admin(&rig, "/v1/orders").await.0,
        404,
        "apps have a port of their own"
    );
}
