//! An order from quote to door over HTTP, and its repetitions.

use super::*;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
async fn an_order_travels_from_quote_to_door() {
    let rig = Rig::new();
    rig.seed().await;
    let (customer, kitchen, driver) = (rig.customer(CUSTOMER), rig.restaurant(RESTAURANT), rig.driver(DRIVER));
    let ask = json!({"items": [{"item_id": DOSA, "quantity": 2}], "deliver_to": door(), "tip_minor": 500});
    let quote = rig.post("/v1/quotes", &customer, ask).await.expect(200).json;
    assert_eq!(
        (&quote["restaurant_id"], &quote["price"]["items_minor"]),
        (&json!(RESTAURANT), &json!(18_000))
    );
    let body = json!({"quote": quote["quote"], "deliver_to": door(), "payment": {"method": "cash"}});
    let placed = rig.place(&customer, "k", &body).await.expect(201);
    let (order, pin) = (text(&placed.json["id"]), placed.json["pin"].clone());
    assert_eq!(
        placed.headers["location"].to_str().unwrap(),
        format!("/v1/orders/{order}")
    );
    assert_eq!(
        (&placed.json["state"], &placed.json["price"]),
        (&json!("CONFIRMED"), &quote["price"])
    );

    let act = |verb: &str| format!("/v1/restaurants/{RESTAURANT}/orders/{order}/{verb}");
    let cooking = rig
        .post(&act("accept"), &kitchen, json!({"ready_in_min": 5}))
        .await
        .expect(200);
    assert_eq!(
        (&cooking.json["state"], &cooking.json["deliver_to"]),
        (&json!("PREPARING"), &Value::Null)
    );
    let ready = ask_nothing(&rig, &act("ready"), &kitchen).await;
    assert_eq!(ready.expect(200).json["state"], "READY_FOR_PICKUP");

    let me = until("an offer", || async {
        let me = rig.get("/v1/drivers/me", &driver).await.expect(200).json;
        (me["offers"] != json!([])).then_some(me)
    })
    .await;
    assert_eq!(
        (&me["deliveries"], &me["offers"][0]["deliver_to"]),
        (&json!([]), &Value::Null)
    );
    let offer = text(&me["offers"][0]["delivery"]["offer"]["id"]);
    rig.post(
        &format!("/v1/offers/{offer}/accept"),
        &rig.driver(OTHER_DRIVER),
        json!({}),
    )
    .await
    .expect(409);
    let taken = ask_nothing(&rig, &format!("/v1/offers/{offer}/accept"), &driver)
        .await
        .expect(200)
        .json;
    assert_eq!(taken["deliver_to"], door());
    let delivery = text(&taken["delivery"]["id"]);
    assert_eq!(rig.here(&driver).await, 204);
    let step = |verb: &str| format!("/v1/deliveries/{delivery}/{verb}");
    rig.post(&step("arrive"), &driver, json!({})).await.expect(200);
    rig.post(&step("pickup"), &driver, json!({})).await.expect(200);
    let wrong = json!({"proof": {"kind": "pin", "pin": "nope"}});
    assert_eq!(
        rig.post(&step("complete"), &driver, wrong).await.expect(422).code(),
        "proof_wrong"
    );
    let proof = json!({"proof": {"kind": "pin", "pin": pin}});
    assert_eq!(
        rig.post(&step("complete"), &driver, proof).await.expect(200).json["state"],
        "DELIVERED"
    );

    let read = rig.get(&format!("/v1/orders/{order}"), &driver).await.expect(200).json;
    assert_eq!(
        (&read["state"], &read["deliver_to"]),
        (&json!("DELIVERED"), &Value::Null),
        "no address once delivered"
    );
    check_story(&rig, &order, &customer).await;
    let overview = rig.get("/v1/overview", &rig.operator()).await.expect(200).json;
    assert_eq!(
        (&overview["placed"], &overview["delivered"], &overview["active"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(
        (&overview["revenue_minor"], &overview["drivers_online"]),
        (&quote["price"]["total_minor"], &json!(1))
    );
    assert_eq!(overview["outbox"]["head_seq"], rig.app.feed.head_seq());
    let recount = rig.app.reads.read(reads::totals).await.unwrap();
    assert_eq!(
        Feed::new(0, recount).totals(),
        rig.app.feed.totals(),
        "counted again from the rows"
    );
}

/// A command without a body.
async fn ask_nothing(rig: &Rig, path: &str, token: &str) -> Reply {
    rig.send(ask("POST", path, token).body(Body::empty()).unwrap()).await
}

async fn check_story(rig: &Rig, order: &str, customer: &str) {
    let kinds = |reply: Reply| -> Vec<String> {
        reply.expect(200).json["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| text(&event["type"]))
            .collect()
    };
    let path = format!("/v1/orders/{order}/events");
    let heard = kinds(rig.get(&path, customer).await);
    let want = [
        "order.created",
        "order.confirmed",
        "restaurant.assigned",
        "order.preparing",
        "order.ready",
        "driver.assigned",
        "driver.arrived",
        "order.picked_up",
        "order.delivered",
    ];
    assert_eq!(heard, want);
    let all = rig.get(&path, &rig.operator()).await.expect(200).json;
    let versions: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["version"].as_u64().unwrap())
        .collect();
    assert_eq!(
        versions,
        (1..=versions.len() as u64).collect::<Vec<_>>(),
        "an operator sees every version"
    );
    let later = rig
        .get(&format!("{path}?after={}", versions.len() - 1), &rig.operator())
        .await
        .expect(200)
        .json;
    assert_eq!(later["data"].as_array().unwrap().len(), 1);
    rig.get(&format!("{path}?after=-1"), customer).await.expect(400);
}

#[tokio::test]
async fn the_same_key_gives_the_same_bytes_and_one_order() {
    let rig = Rig::new();
    rig.seed().await;
    let customer = rig.customer(CUSTOMER);
    let first = rig.place(&customer, "k", &basket()).await.expect(201);
    for _ in 0..3 {
        let again = rig.place(&customer, "k", &basket()).await.expect(201);
        assert_eq!(again.bytes, first.bytes);
        assert_eq!(again.headers["location"], first.headers["location"]);
    }
    let mut other = basket();
    other["items"][0]["quantity"] = json!(3);
    assert_eq!(
        rig.place(&customer, "k", &other).await.expect(422).code(),
        "idempotency_key_reused"
    );
    rig.place(&rig.customer(OTHER_CUSTOMER), "k", &basket())
        .await
        .expect(201);
    let own = rig.get("/v1/orders", &customer).await.expect(200).json;
    assert_eq!(own["data"].as_array().unwrap().len(), 1);
    let cancel = |key: &'static str| {
        let path = format!("{}/cancel", first.headers["location"].to_str().unwrap());
        let request = ask("POST", &path, &customer).header("X-Idempotency-Key", key);
        rig.send(request.body(Body::empty()).unwrap())
    };
    let cancelled = cancel("c").await.expect(200);
    assert_eq!(cancel("c").await.expect(200).bytes, cancelled.bytes);
    assert_eq!(cancel("d").await.expect(409).code(), "wrong_state");
}

#[tokio::test]
async fn a_trace_is_continued_into_the_events() {
    let rig = Rig::new();
    rig.seed().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = ask("POST", "/v1/orders", &rig.customer(CUSTOMER))
        .header("Idempotency-Key", "k")
        .header("traceparent", trace);
    let order = rig.send(with_json(request, &basket())).await.expect(201).json["id"].clone();
    let order: OrderId = serde_json::from_value(order).unwrap();
    let events = rig
        .app
        .reads
        .read(move |connection| reads::events(connection, order, 0))
        .await
        .unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event.trace.as_deref() == Some(trace)));
}

