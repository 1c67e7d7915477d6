//! Lists, pages and what is public.

use super::*;

async fn all_pages(rig: &Rig, path: &str, token: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = rig.get(&format!("{path}{cursor}"), token).await.expect(200).json;
        pages.push(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| text(&row["id"]))
                .collect(),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            return pages;
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn orders_come_newest_first_in_pages_without_gaps() {
    let rig = Rig::new();
    rig.seed().await;
    let (customer, other, operator) = (rig.customer(CUSTOMER), rig.customer(OTHER_CUSTOMER), rig.operator());
    let mut placed = Vec::new();
    for n in 0..7 {
        placed.push(text(
            &rig.place(&customer, &format!("k{n}"), &basket()).await.expect(201).json["id"],
        ));
        // Ids sort by the millisecond in which they were made.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let foreign = text(&rig.place(&other, "k", &basket()).await.expect(201).json["id"]);
    placed.reverse();
    let pages = all_pages(&rig, "/v1/orders?limit=3", &customer).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(pages.concat(), placed);
    assert_eq!(
        all_pages(&rig, "/v1/orders?limit=7", &customer).await.len(),
        1,
        "no empty last page"
    );
    let everything = all_pages(&rig, "/v1/orders?limit=2", &operator).await.concat();
    assert_eq!((everything.len(), &everything[0]), (8, &foreign));
    let kitchen = rig.restaurant(RESTAURANT);
    let list = format!("/v1/restaurants/{RESTAURANT}/orders?limit=100");
    assert_eq!(all_pages(&rig, &list, &kitchen).await.concat().len(), 8);
    rig.post(&format!("/v1/orders/{}/cancel", placed[2]), &customer, json!({}))
        .await
        .expect(200);
    let cancelled = all_pages(&rig, "/v1/orders?limit=1&state=CANCELLED,DELIVERED", &operator)
        .await
        .concat();
    assert_eq!(cancelled, [placed[2].clone()]);
    for (query, field) in [
        ("state=EATEN", "state"),
        ("cursor=abc", "cursor"),
        ("limit=1000", "limit"),
        ("page=2", "page"),
    ] {
        let reply = rig.get(&format!("/v1/orders?{query}"), &customer).await.expect(400);
        assert_eq!(
            (reply.code(), &reply.json["errors"][0]["field"]),
            ("invalid_query", &json!(field))
        );
    }
}

#[tokio::test]
async fn a_restaurant_sees_an_order_once_it_is_paid_for() {
    let rig = Rig::new();
    rig.seed().await;
    let mut card = basket();
    card["payment"] = json!({"method": "card", "card": "card_ok"});
    let placed = rig.place(&rig.customer(CUSTOMER), "k", &card).await.expect(201);
    assert_eq!(placed.json["state"], "PENDING");
    let kitchen = rig.restaurant(RESTAURANT);
    let list = format!("/v1/restaurants/{RESTAURANT}/orders");
    assert_eq!(rig.get(&list, &kitchen).await.expect(200).json["data"], json!([]));
    rig.get(&format!("/v1/orders/{}", text(&placed.json["id"])), &kitchen)
        .await
        .expect(404);
}

#[tokio::test]
async fn restaurants_are_found_by_place_nearest_first() {
    let rig = Rig::new();
    rig.seed().await;
    let operator = rig.operator();
    for n in 0..5_u8 {
        let mut body = restaurant();
        body["place"] = json!(centre().offset_m(f64::from(n) * 300.0 + 300.0, 0.0));
        body["delivery_radius_m"] = json!(1_000);
        let path = format!("/v1/restaurants/{}", id::<tomato_shared::id::kind::Restaurant>(100 + n));
        let made = rig.put(&path, &operator, body).await.expect(200);
        assert_eq!(made.headers["etag"], "\"1\"");
    }
    let here = format!("/v1/restaurants?lat={}&lng={}", centre().lat(), centre().lng());
    let pages = all_pages(&rig, &format!("{here}&limit=2"), "").await;
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 2],
        "three of the five deliver here"
    );
    assert_eq!(pages[0][0], RESTAURANT.to_string());
    let far = rig.get("/v1/restaurants?lat=0&lng=0", "").await.expect(200).json;
    assert_eq!((&far["data"], &far["next_cursor"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn menus_tell_what_is_left_and_are_edited_by_version() {
    let rig = Rig::new();
    rig.seed().await;
    let (path, operator) = (format!("/v1/restaurants/{RESTAURANT}"), rig.operator());
    let mut body = restaurant();
    body["menu"][0]["capacity"] = json!(5);
    let edit = |version: &str| with_json(ask("PUT", &path, &operator).header("If-Match", version), &body);
    let edited = rig.send(edit("\"1\"")).await.expect(200);
    assert_eq!(edited.headers["etag"], "\"2\"");
    rig.send(edit("\"1\"")).await.expect(412);
    rig.send(edit("*")).await.expect(200);
    rig.place(&rig.customer(CUSTOMER), "k", &basket()).await.expect(201);
    let read = rig.get(&path, "").await.expect(200);
    assert_eq!(
        (&read.json["menu"][0]["left"], &read.headers["etag"]),
        (&json!(3), &"\"3\"".parse().unwrap())
    );
    let closed = rig
        .put(
            &format!("{path}/status"),
            &rig.restaurant(RESTAURANT),
            json!({"open": false}),
        )
        .await
        .expect(200);
    assert_eq!(closed.json["open"], false);
    let refused = rig.place(&rig.customer(CUSTOMER), "l", &basket()).await.expect(422);
    assert_eq!(refused.code(), "restaurant_closed");
    rig.get(&format!("/v1/restaurants/{OTHER_RESTAURANT}"), "")
        .await
        .expect(404);
}

#[tokio::test]
async fn public_facts_need_no_token() {
    let rig = Rig::new();
    let here = format!("lat={}&lng={}", centre().lat(), centre().lng());
    let served = rig.get(&format!("/v1/locate?{here}"), "").await.expect(200).json;
    assert_eq!(
        (&served["region"], &served["public_url"], &served["map_version"]),
        (&json!("blr"), &json!("https://blr.test"), &json!(0))
    );
    let cell = format!("/v1/locate?cell={}", served["cell"].as_str().unwrap());
    assert_eq!(rig.get(&cell, "").await.expect(200).json, served);
    let nowhere = rig.get("/v1/locate?lat=0&lng=0", "").await.expect(404);
    assert_eq!(nowhere.code(), "nobody_serves");
    rig.get(&format!("{cell}&{here}"), "").await.expect(400);
    let version = rig.get("/version", "").await.expect(200).json;
    assert_eq!(
        (&version["region"], &version["clock_rate"]),
        (&json!("blr"), &json!(1.0))
    );
    assert_eq!(
        rig.get("/.well-known/jwks.json", "").await.expect(200).json["keys"][0]["kty"],
        "OKP"
    );
    rig.get("/readyz", "").await.expect(200);
    let head = rig.send(ask("HEAD", "/version", "").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.bytes.len()), (StatusCode::OK.as_u16(), 0));
}

#[tokio::test]
async fn drivers_are_listed_and_positions_kept_only_while_signed_on() {
    let rig = Rig::new();
    rig.seed().await;
    let operator = rig.operator();
    for n in [50, 51, 52_u8] {
        let path = format!("/v1/drivers/{}", id::<tomato_shared::id::kind::Driver>(n));
        rig.put(&path, &operator, json!({"name": "N", "phone": "1"}))
            .await
            .expect(200);
    }
    let pages = all_pages(&rig, "/v1/drivers?limit=2", &operator).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    let driver = rig.driver(DRIVER);
    let location = format!("/v1/drivers/{DRIVER}/location");
    let here = json!({"latitude": centre().lat(), "longitude": centre().lng()});
    assert_eq!(
        rig.post(&location, &driver, here.clone()).await.expect(200).json,
        json!({"status": "updated"})
    );
    rig.post(&location, &operator, here).await.expect(200);
    rig.put("/v1/drivers/me/status", &driver, json!({"online": false}))
        .await
        .expect(200);
    assert_eq!(rig.app.fleet.position(DRIVER), None);
    assert_eq!(rig.here(&driver).await, 409);
    rig.get("/v1/drivers/me", &rig.driver(OTHER_DRIVER)).await.expect(404);
}

#[tokio::test]
async fn restaurants_are_found_by_the_words_of_their_name_and_menu() {
    let rig = Rig::new();
    rig.seed().await;
    let found = async |query: &str| {
        let page = rig.get(&format!("/v1/restaurants?{query}"), "").await.expect(200).json;
        page["data"].as_array().unwrap().clone()
    };
    assert_eq!(found("q=udupi").await.len(), 1);
    let by_dish = found("q=MASALA%20dosa").await;
    assert_eq!(by_dish[0]["matches"], json!(["Masala dosa"]));
    assert_eq!(found("q=pizza").await.len(), 0);
    let closed = json!({"pause_min": 5});
    let status = format!("/v1/restaurants/{RESTAURANT}/status");
    rig.put(&status, &rig.restaurant(RESTAURANT), closed).await.expect(200);
    assert_eq!(found("q=udupi&open=true").await.len(), 0);
    assert_eq!(found("q=udupi").await[0]["open_now"], json!(false));
    for wrong in ["q=", &format!("q={}", "a".repeat(101)), "open=perhaps", "lat=12.9"] {
        rig.get(&format!("/v1/restaurants?{wrong}"), "").await.expect(400);
    }
}