#[tokio::test]
async fn a_stopped_writer_is_a_503_and_reads_go_on() {
    let rig = Rig::new();
    rig.seed().await;
    rig.writer.close();
    let customer = rig.customer(CUSTOMER);
    let reply = rig.place(&customer, "k", &basket()).await.expect(503);
    assert_eq!(reply.code(), "unavailable");
    assert!(reply.headers.contains_key("retry-after"));
    rig.get("/v1/orders", &customer).await.expect(200);
    rig.get("/livez", "").await.expect(200);
    assert_eq!(
        rig.get("/readyz?verbose=1", "").await.expect(503).json["checks"][0]["name"],
        "writer"
    );
}

#[tokio::test]
async fn counts_that_are_kept_are_what_the_orders_add_up_to() {
    let rig = Rig::new();
    rig.seed().await;
    let customer = rig.customer(CUSTOMER);
    for key in ["a", "b", "c"] {
        rig.place(&customer, key, &basket()).await.expect(201);
    }
    let orders = rig.get("/v1/orders", &customer).await.expect(200).json;
    let cancel = format!("/v1/orders/{}/cancel", text(&orders["data"][0]["id"]));
    ask_nothing(&rig, &cancel, &customer).await.expect(200);
    let connection = rusqlite::Connection::open(rig.directory.path().join("region.db")).unwrap();
    let kept = reads::totals(&connection).unwrap().counts();
    assert_eq!((kept.placed, kept.active, kept.cancelled), (3, 2, 1));
    connection.execute("DELETE FROM totals", []).unwrap();
    assert_eq!(reads::totals(&connection).unwrap().counts(), kept);
}
